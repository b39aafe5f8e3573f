"""The pairs before a capture began: the first snapshots of their documents with the events' `changes` undone.

No event of these documents is in flight, so all their revisions count as observed, and no field counts as changed.
"""

from collections.abc import Iterable, Mapping

from commands.work_item import WorkItem
from handlers.documents.document_mapping import conversation_of, work_item_of
from handlers.ports import Document, Pair
from sync.state.agreement import shared_values
from sync.state.sync_state import SyncState, ViewedValue
from worker.replay.captured_events import CapturedEvent
from worker.replay.pairs.pair_archive import PairArchive
from worker.replay.reenactment import start_of


class InitialPairs:
    """The pair at the start of every conversation, whatever the order of the capture."""

    def __init__(self) -> None:
        self._archive: PairArchive[Mapping[str, Document | None]] = PairArchive()
        self._lowest_revs: dict[str, int] = {}

    def add(self, captured: CapturedEvent) -> None:
        """One event of the capture, a sync or not. The event with the lowest revision gives a document's start."""
        event = captured.event
        lowest = self._lowest_revs.get(event.document_id)
        if lowest is not None and lowest <= event.rev:
            return
        self._lowest_revs[event.document_id] = event.rev
        documents = self._archive.get(event.conversation_id) or {}
        start = start_of(event, captured.raw)
        self._archive.put(event.conversation_id, {**documents, event.document_id: start})

    def pair(self, conversation_id: str) -> Pair:
        """The pair before the first event of the conversation."""
        documents = self._archive.get(conversation_id) or {}
        items = [document for key, document in documents.items() if key != conversation_id and document is not None]
        return _pair(documents.get(conversation_id), items)


def _pair(conversation: Document | None, items: Iterable[Document]) -> Pair:
    # A conversation has one active work-item. Where several snapshots are active, the highest number is kept.
    newest_first = sorted(items, key=lambda document: -document["workItemNumber"])
    kept: list[Document] = []
    for document in newest_first:
        if not (document["active"] and any(other["active"] for other in kept)):
            kept.append(document)
    item = work_item_of(kept[0]) if kept else None
    return Pair(conversation=conversation, work_items=tuple(kept), state=_state(conversation, item))


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
    )
