"""Timings: each row of the table in docs/commands.md, and the edges of time."""

from datetime import datetime, timedelta
from itertools import product
from typing import Any, Final

import pytest
from msgspec.structs import replace

from commands.execute import Applied, execute
from commands.timings import always_open, elapsed_ms
from commands.work_item import HandleDuration, QueuePass, Status, StatusDuration, WorkItem
from tests.commands.items import CONTEXT, NOW, T0, Json, applied, json_of, parsed
from tests.commands.space import brief, starts

SECOND: Final = timedelta(seconds=1)
WAITED_MS: Final = 806_158
"""Milliseconds from T0 to NOW."""


def a(status: Status, **fields: Any) -> WorkItem:
    return WorkItem(id="w", rev=1, status=status, resource_created_at=T0 - SECOND, **fields)


def after_updates(item: WorkItem, *steps: tuple[float, Json]) -> WorkItem:
    """The work-item after the updates, each so many seconds after T0."""
    for seconds, update in steps:
        item = applied(item, update, now=T0 + seconds * SECOND)
    return item


class TestQueued:
    def test_becomes_queued_a_new_pass_begins(self) -> None:
        old = QueuePass(entered_queue_at=T0, queue_time_ms=5, queue_business_time_ms=5, accepted_at=T0)
        item = applied(a(Status.IVR, last_revision=old), {"queue": "q1"})
        assert item.last_revision == QueuePass(entered_queue_at=NOW)

    def test_first_queue_time_counts_from_the_conversations_creation_once(self) -> None:
        item = after_updates(a(Status.IVR), (2, {"queue": "q1"}))
        assert item.resource_first_queue_time_ms == 3000
        assert after_updates(item, (3, {"queue": None}), (9, {"queue": "q2"})).resource_first_queue_time_ms == 3000

    def test_first_queue_time_is_not_known_where_the_creation_is_not(self) -> None:
        item = applied(replace(a(Status.IVR), resource_created_at=None), {"queue": "q1"})
        assert item.resource_first_queue_time_ms is None

    def test_leaves_queued_the_wait_is_written(self) -> None:
        item = applied(a(Status.QUEUED, queue="q1", last_revision=QueuePass(entered_queue_at=T0)), {"queue": None})
        assert item.last_revision == QueuePass(
            entered_queue_at=T0, queue_time_ms=WAITED_MS, queue_business_time_ms=WAITED_MS
        )

    @pytest.mark.parametrize(
        "update",
        [{"assignedTo": "u1"}, {"status": "wrap-up"}, {"status": "completed"}, {"routed": {"to": "u1"}},
         {"queue": "q2", "assignedTo": "u1"}],
        ids=str,
    )  # fmt: skip
    def test_leaves_queued_for_any_status(self, update: Json) -> None:
        item = applied(a(Status.QUEUED, queue="q1", last_revision=QueuePass(entered_queue_at=T0)), update)
        assert item.last_revision is not None
        assert item.last_revision.queue_time_ms == WAITED_MS
        assert item.last_revision.entered_queue_at == T0

    def test_a_wait_without_a_known_start_counts_as_0(self) -> None:
        item = applied(a(Status.QUEUED, queue="q1"), {"queue": None})
        assert item.last_revision == QueuePass(queue_time_ms=0, queue_business_time_ms=0)

    def test_another_queue_while_queued_is_no_leaving(self) -> None:
        item = applied(a(Status.QUEUED, queue="q1", last_revision=QueuePass(entered_queue_at=T0)), {"queue": "q2"})
        assert item.last_revision == QueuePass(entered_queue_at=NOW)
        assert item.resource_first_queue_time_ms is None


class TestIvr:
    def test_becomes_ivr(self) -> None:
        item = applied(a(Status.ASSIGNED, assigned_to="u1"), {"assignedTo": None})
        assert item.ivr == StatusDuration(entered_at=NOW)

    def test_leaves_ivr_the_stay_is_added_and_the_entry_goes(self) -> None:
        item = applied(
            a(Status.IVR, ivr=StatusDuration(entered_at=T0, time_ms=42, business_time_ms=41)), {"queue": "q1"}
        )
        assert item.ivr == StatusDuration(entered_at=None, time_ms=42 + WAITED_MS, business_time_ms=41 + WAITED_MS)

    def test_leaves_ivr_0_where_the_entry_is_not_known(self) -> None:
        assert applied(a(Status.IVR), {"queue": "q1"}).ivr == StatusDuration(time_ms=0, business_time_ms=0)

    def test_stays_add_up(self) -> None:
        item = after_updates(
            a(Status.IVR, ivr=StatusDuration(entered_at=T0)),
            (1, {"queue": "q1"}),
            (5, {"queue": None}),
            (7, {"queue": "q1"}),
        )
        assert item.ivr == StatusDuration(time_ms=3000, business_time_ms=3000)


class TestRoutedAndAssigned:
    def test_becomes_routed(self) -> None:
        item = applied(
            a(Status.QUEUED, queue="q1", last_revision=QueuePass(entered_queue_at=T0)), {"routed": {"to": "u1"}}
        )
        assert item.last_revision is not None
        assert item.last_revision.routed_at == NOW
        assert item.resource_first_route_time_ms == WAITED_MS + 1000

    def test_first_route_time_once(self) -> None:
        item = after_updates(
            a(Status.QUEUED, queue="q1", last_revision=QueuePass(entered_queue_at=T0)),
            (1, {"routed": {"to": "u1"}}), (2, {"routed": {"timedOut": "u1"}}), (8, {"routed": {"to": "u2"}}),
        )  # fmt: skip
        assert item.resource_first_route_time_ms == 2000
        assert item.last_revision is not None
        assert item.last_revision.routed_at == T0 + 8 * SECOND

    def test_becomes_assigned(self) -> None:
        item = applied(a(Status.IVR), {"assignedTo": "u1"})
        assert item.last_revision == QueuePass(accepted_at=NOW)
        assert item.resource_first_assign_time_ms == WAITED_MS + 1000

    def test_first_assign_time_once(self) -> None:
        item = after_updates(
            a(Status.IVR), (1, {"assignedTo": "u1"}), (2, {"assignedTo": None}), (8, {"assignedTo": "u2"})
        )
        assert item.resource_first_assign_time_ms == 2000

    def test_another_assignee_is_no_change_of_status(self) -> None:
        item = after_updates(a(Status.IVR), (1, {"assignedTo": "u1"}), (2, {"assignedTo": "u2"}))
        assert item.last_revision == QueuePass(accepted_at=T0 + SECOND)


class TestWrapUpAndHandle:
    def test_becomes_wrap_up_from_assigned(self) -> None:
        item = after_updates(a(Status.IVR), (1, {"assignedTo": "u1"}), (4, {"status": "wrap-up"}))
        assert item.wrap_up is not None
        assert item.wrap_up.entered_at == T0 + 4 * SECOND
        assert item.handle == HandleDuration(time_ms=3000)

    @pytest.mark.parametrize("status", [Status.IVR, Status.QUEUED, Status.ROUTED])
    def test_wrap_up_from_another_status_than_assigned_has_no_handle_time(self, status: Status) -> None:
        item = applied(a(status, queue="q1", routed_to="u1"), {"status": "wrap-up"})
        assert item.handle is None
        assert item.wrap_up is not None
        assert item.wrap_up.entered_at == NOW

    def test_leaves_wrap_up_the_stay_is_added(self) -> None:
        item = after_updates(
            a(Status.IVR),
            (1, {"status": "wrap-up"}), (3, {"resume": True}), (10, {"status": "wrap-up"}), (15, {"resume": True}),
        )  # fmt: skip
        assert item.wrap_up is not None
        assert item.wrap_up.time_ms == 2000 + 5000

    def test_completed_from_wrap_up_adds_the_stay_and_no_handle_time(self) -> None:
        item = after_updates(
            a(Status.IVR), (1, {"assignedTo": "u1"}), (4, {"status": "wrap-up"}), (9, {"status": "completed"})
        )
        assert item.wrap_up is not None
        assert item.wrap_up.time_ms == 5000
        assert item.handle == HandleDuration(time_ms=3000)
        assert item.completed_at == T0 + 9 * SECOND

    def test_completed_from_assigned_adds_the_handle_time(self) -> None:
        item = after_updates(a(Status.IVR), (1, {"assignedTo": "u1"}), (4, {"status": "completed"}))
        assert item.handle == HandleDuration(time_ms=3000)
        assert item.completed_at == T0 + 4 * SECOND
        assert item.wrap_up is None

    @pytest.mark.parametrize("last", ["wrap-up", "completed"])
    def test_after_a_resume_the_handle_time_counts_from_there(self, last: str) -> None:
        item = after_updates(
            a(Status.IVR),
            (1, {"assignedTo": "u1"}), (4, {"status": "wrap-up"}), (10, {"resume": True}), (12, {"status": last}),
        )  # fmt: skip
        assert item.handle is not None
        assert item.handle.time_ms == 3000 + 2000
        assert item.last_revision is not None
        assert item.last_revision.accepted_at == T0 + SECOND

    def test_the_stay_in_wrap_up_has_no_business_time_and_keeps_its_entry(self) -> None:
        """Only ivr loses its `enteredAt`, and only queue and ivr have a business time."""
        item = after_updates(a(Status.IVR), (1, {"status": "wrap-up"}), (3, {"resume": True}))
        assert item.wrap_up == StatusDuration(entered_at=T0 + SECOND, time_ms=2000, business_time_ms=None)

    def test_a_resume_to_assigned_without_an_acceptance_is_the_acceptance(self) -> None:
        waiting = a(Status.WRAP_UP, assigned_to="u1", last_revision=QueuePass(entered_queue_at=T0))
        item = after_updates(waiting, (3, {"resume": True}), (5, {"status": "completed"}))
        assert item.last_revision == QueuePass(entered_queue_at=T0, accepted_at=T0 + 3 * SECOND)
        assert item.handle is not None
        assert item.handle.time_ms == 2000

    def test_after_another_acceptance_the_handle_time_counts_from_that(self) -> None:
        item = after_updates(
            a(Status.IVR, queue="q1"),
            (1, {"assignedTo": "u1"}), (4, {"status": "wrap-up"}), (10, {"resume": True}), (12, {"assignedTo": None}),
            (20, {"assignedTo": "u2"}), (21, {"status": "completed"}),
        )  # fmt: skip
        assert item.handle is not None
        assert item.handle.time_ms == 3000 + 2000 + 1000

    def test_handle_time_without_a_known_start_counts_as_0(self) -> None:
        item = applied(a(Status.ASSIGNED, assigned_to="u1"), {"status": "completed"})
        assert item.handle == HandleDuration(time_ms=0)


class TestUnassigned:
    """An agent worked on the item, whatever comes after."""

    @pytest.mark.parametrize("queue", ["q1", None], ids=["to queued", "to ivr"])
    def test_the_handle_time_grows(self, queue: str | None) -> None:
        item = after_updates(
            a(Status.IVR, queue=queue),
            (1, {"assignedTo": "u1"}), (4, {"assignedTo": None}), (6, {"assignedTo": "u2"}), (7, {"assignedTo": None}),
        )  # fmt: skip
        assert item.status is (Status.QUEUED if queue else Status.IVR)
        assert item.handle == HandleDuration(time_ms=3000 + 1000)

    def test_another_assignee_goes_on_with_the_same_handling(self) -> None:
        item = after_updates(
            a(Status.IVR), (1, {"assignedTo": "u1"}), (4, {"assignedTo": "u2"}), (6, {"status": "completed"})
        )
        assert item.handle == HandleDuration(time_ms=5000)


class TestOfferedAgain:
    @pytest.mark.parametrize("user", ["u1", "u2"], ids=["to the same user", "to another"])
    def test_routed_at_is_new_and_the_first_time_stays(self, user: str) -> None:
        item = after_updates(
            a(Status.QUEUED, queue="q1", last_revision=QueuePass(entered_queue_at=T0)),
            (1, {"routed": {"to": "u1"}}), (5, {"routed": {"to": user}}),
        )  # fmt: skip
        assert item.last_revision == QueuePass(
            entered_queue_at=T0, queue_time_ms=1000, queue_business_time_ms=1000, routed_at=T0 + 5 * SECOND
        )
        assert item.resource_first_route_time_ms == 2000


class TestPassedThroughAssigned:
    """An update that assigns and ends reports the same as two updates."""

    @pytest.mark.parametrize("status", ["wrap-up", "completed"])
    def test_from_ivr(self, status: str) -> None:
        item = applied(a(Status.IVR, ivr=StatusDuration(entered_at=T0)), {"assignedTo": "u1", "status": status})
        assert item.last_revision == QueuePass(accepted_at=NOW)
        assert item.resource_first_assign_time_ms == WAITED_MS + 1000
        assert item.handle == HandleDuration(time_ms=0)
        assert item.ivr == StatusDuration(time_ms=WAITED_MS, business_time_ms=WAITED_MS)

    def test_an_earlier_handle_time_stays(self) -> None:
        item = applied(a(Status.IVR, handle=HandleDuration(time_ms=70)), {"assignedTo": "u1", "status": "completed"})
        assert item.handle == HandleDuration(time_ms=70)

    @pytest.mark.parametrize("before", [start.item for start in starts()], ids=lambda item: brief(json_of(item)))
    @pytest.mark.parametrize("status", ["wrap-up", "completed"])
    def test_one_update_or_two(self, before: WorkItem, status: str) -> None:
        for user, paused in product(("u1", "u2", "u3"), ({}, {"paused": True})):
            at_once = execute(
                before, parsed({"assignedTo": user, "status": status, **paused}), context=CONTEXT, now=NOW
            )
            after = before
            for update in ({"assignedTo": user, **paused}, {"status": status}):
                one = execute(after, parsed(update), context=CONTEXT, now=NOW)
                after = one.after if isinstance(one, Applied) else after
            together = at_once.after if isinstance(at_once, Applied) else before
            assert replace(together, rev=after.rev) == after

    def test_in_wrap_up_an_assignment_is_no_acceptance(self) -> None:
        item = applied(a(Status.WRAP_UP), {"assignedTo": "u1", "status": "completed"})
        assert (item.last_revision, item.resource_first_assign_time_ms, item.handle) == (None, None, None)


class TestWorkedOutOnce:
    """Timings follow from the status before and the status after, not from actions in between."""

    def test_queued_on_the_way_to_assigned_is_no_entry(self) -> None:
        item = applied(a(Status.IVR), {"queue": "q1", "assignedTo": "u1"})
        assert (item.queued_count, item.first_enter_queue_at, item.resource_first_queue_time_ms) == (0, None, None)
        assert item.last_revision == QueuePass(accepted_at=NOW)

    def test_ivr_on_the_way_from_queued_to_assigned_is_no_stay(self) -> None:
        waiting = a(Status.QUEUED, queue="q1", last_revision=QueuePass(entered_queue_at=T0))
        item = applied(waiting, {"queue": None, "assignedTo": "u1"})
        assert item.ivr is None
        assert item.last_revision is not None
        assert item.last_revision.queue_time_ms == WAITED_MS

    def test_no_change_of_status_no_timing(self) -> None:
        before = a(Status.ASSIGNED, assigned_to="u1", last_revision=QueuePass(accepted_at=T0))
        after = applied(before, {"queue": "q2", "paused": True})
        for name in ("last_revision", "ivr", "wrap_up", "handle", "completed_at", "queued_count"):
            assert getattr(after, name) == getattr(before, name), name


class TestTime:
    def test_a_clock_turned_back_counts_as_nothing(self) -> None:
        before = T0 - 60 * SECOND
        queued = a(Status.QUEUED, queue="q1", last_revision=QueuePass(entered_queue_at=T0))
        item = applied(queued, {"assignedTo": "u1"}, now=before)
        assert item.last_revision is not None
        assert (item.last_revision.queue_time_ms, item.last_revision.queue_business_time_ms) == (0, 0)
        assert item.resource_first_assign_time_ms == 0

    def test_part_of_a_millisecond_is_cut_off(self) -> None:
        assert elapsed_ms(T0, T0 + timedelta(microseconds=1999)) == 1
        assert elapsed_ms(T0, T0) == 0
        assert elapsed_ms(T0, T0 - timedelta(microseconds=1)) == 0
        assert elapsed_ms(None, T0) == 0

    def test_business_time_is_the_calendars(self) -> None:
        def an_hour_is_a_minute(since: datetime, until: datetime) -> int:
            return always_open(since, until) // 60

        result = execute(
            a(Status.QUEUED, queue="q1", last_revision=QueuePass(entered_queue_at=T0)),
            parsed({"queue": None}),
            context=CONTEXT,
            now=T0 + 120 * SECOND,
            calendar=an_hour_is_a_minute,
        )
        assert isinstance(result, Applied)
        assert result.after.last_revision == QueuePass(
            entered_queue_at=T0, queue_time_ms=120_000, queue_business_time_ms=2_000
        )

    def test_a_calendar_is_never_asked_backwards_nor_believed_below_zero(self) -> None:
        asked: list[tuple[datetime, datetime]] = []

        def contrary(since: datetime, until: datetime) -> int:
            asked.append((since, until))
            return -5

        for now in (T0 - SECOND, T0, T0 + SECOND):
            result = execute(
                a(Status.IVR, ivr=StatusDuration(entered_at=T0)),
                parsed({"queue": "q1"}),
                context=CONTEXT,
                now=now,
                calendar=contrary,
            )
            assert isinstance(result, Applied)
            assert result.after.ivr is not None
            assert result.after.ivr.business_time_ms == 0
        assert all(since <= until for since, until in asked)

    def test_unmodelled_parts_of_a_record_are_kept(self) -> None:
        stay = StatusDuration(entered_at=T0, other={"colour": "red"})
        item = applied(a(Status.IVR, ivr=stay), {"queue": "q1"})
        assert item.ivr is not None
        assert item.ivr.other == {"colour": "red"}
