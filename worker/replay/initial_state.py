"""What the documents of a capture were before it began: their first snapshots with their `changes` taken back.

They count as observed and unchanged: nobody has an event of them in flight, and no field of theirs was changed by
anybody.
"""

from collections.abc import Iterable

from commands.work_item import WorkItem
from handlers.documents.nouns import conversation_of, work_item_of
from handlers.ports import Document
from sync.state import SyncState, ViewedValue, shared_values
from worker.replay.captured_events import CapturedEvent
from worker.replay.pair_archive import PairArchive, PairState
from worker.replay.reenactment import start_of


class InitialStates:
    """The start of every conversation, whatever order the capture is in."""

    def __init__(self) -> None:
        self._archive = PairArchive()
        self._lowest: dict[str, int] = {}

    def see(self, captured: CapturedEvent) -> None:
        """One event of the capture, a sync or not: the lowest revision of a document is its first."""
        event = captured.event
        lowest = self._lowest.get(event.document_id)
        if lowest is not None and lowest <= event.rev:
            return
        self._lowest[event.document_id] = event.rev
        documents = self._archive.take(event.conversation_id) or {}
        documents[event.document_id] = start_of(event, captured.raw)
        self._archive.put(event.conversation_id, documents)

    def pair_state(self, conversation_id: str) -> PairState:
        """How the conversation stood."""
        documents = self._archive.take(conversation_id) or {}
        conversation = documents.pop(conversation_id, None)
        items = [document for document in documents.values() if document is not None]
        return _pair_state(conversation, items)


def _pair_state(conversation: Document | None, items: Iterable[Document]) -> PairState:
    # A conversation has one active work-item: of several that say they are, the newest is believed.
    newest_first = sorted(items, key=lambda document: -document["workItemNumber"])
    kept: list[Document] = []
    for document in newest_first:
        if not (document["active"] and any(other["active"] for other in kept)):
            kept.append(document)
    item = work_item_of(kept[0]) if kept else None
    return PairState(conversation=conversation, work_items=tuple(kept), state=_state(conversation, item))


def _state(document: Document | None, item: WorkItem | None) -> SyncState:
    state = SyncState()
    if document is not None:
        conversation = conversation_of(document)
        state = SyncState(
            version=1,
            conversation_observed=((1, conversation.rev),),
            conversation_rev=conversation.rev,
            view={
                name: ViewedValue(value=value, rev=conversation.rev)
                for name, value in shared_values(conversation).items()
            },
        )
    if item is None:
        return state
    return SyncState(
        version=1,
        conversation_observed=state.conversation_observed,
        conversation_rev=state.conversation_rev,
        view=state.view,
        work_item=item.id,
        work_item_number=item.number,
        work_item_observed=((1, item.rev),),
        work_item_rev=item.rev,
        reconciled=True,
    )
