"""A state of the exploration: what is stored, what was written outside, and which events are still to be delivered.

Two ways to the same state go on alike, so it is explored once and its ways are counted. What tells two states apart
is what a rule, a command or the contract could see of them; when something was written is not among it.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from commands.work_item import WorkItem
from handlers.documents.nouns import conversation_of, work_item_of
from handlers.events.event import Event
from handlers.options import Options
from handlers.outcome import HandledEvent, Retry
from handlers.ports import Document
from sync.conversation import Conversation
from worker.replay.captured_events import CapturedEvent
from worker.replay.clock import EPOCH, CountedIds, later
from worker.replay.environment import ReplayEnvironment
from worker.replay.pair_archive import PairState
from worker.replay.reenactment import ReenactedWrite, Revisions, reenact
from worker.replay.simulate import document_in, put
from worker.store.memory import MemoryStore
from worker.store.state_document import state_document

NOTHING_IS_OLD_SECONDS = 1e9
"""An order of events is explored as if all of it fell into the time in which an event may be in flight."""

ExplorationStep = tuple[int, int]
"""What is done, `WRITE`, `DELIVER` or `AGAIN`, and the number of the outside write."""
WRITE, DELIVER, AGAIN = 0, 1, 2


class ExplorationState(Struct, frozen=True, kw_only=True):
    """`pending`: the writes whose events were not delivered yet; `again`: how many may be delivered once more.

    `sync_writes` is told by the documents' revisions, so it is no part of the key.
    """

    store: MemoryStore
    written: tuple[ReenactedWrite, ...] = ()
    pending: frozenset[int] = frozenset()
    again: int = 0
    sync_writes: int = 0
    at: datetime = EPOCH


class WriteHistory:
    """One conversation's outside writes in the order in which they were captured, and how each step is done."""

    def __init__(
        self, conversation_id: str, writes: tuple[CapturedEvent, ...], start: PairState, options: Options
    ) -> None:
        self.conversation_id = conversation_id
        self.writes = writes
        self._start = start
        # Ids end up in no document that a rule looks at.
        self._environment = ReplayEnvironment(
            options=replace(options, gap_seconds=NOTHING_IS_OLD_SECONDS), ids=CountedIds()
        )
        self._poll = ReplayEnvironment(options=options, ids=CountedIds())

    async def start(self, again: int) -> ExplorationState:
        """Before anything was written outside."""
        return ExplorationState(store=await self._start.store(self.conversation_id), again=again)

    def steps(self, state: ExplorationState) -> list[ExplorationStep]:
        """What can come next: a write first, then the deliveries, in the order of the writes."""
        number = len(state.written)
        steps = [(WRITE, number)] if number < len(self.writes) else []
        steps += [(DELIVER, each) for each in sorted(state.pending)]
        if state.again:
            steps += [(AGAIN, each) for each in range(number) if each not in state.pending]
        return steps

    async def after(
        self, state: ExplorationState, step: ExplorationStep
    ) -> tuple[ExplorationState, HandledEvent | None]:
        """The state after a step, and a delivery's end. The state given stays as it is. Raises NotReenacted."""
        what, number = step
        if what == WRITE:
            return self._write(state, number), None
        store = state.store.copy()
        end = await self._environment.handle(state.written[number].event, store, state.at)
        await store.remove_entries([entry.id for entry in end.announcements])
        # A message that ended with a fault comes back: it is as if it had not been delivered.
        delivered = not isinstance(end.outcome, Retry)
        after = replace(
            state,
            store=store,
            pending=state.pending - {number} if delivered else state.pending,
            again=state.again - 1 if what == AGAIN else state.again,
            sync_writes=state.sync_writes + len(end.announcements),
        )
        return after, end

    async def polled(self, state: ExplorationState) -> ExplorationState:
        """The state once the poll has taken up what waits though everything was delivered."""
        due = self._poll.poll_due(self.pair_state(state))
        if due is None:
            return state
        store = state.store.copy()
        polled = await self._poll.poll(self.conversation_id, store, due)
        writes = len(polled.announcements) if polled is not None else 0
        return replace(state, store=store, sync_writes=state.sync_writes + writes)

    def pair_state(self, state: ExplorationState) -> PairState:
        """What is stored."""
        return PairState.of(self.conversation_id, state.store)

    def key(self, state: ExplorationState) -> object:
        """The same for two states that go on alike."""
        pair_state = self.pair_state(state)
        return (
            None if pair_state.conversation is None else _timeless(conversation_of(pair_state.conversation)),
            frozenset(_timeless_item(work_item_of(document)) for document in pair_state.work_items),
            _state_key(self.conversation_id, pair_state),
            tuple(map(_write_key, state.written)),
            state.pending,
            state.again,
        )

    def named(self, step: ExplorationStep) -> str:
        """The step as a person reads it; the revision is the captured one."""
        what, number = step
        event = self.writes[number].event
        items = {one.event.document_id for one in self.writes if one.event.side == "work-item"}
        which = f" of {event.document_id}" if event.side == "work-item" and len(items) > 1 else ""
        verb, suffix = ("write", "") if what == WRITE else ("deliver", " again" if what == AGAIN else "")
        return f"{verb} {event.side} {event.rev}{which}{suffix}"

    def _write(self, state: ExplorationState, number: int) -> ExplorationState:
        captured = self.writes[number]
        at = later(state.at, captured.event.published_at)
        store = state.store.copy()
        before = document_in(store, captured.event)
        reenacted = reenact(captured.event, captured.raw, before, revisions=self._revisions(state), at=at)
        put(store, reenacted)
        return replace(state, store=store, written=(*state.written, reenacted), pending=state.pending | {number}, at=at)

    def _revisions(self, state: ExplorationState) -> Revisions:
        start = self._start.conversation
        done = zip(self.writes, state.written, strict=False)
        pairs = [(one.event.rev, did.event.rev) for one, did in done if one.event.side == "conversation"]
        return Revisions(start["rev"] if start is not None else 0, pairs)


def _timeless(conversation: Conversation) -> Conversation:
    return replace(conversation, updated_at=None)


def _timeless_item(item: WorkItem) -> WorkItem:
    return replace(
        item,
        queued_count=0,
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


def _state_key(conversation_id: str, pair_state: PairState) -> str:
    document = state_document(conversation_id, pair_state.state)
    known = {name: bool(document.pop(name)) for name in ("version", "waitingSince", "finishedAt")}
    return json.dumps([document, known], sort_keys=True)


def _write_key(reenacted: ReenactedWrite) -> str:
    """What a delivery, the contract and a later write that names it could see of a write."""
    event = reenacted.event
    seen: Mapping[str, Any] = {
        "rev": event.rev,
        "fields": sorted(event.fields),
        "knew": event.knew,
        "values": _shared(event, reenacted.document),
    }
    return json.dumps(seen, sort_keys=True)


def _shared(event: Event, document: Document) -> list[Any]:
    if event.side == "conversation":
        return sorted(event.values.items())
    item = work_item_of(document)
    return [item.status.value, item.assigned_to, item.queue, item.paused]
