"""`resume`, rule B10's field: from wrap-up back to work. It comes from the sync alone."""

import pytest

from commands.context import CommandContext
from commands.execute import Applied, Unchanged, execute
from commands.session import Session
from commands.work_item import QueuePass, Status
from tests.commands.items import CONTEXT, NOW, T0, Json, applied, parsed
from tests.commands.stages import ACTIVE, a


class TestResumeB10:
    @pytest.mark.parametrize("status", [status for status in ACTIVE if status is not Status.WRAP_UP])
    def test_nothing_outside_wrap_up(self, status: Status) -> None:
        assert isinstance(execute(a(status), parsed({"resume": True}), context=CONTEXT, now=NOW), Unchanged)

    def test_with_an_assignee_assigned_and_accepted_as_before(self) -> None:
        item = applied(a(Status.WRAP_UP, last_revision=QueuePass(accepted_at=T0)), {"resume": True})
        assert (item.status, item.assigned_to, item.session) == (Status.ASSIGNED, "u1", "s1")
        assert item.last_revision == QueuePass(accepted_at=T0)

    def test_without_an_assignee_queued_and_entered(self) -> None:
        item = applied(a(Status.WRAP_UP, assigned_to=None, session=None, queue="q1"), {"resume": True})
        assert (item.status, item.queued_count) == (Status.QUEUED, 1)
        assert item.last_revision == QueuePass(entered_queue_at=NOW)

    def test_without_either_ivr(self) -> None:
        item = applied(a(Status.WRAP_UP, assigned_to=None, session=None), {"resume": True})
        assert item.status is Status.IVR

    def test_the_queue_of_the_same_update_counts(self) -> None:
        assert applied(a(Status.WRAP_UP), {"resume": True, "assignedTo": None, "queue": "q2"}).status is Status.QUEUED
        assert (
            applied(a(Status.WRAP_UP, queue="q1"), {"resume": True, "assignedTo": None, "queue": None}).status == "ivr"
        )
        item = applied(
            a(Status.WRAP_UP, assigned_to=None, session=None, queue="q1"), {"resume": True, "assignedTo": "u2"}
        )
        assert (item.status, item.assigned_to, item.session) == (Status.ASSIGNED, "u2", "s2")

    @pytest.mark.parametrize("session", ["s1", "ended", None])
    @pytest.mark.parametrize("user", ["u1", "u3"])
    def test_back_in_assigned_on_the_assignees_active_session_or_on_none(self, session: str | None, user: str) -> None:
        before = a(Status.WRAP_UP, session=session, assigned_to=user, last_revision=QueuePass(accepted_at=T0))
        item = applied(before, {"resume": True})
        assert (item.status, item.session) == (Status.ASSIGNED, "s1" if user == "u1" else None)
        assert item.last_revision == QueuePass(accepted_at=T0)

    def test_it_keeps_an_active_session_though_another_has_more_room(self) -> None:
        roomy = CommandContext(sessions={**CONTEXT.sessions, "s0": Session(id="s0", user="u1", capacity=99)})
        assert applied(a(Status.WRAP_UP), {"resume": True}, context=roomy).session == "s1"

    @pytest.mark.parametrize(
        ("beside", "status", "queue"),
        [
            ({"assignedTo": None}, Status.QUEUED, "q1"),
            ({"assignedTo": None, "queue": None}, Status.IVR, None),
            ({"assignedTo": None, "status": "completed"}, Status.COMPLETED, "q1"),
            ({"assignedTo": None, "queue": None, "status": "completed"}, Status.COMPLETED, None),
            ({"status": "completed"}, Status.COMPLETED, "q1"),
            ({"status": "wrap-up"}, Status.WRAP_UP, "q1"),
        ],
        ids=str,
    )
    def test_with_what_the_rules_write_beside_it(self, beside: Json, status: Status, queue: str | None) -> None:
        """Rules B2 and B3 un-assign and resume; rule B6 completes. The status that the update names stands."""
        result = execute(a(Status.WRAP_UP, queue="q1"), parsed({"resume": True, **beside}), context=CONTEXT, now=NOW)
        item = result.after if isinstance(result, Applied) else a(Status.WRAP_UP, queue="q1")
        assert (item.status, item.queue) == (status, queue)
        assert item.assigned_to == (None if "assignedTo" in beside else "u1")
        entered = status is Status.QUEUED
        assert (item.queued_count, item.first_enter_queue_at) == ((1, NOW) if entered else (0, None))
