"""Waiting times: the waits of work-items in queues, from events in any order and from stored documents."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

import pytest
from msgspec.structs import replace

from handlers.events.event import Event
from handlers.options import PolicyInUse
from handlers.ports import CommitResult, Document, LoadRequest, Pair, Plan, PlanRejected, Store
from handlers.routing.waiting_times import wait_of_document
from sync.state.sync_state import SyncState
from tests.causality.outside import ChangesForm
from tests.handlers.routing.queue_history import CONVERSATION, WORK_ITEM, HistoryWait, QueueHistory, counted
from tests.handlers.small_ports import START
from tests.handlers.wire_events import (
    LOST_ASSIGNMENT,
    UNASSIGN_WITHOUT_QUEUE,
    captured,
    changes,
    conversation,
    event,
    read,
    work_item,
)
from tests.handlers.world import EITHER_POLICY, World, WrappedStore, code_of
from worker.store.documents import Collection

SECOND: Final = 1_000
QUEUE: Final = {"queue": "q-1"}
ROUTE: Final = {"routed": {"to": "u-1"}}
ACCEPT: Final = {"accepted": {"by": "u-1"}}
REJECT: Final = {"routed": {"rejectedBy": "u-1"}}
DONE: Final = {"status": "completed"}


def _history(*writes: tuple[float, dict[str, Any]], **options: Any) -> QueueHistory:
    """The writes, each at so many seconds after the first."""
    history, at_s = QueueHistory(**options), 0.0
    for second, fields in writes:
        assert history.write(fields, after_ms=round((second - at_s) * SECOND)) is not None, fields
        at_s = second
    return history


def _wait(ended_s: float, seconds: float, queue: str = "q-1") -> HistoryWait:
    return HistoryWait(ended_at=START + timedelta(seconds=ended_s), queue=queue, duration_ms=round(seconds * SECOND))


def _world(**options: Any) -> World:
    return World(waiting_times=True, **options)


def _waits(world: World) -> list[HistoryWait]:
    return counted(world.store.documents(Collection.WAITS))


CASES: Final[dict[str, tuple[Any, list[HistoryWait]]]] = {
    "offered, accepted, done": ([(0, QUEUE), (25, ROUTE), (45, ACCEPT), (75, DONE)], [_wait(25, 25)]),
    "assigned, done": ([(0, QUEUE), (33, {"assignedTo": "u-1"}), (50, DONE)], [_wait(33, 33)]),
    "assigned and done in one write": ([(0, QUEUE), (9, {"assignedTo": "u-1", "status": "completed"})], [_wait(9, 9)]),
    "still waits": ([(0, QUEUE)], []),
    "done without an agent": ([(0, QUEUE), (9, DONE)], []),
    "taken out of the queue, then assigned": ([(0, QUEUE), (9, {"queue": None}), (20, {"assignedTo": "u-1"})], []),
    "taken out, assigned, then moved": (
        [(0, QUEUE), (9, {"queue": None}), (20, {"assignedTo": "u-1"}), (30, {"queue": "q-2"})], [],
    ),
    "never queued": ([(0, {"assignedTo": "u-1"}), (9, DONE)], []),
    "moved while it waits": ([(0, QUEUE), (9, {"queue": "q-2"}), (20, ROUTE)], [_wait(20, 11, "q-2")]),
    "moved and assigned in one write": ([(0, QUEUE), (9, {"queue": "q-2", "assignedTo": "u-1"})], [_wait(9, 9)]),
    "taken out and assigned in one write": ([(0, QUEUE), (9, {"queue": None, "assignedTo": "u-1"})], [_wait(9, 9)]),
    "put back: the wait goes on": (
        [(0, QUEUE), (25, ROUTE), (30, REJECT), (60, ROUTE), (70, ACCEPT)], [_wait(25, 25), _wait(60, 60)],
    ),
    "offered again": ([(0, QUEUE), (25, ROUTE), (30, {"routed": {"to": "u-2"}}), (40, {"accepted": {"by": "u-2"}})],
                      [_wait(25, 25)]),
    "queued again": (
        [(0, QUEUE), (25, ROUTE), (45, ACCEPT), (60, {"assignedTo": None}), (62, {"assignedTo": "u-2"})],
        [_wait(25, 25), _wait(62, 2)],
    ),
}  # fmt: skip


@EITHER_POLICY
@pytest.mark.parametrize(("writes", "waits"), CASES.values(), ids=CASES)
async def test_each_end_of_a_wait_has_one_record(policy: PolicyInUse, writes: Any, waits: list[HistoryWait]) -> None:
    """The two worked cases are the first two."""
    history = _history(*writes)
    assert history.waits == waits
    for events in (history.events, history.events[::-1]):
        world = _world(policy=policy)
        for one in (*events, *events):
            await world.handle([one])
        assert _waits(world) == waits
        together = _world(policy=policy)
        await together.handle([*events, *events])
        assert _waits(together) == waits


ONE_WRITE: Final = {
    "moved and assigned in one write": [_wait(9, 9, "q-2")],
    "taken out and assigned in one write": [],
}
"""Without `changes` the event does not say in which queue the work-item was before."""


@pytest.mark.parametrize("form", ["none", "unchanged relationships too"])
@pytest.mark.parametrize("case", CASES)
async def test_an_event_need_not_say_what_changed(form: ChangesForm, case: str) -> None:
    writes, waits = CASES[case]
    history = _history(*writes, form=form)
    for events in (history.events, history.events[::-1]):
        world = _world()
        for one in events:
            await world.handle([one])
        assert _waits(world) == (ONE_WRITE.get(case, waits) if form == "none" else waits)


async def test_switched_off_nothing_is_recorded() -> None:
    history = _history(*CASES["queued again"][0])
    world = World()
    await world.handle(history.events)
    assert _waits(world) == []
    assert world.store.state(CONVERSATION).recorded_wait is None


@pytest.mark.parametrize("incident", [LOST_ASSIGNMENT, UNASSIGN_WITHOUT_QUEUE])
async def test_no_captured_work_item_waited_until_an_agent_took_it(incident: str) -> None:
    """One left its queues by rule, was assigned later, and kept the `lastRevision` of its last queue."""
    world = _world()
    await world.take(*captured(incident))
    assert world.store.documents(Collection.WORK_ITEMS)
    assert world.store.documents(Collection.WAITS) == ()


# Lost events, and what is stored


async def test_a_later_event_tells_of_a_wait_whose_event_was_lost() -> None:
    history = _history(*CASES["offered, accepted, done"][0])
    world = _world()
    await world.handle([history.events[-1]])
    assert _waits(world) == [_wait(25, 25)]


async def test_a_later_offer_does_not_hide_when_the_wait_ended() -> None:
    history = _history(*CASES["offered again"][0])
    world = _world()
    await world.handle(history.events[-1:])
    assert _waits(world) == [_wait(25, 25)]


async def test_the_event_of_the_end_is_sure_whatever_its_times_are() -> None:
    """Another service may take `acceptedAt` some milliseconds after `queueTime`."""
    history = _history((0, QUEUE), (33, {"assignedTo": "u-1"}))
    ended = history.events[-1]
    last = {**ended.data["attributes"]["lastRevision"], "acceptedAt": "2024-05-06T07:08:42.257Z"}
    assert last["acceptedAt"] != ended.data["attributes"]["lastRevision"]["acceptedAt"]
    data = {**ended.data, "attributes": {**ended.data["attributes"], "lastRevision": last}}
    world = _world()
    await world.handle([replace(ended, data=data)])
    assert _waits(world) == [_wait(33, 33)]


async def test_a_return_to_the_queue_tells_of_the_wait_before_it() -> None:
    history = _history((0, QUEUE), (25, ROUTE), (30, REJECT))
    world = _world()
    await world.handle([history.events[-1]])
    assert _waits(world) == [_wait(25, 25)]


async def test_a_stored_work_item_tells_of_a_wait_whose_events_were_all_lost() -> None:
    history = _history(*CASES["offered, accepted, done"][0][:3])
    world = _world().put(conversation(3))
    world.store.put_work_item(history.document)
    await world.take(event(conversation(4, preview="the customer writes")))
    assert _waits(world) == [_wait(25, 25)]


async def test_the_event_of_the_end_corrects_the_queue_of_a_later_sighting() -> None:
    history = _history((0, QUEUE), (25, {"assignedTo": "u-1"}), (40, {"queue": "q-2"}))
    ended, moved = history.events[2:]
    world = _world()
    await world.handle([moved])
    assert _waits(world) == [_wait(25, 25, "q-2")]
    await world.handle([ended])
    assert _waits(world) == [_wait(25, 25)]
    await world.handle([moved])
    assert _waits(world) == [_wait(25, 25)]


async def test_without_a_queue_time_the_first_offer_counts_whatever_comes_first() -> None:
    """Another service may leave `queueTime` out."""
    history = _history(*CASES["offered again"][0])
    events = [_without_queue_time(one) for one in history.events]
    for order in (events, events[::-1], [*events, events[2]]):
        world = _world()
        for one in order:
            await world.handle([one])
        assert _waits(world) == [_wait(25, 25)]


async def test_without_a_queue_time_the_offer_ends_the_wait_and_not_the_acceptance() -> None:
    history = _history(*CASES["offered, accepted, done"][0])
    world = _world()
    await world.handle([_without_queue_time(history.events[-1])])
    assert _waits(world) == [_wait(25, 25)]


def _without_queue_time(one: Event) -> Event:
    last = one.data["attributes"].get("lastRevision")
    kept = None if last is None else {name: value for name, value in last.items() if "ueueTime" not in name}
    data = {**one.data, "attributes": {**one.data["attributes"], "lastRevision": kept}}
    return replace(one, data=data, status_change=None)


# Our own writes


async def test_a_sync_that_assigns_ends_the_wait_in_its_own_transaction() -> None:
    """The conversation is assigned 33 s after its work-item was queued."""
    history = _history((0, QUEUE))
    world = _world()
    await world.take(event(conversation(2, queue="q-1")))
    await world.handle(history.events)
    world.clock.at = START + timedelta(seconds=33)
    said = changes({"assignedUsers": ([], ["u-1"])})
    await world.take(event(conversation(3, queue="q-1", users=("u-1",)), changes=said, at=33))
    assert world.w().status == "assigned"
    assert _waits(world) == [_wait(33, 33)]
    # Its event comes back, here as a worker of another deployment reads it.
    [announced] = [one for one in map(read, world.announced()) if one.side == "work-item"]
    await world.handle([replace(announced, is_own_sync=False)])
    assert _waits(world) == [_wait(33, 33)]


async def test_a_sync_that_assigns_and_moves_ends_the_wait_in_the_queue_before() -> None:
    history = _history((0, QUEUE))
    world = _world()
    await world.take(event(conversation(2, queue="q-1")))
    await world.handle(history.events)
    world.clock.at = START + timedelta(seconds=33)
    said = changes({"assignedUsers": ([], ["u-1"])}, {"queue": ("q-1", "q-2")})
    await world.take(event(conversation(3, queue="q-2", users=("u-1",)), changes=said, at=33))
    assert (world.w().status, world.w().queue) == ("assigned", "q-2")
    assert _waits(world) == [_wait(33, 33)]


async def test_a_return_to_the_queue_by_a_sync_records_the_wait_that_is_stored() -> None:
    """The events of the first wait are lost, and the sync's own write replaces its `lastRevision`."""
    history = _history((0, QUEUE), (25, {"assignedTo": "u-1"}))
    # Policy `legacy` waits for no event.
    world = _world(policy=PolicyInUse.LEGACY).put(conversation(3, queue="q-1", users=("u-1",)))
    world.store.put_work_item(history.document)
    await world.take(event(conversation(4, queue="q-1"), changes=changes({"assignedUsers": (["u-1"], [])}), at=40))
    assert world.w().status == "queued"
    assert _waits(world) == [_wait(25, 25)]


async def test_two_waits_of_one_millisecond_are_one_record_and_no_conflict_for_ever() -> None:
    """Assigned, un-assigned and assigned again by syncs within the millisecond in which the work-item was queued."""
    history = _history((0, QUEUE))
    world = _world()
    world.clock.at = START
    await world.take(event(conversation(2, queue="q-1")))
    await world.handle(history.events)
    for rev, users in ((3, ("u-1",)), (4, ()), (5, ("u-1",))):
        said = changes({"assignedUsers": ([] if users else ["u-1"], list(users))})
        end = await world.one(event(conversation(rev, queue="q-1", users=users), changes=said))
        assert code_of(end) == "APPLIED"
    assert world.clock.slept == []
    assert _waits(world) == [_wait(0, 0)]


# Races and repetition


class CommitFirst(WrappedStore):
    """A store on which another handler handles the same events before the first commit."""

    def __init__(self, inner: Store, other: World, events: Sequence[Event]) -> None:
        super().__init__(inner)
        self.other, self.events = other, events

    async def commit(self, plans: Sequence[Plan]) -> Sequence[CommitResult | PlanRejected]:
        if not self.commits:
            await self.other.handle(self.events)
        return await super().commit(plans)


async def test_two_workers_with_the_same_events_record_each_wait_once() -> None:
    history = _history(*CASES["queued again"][0])
    other = _world()
    world = _world(wrapped=lambda _: CommitFirst(other.store, other, history.events))
    await world.handle(history.events)
    assert isinstance(world.outer, CommitFirst)
    assert len(world.outer.commits) == 2
    assert counted(other.store.documents(Collection.WAITS)) == history.waits


async def test_what_is_recorded_is_not_looked_up_again() -> None:
    history = _history(*CASES["offered, accepted, done"][0])
    asked: list[int] = []

    class Counting(WrappedStore):
        async def load(self, wants: Sequence[LoadRequest]) -> Mapping[str, Pair]:
            pairs = await super().load(wants)
            asked.extend(len(pair.waits.sightings) for pair in pairs.values() if pair.waits is not None)
            return pairs

    world = _world(wrapped=Counting)
    for one in (*history.events, *history.events):
        await world.handle([one])
    # Created, queued, offered; then repeated by every later event, and shown by the stored work-item to every other.
    assert asked == [0, 0, 1, *[0] * 7]


async def test_a_repeated_event_writes_nothing() -> None:
    history = _history(*CASES["offered, accepted, done"][0])
    world = _world()
    await world.handle(history.events)
    before = world.stored()
    for one in history.events:
        await world.handle([one])
    assert world.stored() == before


async def test_a_state_without_the_name_of_the_record_changes_no_record() -> None:
    """The state expired, and an old event comes late."""
    history = _history(*CASES["offered, accepted, done"][0])
    world = _world()
    await world.handle(history.events)
    records = world.store.documents(Collection.WAITS)
    world.store.put_state(CONVERSATION, SyncState())
    await world.handle([history.events[2]])
    assert world.store.documents(Collection.WAITS) == records
    assert world.store.state(CONVERSATION).recorded_wait is not None


# Values of other services

GOOD: Final[dict[str, Any]] = {
    "enteredQueueAt": "2024-05-06T07:08:09.250Z", "queueTime": 25_000, "routedAt": "2024-05-06T07:08:34.250Z",
}  # fmt: skip


def _document(last_revision: Any, queue: Any = "q-1") -> Document:
    data = work_item(3, queue="q-1", status="routed", lastRevision=last_revision)
    data["relationships"]["queue"] = {"data": {"id": queue}}
    return {**data, "_id": WORK_ITEM, "rev": 3, "org": "o"}


def test_the_record_is_named_by_the_beginning_and_the_time() -> None:
    found = wait_of_document(_document(GOOD))
    assert found is not None
    assert (found.id, found.rev, found.duration_ms) == ("w-1:1714979289250:25000", 4, 25_000)
    # The same instant in another form.
    assert wait_of_document(_document({**GOOD, "enteredQueueAt": "2024-05-06T09:08:09.25+02:00"})) == found


@pytest.mark.parametrize(
    "last_revision",
    [
        None,
        "text",
        [],
        {},
        {**GOOD, "enteredQueueAt": None},
        {**GOOD, "enteredQueueAt": "yesterday"},
        {**GOOD, "enteredQueueAt": 7},
        {**GOOD, "enteredQueueAt": "9999-12-31T23:59:59.999Z"},
        {**GOOD, "enteredQueueAt": "1999-05-06T07:08:09.250Z", "queueTime": None},
        {**GOOD, "routedAt": None},
        {**GOOD, "queueTime": -1},
        {**GOOD, "queueTime": 10**30},
        {**GOOD, "queueTime": "25"},
        {**GOOD, "queueTime": 2.5},
    ],
    ids=repr,
)
def test_what_another_service_wrote_in_another_form_is_no_wait(last_revision: Any) -> None:
    assert wait_of_document(_document(last_revision)) is None


def test_a_work_item_that_is_queued_waits_on_whatever_its_last_revision_says() -> None:
    """Another service may keep the times of the queue pass before."""
    document = _document(GOOD)
    assert wait_of_document({**document, "attributes": {**document["attributes"], "status": "queued"}}) is None


@pytest.mark.parametrize("queue", [None, 7, {"$ne": 1}], ids=repr)
def test_without_a_queue_there_is_no_wait(queue: Any) -> None:
    assert wait_of_document(_document(GOOD, queue)) is None


@pytest.mark.parametrize("changed", [{"_id": 7}, {"rev": None}, {"attributes": None}, {"relationships": []}], ids=repr)
def test_an_unreadable_document_shows_no_wait(changed: dict[str, Any]) -> None:
    assert wait_of_document({**_document(GOOD), **changed}) is None
