"""The draft of a pair that the sweep looks at: it goes by what is stored, without an event."""

from collections.abc import Sequence
from datetime import datetime

from msgspec.structs import replace

from commands.work_item import WorkItem
from handlers.planning.drafts.pair_draft import PairDraft
from handlers.ports import Pair
from sync.conversation import Conversation
from sync.state.agreement import shared_values
from sync.state.stored_pair import with_conversation_removed, with_stored_pair_observed
from sync.state.sync_state import Waiting, for_pair


class SweptDraft(PairDraft):
    """A pair draft whose stored revisions can be taken as observed. Raises UnreadableDocument where it is made."""

    def __init__(self, conversation_id: str, pair: Pair) -> None:
        super().__init__(conversation_id, pair)
        self.is_restored = self.state is not pair.state
        """Whether a document has a lower revision than was stored before."""

    def work_items(self) -> Sequence[WorkItem]:
        """The pair's loaded work-items as they will be."""
        return [item for slot in self._work_items.values() if (item := slot.noun()) is not None]

    def latest_item(self) -> WorkItem | None:
        """The pair's work-item: as `pair_item`, or a completed one whose events were all lost."""
        item = self.pair_item()
        if item is not None and item.active:
            return item
        # A pair without a history has lost no event of a work-item from before the deployment.
        not_ours = None if self.state.work_item is not None else self._not_ours
        unknown = [
            each for each in self.work_items() if each.number > self.state.work_item_number and each.id != not_ours
        ]
        return max(unknown, key=lambda each: each.number, default=item)

    def note_conversation_removed(self) -> Conversation | None:
        """The deleted conversation that was stored once and is stored no more; None: it was never stored."""
        if self.state.conversation_rev == 0:
            return None
        self.state = with_conversation_removed(self.state)
        return self.conversation()

    def wait_for_stored(self, conversation: Conversation, item: WorkItem | None, queue_now: datetime) -> None:
        """The pair waits from now on for the stored revisions that were not observed. `queue_now`: by SQS's clock."""
        state = self.state if item is None else for_pair(self.state, item)
        waiting = Waiting(
            since=queue_now,
            conversation_rev=conversation.rev,
            work_item_rev=item.rev if item is not None and state.work_item == item.id else 0,
            values=shared_values(conversation),
        )
        self.state = replace(state, waiting=state.waiting or waiting)

    def count_stored_as_observed(self, conversation: Conversation, item: WorkItem | None, at: datetime) -> None:
        """Every event of the stored revisions was delivered or lost. `at`: the watermark."""
        self.state = with_stored_pair_observed(self.state, conversation, item, at=at)
