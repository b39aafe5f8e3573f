"""The world of a batch test: a store, a clock, ids and the handler, and readings of what the store holds."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Self

import orjson
import pytest

from commands.session import Session, SessionPlace, SessionSlot, place_of
from commands.work_item import WorkItem
from handlers.batch_handler import BatchHandler
from handlers.documents.document import document_from_snapshot
from handlers.documents.document_mapping import conversation_of, work_item_of
from handlers.events.event import Event
from handlers.options import Options, PolicyInUse
from handlers.outcome import Done, HandledEvent, Retry
from handlers.ports import (
    CommitResult,
    Document,
    LoadRequest,
    Pair,
    Plan,
    PlanRejected,
    Store,
    StoreAway,
    StoreTimeout,
)
from handlers.routing.queue_rules import QueueRules
from sync.conversation import Conversation
from tests.handlers.small_ports import CountedIds, FixedChance, HandClock
from tests.handlers.wire_events import ORG, Json, read
from worker.store.documents import Collection
from worker.store.memory.store import MemoryStore

EITHER_POLICY: Final = pytest.mark.parametrize(
    "policy", [PolicyInUse.CAUSAL, PolicyInUse.LEGACY], ids=lambda policy: policy.value
)
USERS: Final = ("u-1", "u-2")
"""Users with a session each: u-1 has s-1."""


class World:
    """One store with a session for each of `USERS`, and the handler on it, or on a wrapper of it."""

    def __init__(
        self,
        wrapped: Callable[[Store], Store] | None = None,
        *,
        rules: QueueRules | None = None,
        **options: Any,
    ) -> None:
        self.store = MemoryStore()
        self.clock = HandClock()
        self.ids = CountedIds()
        for user in USERS:
            self.store.put_session(Session(id=f"s-{user[2:]}", user=user, capacity=10))
        self.outer: Store = wrapped(self.store) if wrapped else self.store
        self.handler = BatchHandler(
            store=self.outer,
            clock=self.clock,
            ids=self.ids,
            chance=FixedChance(),
            options=Options(**options),
            queue_rules=rules,
        )

    def put(self, *snapshots: Json) -> Self:
        """Store the snapshots as their owner would."""
        for data in snapshots:
            document = document_from_snapshot(data, org=ORG, rev=data["attributes"]["rev"])
            if data["type"] == "conversation":
                self.store.put_conversation(document)
            else:
                self.store.put_work_item(document)
        return self

    async def take(self, *things: object) -> list[HandledEvent]:
        """Read every event and handle them as one batch."""
        return await self.handle([read(thing) for thing in things])

    async def handle(self, events: Sequence[Event]) -> list[HandledEvent]:
        ends = await self.handler.handle(events)
        assert [end.event for end in ends] == list(events)
        return ends

    async def one(self, thing: object) -> HandledEvent:
        """Handle a batch of one."""
        [end] = await self.take(thing)
        return end

    def c(self, key: str = "c-1") -> Conversation:
        document = self.store.conversation(key)
        assert document is not None
        return conversation_of(document)

    def w(self, key: str = "w-1") -> WorkItem:
        document = self.store.work_item(key)
        assert document is not None
        return work_item_of(document)

    def announced(self) -> list[Json]:
        """The outbox, as messages."""
        return [orjson.loads(entry["message"]) for entry in self.store.documents(Collection.OUTBOX)]

    def stored(self) -> dict[Collection, Sequence[Document]]:
        """Every stored document but sessions and queues."""
        return {collection: self.store.documents(collection) for collection in Collection}

    def places(self) -> set[tuple[str, SessionPlace]]:
        """The work-items' places by the sessions."""
        held: set[tuple[str, SessionPlace]] = set()
        for user in USERS:
            session = self.store.session(f"s-{user[2:]}")
            assert session is not None
            for slot, entries in (
                (SessionSlot.WORK_ITEMS, session.work_items),
                (SessionSlot.PAUSED_WORK_ITEMS, session.paused_work_items),
            ):
                assert len({entry.id for entry in entries}) == len(entries)
                held |= {
                    (each.id, SessionPlace(session=session.id, slot=slot, item_size=each.item_size)) for each in entries
                }
            if session.pending_item is not None:
                place = SessionPlace(session=session.id, slot=SessionSlot.PENDING_ITEM, item_size=0)
                held.add((session.pending_item, place))
        return held

    def places_said(self) -> set[tuple[str, SessionPlace]]:
        """The work-items' places by the stored work-items."""
        items = [work_item_of(document) for document in self.store.documents(Collection.WORK_ITEMS)]
        places = ((item.id, place_of(item)) for item in items)
        return {(key, place) for key, place in places if place is not None}


def code_of(end: HandledEvent) -> str:
    """The reason of an outcome: a skip's gate, a retry's fault."""
    assert isinstance(end.outcome, Done | Retry)
    return end.outcome.reason


class WrappedStore:
    """A store that passes every call on and counts it."""

    def __init__(self, inner: Store) -> None:
        self.inner = inner
        self.loads: list[list[str]] = []
        self.commits: list[list[str]] = []

    async def load(self, wants: Sequence[LoadRequest]) -> Mapping[str, Pair]:
        self.loads.append([want.conversation_id for want in wants])
        return await self.inner.load(wants)

    async def commit(self, plans: Sequence[Plan]) -> Sequence[CommitResult | PlanRejected]:
        self.commits.append([plan.conversation_id for plan in plans])
        return await self.inner.commit(plans)


class DisturbedStore(WrappedStore):
    """A store on which another writer comes first: before the n-th commit, counted from 1, `meanwhile[n]` is called."""

    def __init__(self, inner: Store, meanwhile: Mapping[int, Callable[[], object]]) -> None:
        super().__init__(inner)
        self.meanwhile = meanwhile

    async def commit(self, plans: Sequence[Plan]) -> Sequence[CommitResult | PlanRejected]:
        self.meanwhile.get(len(self.commits) + 1, lambda: None)()
        return await super().commit(plans)


class LosingStore(WrappedStore):
    """A store on which the plans of one conversation lose the first `times` times."""

    def __init__(self, inner: Store, conversation_id: str, times: int) -> None:
        super().__init__(inner)
        self.conversation_id = conversation_id
        self.times = times

    async def commit(self, plans: Sequence[Plan]) -> Sequence[CommitResult | PlanRejected]:
        loses = {plan.conversation_id for plan in plans if plan.conversation_id == self.conversation_id}
        if not loses or self.times == 0:
            return await super().commit(plans)
        self.times -= 1
        self.commits.append([plan.conversation_id for plan in plans])
        fates = iter(await self.inner.commit([plan for plan in plans if plan.conversation_id not in loses]))
        return [CommitResult.CONFLICT if plan.conversation_id in loses else next(fates) for plan in plans]


class RejectingStore(WrappedStore):
    """A store that rejects the plans of one conversation."""

    def __init__(self, inner: Store, conversation_id: str) -> None:
        super().__init__(inner)
        self.conversation_id = conversation_id

    async def commit(self, plans: Sequence[Plan]) -> Sequence[CommitResult | PlanRejected]:
        rest = iter(await super().commit([plan for plan in plans if plan.conversation_id != self.conversation_id]))
        rejected = PlanRejected(conversation_id=self.conversation_id, reason="17825792 bytes")
        return [rejected if plan.conversation_id == self.conversation_id else next(rest) for plan in plans]


class AwayStore(WrappedStore):
    """A store that is away at `load`, or at `commit`."""

    def __init__(self, inner: Store, at: str) -> None:
        super().__init__(inner)
        self.at = at

    async def load(self, wants: Sequence[LoadRequest]) -> Mapping[str, Pair]:
        if self.at == "load":
            raise StoreAway("no server")
        return await super().load(wants)

    async def commit(self, plans: Sequence[Plan]) -> Sequence[CommitResult | PlanRejected]:
        if self.at == "commit":
            raise StoreAway("no primary")
        return await super().commit(plans)


class HalfAwayStore(WrappedStore):
    """A store that goes away once, in the middle of the first commit: only the first plan is committed.

    `missing`: the result of the other plans.
    """

    def __init__(self, inner: Store, missing: CommitResult = CommitResult.AWAY) -> None:
        super().__init__(inner)
        self.missing = missing

    async def commit(self, plans: Sequence[Plan]) -> Sequence[CommitResult | PlanRejected]:
        if self.commits:
            return await super().commit(plans)
        return [*await super().commit(plans[:1]), *(self.missing for _ in plans[1:])]


class SilentStore(WrappedStore):
    """A store that does not answer a commit with a plan of one conversation, and writes nothing of it."""

    def __init__(self, inner: Store, conversation_id: str) -> None:
        super().__init__(inner)
        self.conversation_id = conversation_id

    async def commit(self, plans: Sequence[Plan]) -> Sequence[CommitResult | PlanRejected]:
        if self.conversation_id in {plan.conversation_id for plan in plans}:
            self.commits.append([plan.conversation_id for plan in plans])
            raise StoreTimeout("no answer")
        return await super().commit(plans)
