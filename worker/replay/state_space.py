"""The state space of an exploration: its states, and the steps that lead from one to the next.

A state holds the stored pair, the outside writes so far, and the events that are still to be delivered. Two states are
the same where no rule, no command and no point of the contract could tell them apart; the times of writes do not count.
Then everything after them is the same, too, so the search goes on from one of them.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from commands.work_item import WorkItem
from handlers.documents.document_mapping import conversation_of, work_item_of
from handlers.events.event import Event
from handlers.options import Options
from handlers.outcome import HandledEvent, Retry
from handlers.ports import Document, Pair
from sync.conversation import Conversation
from sync.state.sync_state import SyncState
from worker.replay.captured_events import EPOCH, CapturedEvent
from worker.replay.environment import ReplayEnvironment, SequentialIds, time_after
from worker.replay.pairs.pair_archive import pair_in
from worker.replay.reenactment import ReenactedWrite, Revisions, reenact
from worker.replay.simulate import document_in, put
from worker.store.memory.store import MemoryStore
from worker.store.state_document import state_document

ExplorationStep = tuple[int, int]
"""`WRITE`, `DELIVER` or `REDELIVER`, and the number of the outside write."""
WRITE, DELIVER, REDELIVER = 0, 1, 2


class ExplorationState(Struct, frozen=True, kw_only=True):
    """`pending`: the numbers of the writes whose events are still to be delivered. `duplicates`: how many events may
    still be delivered a second time. `sync_writes`: how many writes our rules made.

    The documents' revisions determine `sync_writes`, so it is no part of the key.
    """

    store: MemoryStore
    written: tuple[ReenactedWrite, ...] = ()
    pending: frozenset[int] = frozenset()
    duplicates: int = 0
    sync_writes: int = 0
    at: datetime = EPOCH


class WriteHistory:
    """One conversation's outside writes in their captured order; makes the steps."""

    def __init__(self, conversation_id: str, writes: tuple[CapturedEvent, ...], start: Pair, options: Options) -> None:
        self.conversation_id = conversation_id
        self.writes = writes
        self._start = start
        # No rule reads an id of ours, so the order in which states take them does not matter.
        self._environment = ReplayEnvironment(options=options, ids=SequentialIds())

    def start(self, duplicates: int) -> ExplorationState:
        """The state before the first outside write."""
        store = MemoryStore.seeded({self.conversation_id: self._start})
        return ExplorationState(store=store, duplicates=duplicates)

    def steps(self, state: ExplorationState) -> list[ExplorationStep]:
        """The steps that may come next: the next write, then the deliveries in the order of the writes."""
        number = len(state.written)
        steps = [(WRITE, number)] if number < len(self.writes) else []
        steps += [(DELIVER, each) for each in sorted(state.pending)]
        if state.duplicates:
            steps += [(REDELIVER, each) for each in range(number) if each not in state.pending]
        return steps

    async def after(
        self, state: ExplorationState, step: ExplorationStep
    ) -> tuple[ExplorationState, HandledEvent | None]:
        """The state after a step, and for a delivery what it did. `state` is not changed. Raises NotReenacted."""
        kind, number = step
        if kind == WRITE:
            return self._write(state, number), None
        store = state.store.copy()
        handled = await self._environment.handle(state.written[number].event, store, state.at)
        await store.remove_entries([entry.id for entry in handled.announcements])
        # A message whose outcome is Retry becomes visible again, as if it had not been delivered.
        delivered = not isinstance(handled.outcome, Retry)
        after = replace(
            state,
            store=store,
            pending=state.pending - {number} if delivered else state.pending,
            duplicates=state.duplicates - 1 if kind == REDELIVER else state.duplicates,
            sync_writes=state.sync_writes + len(handled.announcements),
        )
        return after, handled

    async def polled(self, state: ExplorationState) -> ExplorationState:
        """The state after the gap polls, which decide where a field still waits though every event was delivered."""
        store, writes = state.store.copy(), 0
        async for polled, _ in self._environment.polls(self.conversation_id, store):
            writes += len(polled.announcements) if polled is not None else 0
        return replace(state, store=store, sync_writes=state.sync_writes + writes)

    def pair(self, state: ExplorationState) -> Pair:
        """The stored pair."""
        return pair_in(state.store, self.conversation_id)

    def key(self, state: ExplorationState) -> object:
        """Equal for two states that are the same (see the file's head)."""
        pair = self.pair(state)
        return (
            None if pair.conversation is None else _timeless(conversation_of(pair.conversation)),
            frozenset(_timeless_item(work_item_of(document)) for document in pair.work_items),
            _state_key(self.conversation_id, pair.state),
            tuple(map(_write_key, state.written)),
            state.pending,
            state.duplicates,
        )

    def step_text(self, step: ExplorationStep) -> str:
        """The step for a person, such as `deliver work-item 2`; the revision is the captured one."""
        kind, number = step
        event = self.writes[number].event
        items = {one.event.document_id for one in self.writes if one.event.side == "work-item"}
        which = f" of {event.document_id}" if event.side == "work-item" and len(items) > 1 else ""
        verb, suffix = ("write", "") if kind == WRITE else ("deliver", " again" if kind == REDELIVER else "")
        return f"{verb} {event.side} {event.rev}{which}{suffix}"

    def _write(self, state: ExplorationState, number: int) -> ExplorationState:
        captured = self.writes[number]
        at = time_after(state.at, captured.event.published_at)
        store = state.store.copy()
        before = document_in(store, captured.event)
        reenacted = reenact(captured.event, captured.raw, before, revisions=self._revisions(state), at=at)
        put(store, reenacted)
        return replace(state, store=store, written=(*state.written, reenacted), pending=state.pending | {number}, at=at)

    def _revisions(self, state: ExplorationState) -> Revisions:
        start = self._start.conversation
        revs = [
            (captured.event.rev, reenacted.event.rev)
            for captured, reenacted in zip(self.writes, state.written, strict=False)
            if captured.event.side == "conversation"
        ]
        return Revisions(start["rev"] if start is not None else 0, revs)


def _timeless(conversation: Conversation) -> Conversation:
    return replace(conversation, updated_at=None)


def _timeless_item(item: WorkItem) -> WorkItem:
    # Rule A6 reads whether the work-item was ever queued, and no rule reads how often.
    return replace(
        item,
        queued_count=min(item.queued_count, 1),
        first_enter_queue_at=None,
        last_revision=None,
        ivr=None,
        wrap_up=None,
        handle=None,
        resource_first_queue_time_ms=None,
        resource_first_route_time_ms=None,
        resource_first_assign_time_ms=None,
        completed_at=None,
        updated_at=None,
    )


def _state_key(conversation_id: str, state: SyncState) -> str:
    document = state_document(conversation_id, state)
    present = {name: bool(document.pop(name)) for name in ("version", "waitingSince", "finishedAt")}
    return json.dumps([document, present], sort_keys=True)


def _write_key(reenacted: ReenactedWrite) -> str:
    """What a delivery, the contract and a later write that names this one can see of the write."""
    event = reenacted.event
    seen: Mapping[str, Any] = {
        "rev": event.rev,
        "fields": sorted(event.changed_fields or ()),
        "knew": event.known_conversation_rev,
        "values": _shared_values(event, reenacted.document),
    }
    return json.dumps(seen, sort_keys=True)


def _shared_values(event: Event, document: Document) -> list[Any]:
    if event.side == "conversation":
        return sorted(event.values.items())
    item = work_item_of(document)
    return [item.status.value, item.assigned_to, item.queue, item.paused]
