"""Properties that hold after any sequence of updates, from every origin, by both engines, on items that share sessions.

`make test` runs them for a few seconds; `HYPOTHESIS_PROFILE=deep` runs thousands of sequences.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from hypothesis import event, example, given
from msgspec.structs import replace

from commands.engines.rollout import DEFAULT_ROLLOUT, Engine
from commands.execute import Applied, Refused, Unchanged
from commands.instant import parse_instant
from commands.reason import RefusalCode
from commands.session import SessionMove, SessionSlot, apply_moves, move_between, place_of
from commands.update import QueueChoice
from commands.work_item import Status, WorkItem
from tests.commands.desk import SESSIONS, Desk, DeskStep, StepResult, desk, sequences
from tests.commands.items import CONTEXT, LEGACY, T0, Json, parsed

SAID_ONCE: Final = (
    "first_enter_queue_at",
    "resource_created_at",
    "resource_first_queue_time_ms",
    "resource_first_route_time_ms",
    "resource_first_assign_time_ms",
    "completed_at",
)
ONLY_GROW: Final = ("ivr", "ivr business", "wrapUp", "handle")


def check_places(state: Desk, *, overwrites: bool) -> None:
    """The sessions' lists agree with the items' places, and no item is in two lists.

    `overwrites`: the funnel took part, and its offers replace earlier ones on the same session."""
    for item, listed in state.places().items():
        assert len(listed) <= 1, f"{item} is listed twice: {listed}"
        place = place_of(state.items[item])
        expected = [] if place is None else [(place.session, place.slot, place.item_size)]
        if overwrites and place is not None and place.slot is SessionSlot.PENDING_ITEM:
            assert listed in (expected, []), item
        else:
            assert listed == expected, item


def check_capacity(state: Desk) -> None:
    """Used capacity is the sum of the items' sizes, free capacity the rest."""
    for session in state.sessions.values():
        placed = [place_of(item) for item in state.items.values()]
        here = [place for place in placed if place is not None and place.session == session.id]
        assert session.used_capacity == sum(place.item_size for place in here if place.slot is SessionSlot.WORK_ITEMS)
        assert len(session.paused_work_items) == sum(place.slot is SessionSlot.PAUSED_WORK_ITEMS for place in here)
        assert 0 <= session.free_capacity <= session.capacity


def check_item(before: WorkItem, after: WorkItem) -> None:
    """Counters only grow, fields that are set once stay, and no time is negative or lost."""
    assert after.rev == before.rev + 1
    assert after.queued_count in (before.queued_count, before.queued_count + 1)
    for name in SAID_ONCE:
        said = getattr(before, name)
        assert said is None or getattr(after, name) == said, f"{name} is said once"
    earlier, later = times(before), times(after)
    assert all(value >= 0 for value in later.values()), later
    for name in ONLY_GROW:
        assert later.get(name, 0) >= earlier.get(name, 0), f"{name} only grows"
    for record in ("ivr", "wrap_up", "handle"):
        kept, now = getattr(before, record), getattr(after, record)
        assert kept is None or now.other == kept.other, f"of {record} nothing is lost"
    check_pass(before, after)
    if not after.active:
        assert (after.session, place_of(after)) == (None, None)
        assert after.completed_at is not None


def check_pass(before: WorkItem, after: WorkItem) -> None:
    """`lastRevision` starts anew only where the item enters a queue or is put back into it."""
    anew = after.status is Status.QUEUED and (
        before.status is not Status.QUEUED or after.queued_count > before.queued_count
    )
    old, new = before.last_revision, after.last_revision
    if anew:
        assert new is not None
        assert (new.queue_time_ms, new.queue_business_time_ms, new.routed_at, new.accepted_at) == (None,) * 4
        return
    if old is None:
        return
    assert new is not None
    assert new.entered_queue_at == old.entered_queue_at
    assert new.other == old.other
    if old.routed_at is not None and new.routed_at != old.routed_at:
        assert after.status is Status.ROUTED, "only an offer says routedAt again"
        assert new.routed_at is not None
    if old.accepted_at is not None and new.accepted_at != old.accepted_at:
        assert before.status not in (Status.ASSIGNED, Status.WRAP_UP), "it is the same handling"
        assert after.status in (Status.ASSIGNED, Status.WRAP_UP, Status.COMPLETED)
        assert after.assigned_to is not None
        assert new.accepted_at is not None
    for name in ("queue_time_ms", "queue_business_time_ms"):
        assert getattr(old, name) is None or getattr(new, name) == getattr(old, name), f"{name} is not lost"


def check_reason(taken: StepResult) -> None:
    """Every change has its reason, and an update that writes nothing changes nothing."""
    step, result, update = taken.step, taken.result, parsed(taken.step.update)
    command = result.command
    assert command.origin is step.origin
    assert command.fields == tuple(update.as_wire())
    assert command.composed is (command.engine is Engine.COMPOSED)
    assert set(command.dropped) < set(command.fields)
    assert not (command.composed and command.dropped)
    match result:
        case Applied(after=after, reason=reason):
            same_but_for_the_revision = replace(after, rev=taken.before.rev, updated_at=taken.before.updated_at)
            assert same_but_for_the_revision != taken.before, "a revision for nothing"
            assert reason.meta["data"] == {**update.as_wire(), "rev": taken.before.rev}
            assert command.actions, "a change without an action"
            assert reason.meta["actions"] == list(command.actions)
            assert reason.meta["composed"] is command.composed
            assert reason.meta["commandName"] == command.name
            assert result.move == move_between(taken.before, after)
        case Unchanged():
            assert taken.after is taken.before
            assert not command.composed or command.actions == (), "actions that changed nothing"
        case Refused(refusal=refusal):
            assert taken.after is taken.before
            assert command.actions == ()
            assert refusal.message
            assert (
                (refusal.code is RefusalCode.WORK_ITEM_COMPLETED) or taken.before.active or "fields" in refusal.message
            )


def times(item: WorkItem) -> dict[str, int]:
    """Every duration that an item holds, milliseconds."""
    last, ivr, wrap_up, handle = item.last_revision, item.ivr, item.wrap_up, item.handle
    said: dict[str, int | None] = {
        "queue": last.queue_time_ms if last else None,
        "queue business": last.queue_business_time_ms if last else None,
        "ivr": ivr.time_ms if ivr else None,
        "ivr business": ivr.business_time_ms if ivr else None,
        "wrapUp": wrap_up.time_ms if wrap_up else None,
        "handle": handle.time_ms if handle else None,
        "first queue": item.resource_first_queue_time_ms,
        "first route": item.resource_first_route_time_ms,
        "first assign": item.resource_first_assign_time_ms,
    }
    return {name: value for name, value in said.items() if value is not None}


OFFERED_AND_WRAPPED_UP: Final[list[tuple[Json, ...]]] = [
    ({"queue": {"id": "q1"}}, {"routed": {"to": "u1"}}, {"assignedTo": "u2", "status": "wrap-up"}, {"paused": True}),
    ({"queue": {"id": "q1"}}, {"routed": {"to": "u1"}}, {"status": "wrap-up"}, {"assignedTo": None}, {"resume": True}),
]


def by(rollout: Any, updates: tuple[Json, ...]) -> list[DeskStep]:
    return [DeskStep(item="w1", update=update, seconds=1, rollout=rollout) for update in updates]


@example(steps=by(DEFAULT_ROLLOUT, OFFERED_AND_WRAPPED_UP[0]))
@example(steps=by(LEGACY, OFFERED_AND_WRAPPED_UP[0]))
@example(steps=by(DEFAULT_ROLLOUT, OFFERED_AND_WRAPPED_UP[1]))
@example(steps=by(LEGACY, OFFERED_AND_WRAPPED_UP[1]))
@given(steps=sequences())
def test_any_sequence_of_updates_on_items_that_share_sessions(steps: list[DeskStep]) -> None:
    state, overwrites = desk(), False
    for step in steps:
        taken = state.take(step)
        overwrites = overwrites or not taken.result.command.composed
        event(f"{type(taken.result).__name__} by {taken.result.command.engine.value}")
        check_reason(taken)
        if isinstance(taken.result, Applied):
            check_item(taken.before, taken.after)
        check_places(state, overwrites=overwrites)
        check_capacity(state)


@given(steps=sequences())
def test_moves_applied_at_once_end_as_moves_applied_one_by_one(steps: list[DeskStep]) -> None:
    """A transaction applies a batch's moves together."""
    one_by_one = desk()
    moves: list[SessionMove] = []
    for step in steps:
        result = one_by_one.take(step).result
        moves += [result.move] if isinstance(result, Applied) and result.move else []
    assert dict(SESSIONS) | apply_moves(SESSIONS, moves) == one_by_one.sessions


@given(steps=sequences())
def test_the_composed_engine_is_idempotent(steps: list[DeskStep]) -> None:
    """At the same instant, from the same origin: no revision, no event, no second count."""
    state = desk()
    for step in steps:
        first = state.take(step)
        put_back = "routed" in step.update and "to" not in step.update["routed"]
        if not isinstance(first.result, Applied) or not first.result.command.composed:
            continue
        if put_back or not first.after.active:
            continue
        if found_the_same_queue_the_first_time(first) or went_to_wrap_up_with_its_agent(first):
            continue
        second = state.take(replace(step, seconds=0))
        assert isinstance(second.result, Unchanged), (first, second)


def went_to_wrap_up_with_its_agent(taken: StepResult) -> bool:
    """The table's second exception: from wrap-up `assignedTo` assigns, the same user too, and the work-item takes the
    session that is best by now. From any other status the same update leaves it where it is, or takes the best one
    with the size that the work-item had before."""
    to_wrap_up = taken.after.status is Status.WRAP_UP is not taken.before.status
    return to_wrap_up and isinstance(parsed(taken.step.update).assigned_to, str)


def found_the_same_queue_the_first_time(taken: StepResult) -> bool:
    """The table's first exception: while queued the same queue changes nothing, even where the queue has another size
    or priority by now. From any other status the same update takes them."""
    choice, before = parsed(taken.step.update).queue, taken.before
    if not isinstance(choice, QueueChoice) or before.status is not Status.QUEUED:
        return False
    known = CONTEXT.queues.get(before.queue or "")
    if known is None or CONTEXT.queue_id(choice) != known.id:
        return False
    return (before.item_size, before.priority) != (
        known.item_size or before.item_size,
        known.priority or before.priority,
    )


@dataclass(slots=True)
class TimeLedger:
    """An item's times, kept independently: how long it was in which status, and since when it waits."""

    since: datetime = T0
    waits_since: datetime | None = None
    spent: Counter[str] = field(default_factory=Counter)
    first: dict[str, int] = field(default_factory=dict)

    def note(self, taken: StepResult, now: datetime) -> None:
        before, after = taken.before, taken.after
        if after.queued_count > before.queued_count:
            kept = (taken.step.update.get("queue") or {}).get("enteredAt")
            self.waits_since = parse_instant(kept) if kept else now
        if before.status is after.status:
            return
        if before.status is Status.IVR:
            self.spent["ivr"] += milliseconds(now - self.since)
        elif before.status is Status.WRAP_UP:
            self.spent["wrapUp"] += milliseconds(now - self.since)
        elif before.status is Status.ASSIGNED and after.status is not Status.ROUTED:
            self.spent["handle"] += milliseconds(now - self.since)
        elif before.status is Status.QUEUED:
            waited = milliseconds(now - self.waits_since) if self.waits_since else 0
            assert after.last_revision is not None
            assert after.last_revision.queue_time_ms == after.last_revision.queue_business_time_ms == waited
        self.since = now
        update, ended = taken.step.update, after.status in (Status.WRAP_UP, Status.COMPLETED)
        handled_before = before.status in (Status.ASSIGNED, Status.WRAP_UP)
        if taken.result.command.composed and update.get("assignedTo") and ended and not handled_before:
            self.first.setdefault("assigned", milliseconds(now - T0))
        self.first.setdefault(after.status.value, milliseconds(now - T0))


def milliseconds(span: timedelta) -> int:
    return span // timedelta(milliseconds=1)


@example(
    steps=by(
        DEFAULT_ROLLOUT,
        ({"assignedTo": "u1"}, {"status": "wrap-up"}, {"resume": True}, {"status": "wrap-up"}, {"status": "completed"}),
    )
)
@given(steps=sequences(earliest=0))
def test_no_time_is_lost_and_none_is_counted_twice(steps: list[DeskStep]) -> None:
    """While clocks only go forward, every timing record agrees with the ledger."""
    state, ledgers = desk(), {item: TimeLedger() for item in desk().items}
    for step in steps:
        taken = state.take(step)
        ledger = ledgers[step.item]
        ledger.note(taken, state.now)
        said = times(taken.after)
        assert {name: said.get(name, 0) for name in ("ivr", "wrapUp", "handle")} == {
            name: ledger.spent[name] for name in ("ivr", "wrapUp", "handle")
        }
        assert said.get("ivr business", 0) == said.get("ivr", 0)
        for name, status in (("first queue", "queued"), ("first route", "routed"), ("first assign", "assigned")):
            assert said.get(name) == ledger.first.get(status), name
