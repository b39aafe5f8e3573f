"""The known failures of the old system, each by its name: what the funnel does, and what the composed engine does.

The funnel keeps its failures (`COMMAND_ENGINE=legacy`), so that the engines can be compared and a team can roll back.
"""

from itertools import product
from typing import Final

import pytest
from msgspec import Struct

from commands.context import CommandContext
from commands.engines.rollout import DEFAULT_ROLLOUT, EngineRollout
from commands.execute import Applied, CommandRecord, Refused, Unchanged, execute
from commands.reason import RefusalCode
from commands.session import Session, SessionEntry, SessionSlot, apply_moves, move_between, place_of
from commands.work_item import QueuePass, Status, WorkItem
from tests.commands.items import CONTEXT, LEGACY, NOW, T0, Json, parsed
from tests.commands.space import EIGHTY
from tests.commands.stages import ACTIVE, EVERY_STATUS, a

EVERY_ENGINE: Final = pytest.mark.parametrize(
    "rollout", [DEFAULT_ROLLOUT, LEGACY], ids=lambda rollout: rollout.engine.value
)


class UpdateOutcome(Struct, frozen=True, kw_only=True):
    """An update's result: the item and the sessions after it."""

    item: WorkItem
    command: CommandRecord
    refusal: RefusalCode | None
    sessions: dict[str, Session]

    @property
    def slot(self) -> tuple[str, SessionSlot] | None:
        """The session and the slot that hold the item; None: no session does. Fails where two do."""
        found = [
            (session.id, slot)
            for session in self.sessions.values()
            for slot, listed in (
                (SessionSlot.WORK_ITEMS, [held.id for held in session.work_items]),
                (SessionSlot.PAUSED_WORK_ITEMS, [held.id for held in session.paused_work_items]),
                (SessionSlot.PENDING_ITEM, [session.pending_item]),
            )
            if self.item.id in listed
        ]
        assert len(found) <= 1, found
        return found[0] if found else None


def sessions_with(item: WorkItem) -> dict[str, Session]:
    """The sessions, with the item at its place."""
    sessions = dict(CONTEXT.sessions)
    move = move_between(None, item)
    return sessions | apply_moves(sessions, [move] if move else [])


def ended(item: WorkItem, update: Json, rollout: EngineRollout) -> UpdateOutcome:
    sessions = sessions_with(item)
    context = CommandContext(queues=CONTEXT.queues, sessions=sessions)
    result = execute(item, parsed(update), context=context, now=NOW, rollout=rollout)
    match result:
        case Refused(command=command, refusal=refusal):
            return UpdateOutcome(item=item, command=command, refusal=refusal.code, sessions=sessions)
        case Unchanged(command=command):
            return UpdateOutcome(item=item, command=command, refusal=None, sessions=sessions)
        case Applied(after=after, command=command, move=move):
            sessions |= apply_moves(sessions, [move] if move else [])
            return UpdateOutcome(item=after, command=command, refusal=None, sessions=sessions)


def both(item: WorkItem, update: Json) -> tuple[UpdateOutcome, UpdateOutcome]:
    """The funnel's result, and the composed engine's."""
    return ended(item, update, LEGACY), ended(item, update, DEFAULT_ROLLOUT)


class TestUnassignWithoutAQueue:
    """The incident of 2021-02-13: the command crashed, and the work-item stayed with an agent who had left."""

    @EVERY_STATUS
    def test_in_every_status(self, status: Status) -> None:
        item = a(status, queue=None, rule=None)
        old, new = both(item, {"assignedTo": None})
        assert (old.refusal, old.item) == (RefusalCode.NO_QUEUE, item)
        assert new.refusal is None
        stays = status in (Status.IVR, Status.QUEUED, Status.WRAP_UP)
        assert new.item.status is (status if stays else Status.IVR)
        assert (new.item.assigned_to, new.item.session, new.item.routed_to, new.slot) == (None, None, None, None)

    @EVERY_STATUS
    def test_of_an_item_that_is_assigned_in_any_status(self, status: Status) -> None:
        """An assignee beside a status that should have none: the store may hold it."""
        item = a(status, queue=None, rule=None, assigned_to="u1", accepted_by="u1", session="s1", team="t1")
        old, new = both(item, {"assignedTo": None})
        assert old.refusal is RefusalCode.NO_QUEUE
        assert (new.item.assigned_to, new.item.accepted_by, new.item.session, new.item.team) == (None, None, None, None)
        assert new.slot is None

    @EVERY_STATUS
    def test_with_the_queue_left_in_the_same_update_as_the_cleaners_workaround_did(self, status: Status) -> None:
        """Rule B2 sends both fields, because the funnel accepts nothing else. In the funnel they end a wrap-up."""
        old, new = both(a(status, queue=None, rule=None), {"queue": None, "assignedTo": None})
        assert (old.refusal, old.item.status, old.item.assigned_to) == (None, Status.IVR, None)
        assert old.command.dropped == ("assignedTo",)
        assert new.item.status is (Status.WRAP_UP if status is Status.WRAP_UP else Status.IVR)
        assert (new.item.assigned_to, new.command.dropped) == (None, ())

    def test_where_the_pass_names_the_queue_the_funnel_went_back_to_it(self) -> None:
        item = a(Status.ASSIGNED, last_revision=QueuePass(other={"queue": "q2"}))
        old, new = both(item, {"assignedTo": None})
        assert (old.item.status, old.item.queue) == (Status.QUEUED, "q2")
        assert (new.item.status, new.item.queue) == (Status.IVR, None)


class TestWrapUp:
    """An agent in wrap-up was interrupted: the item was queued and routed to another agent."""

    def test_unassigned(self) -> None:
        old, new = both(a(Status.WRAP_UP, queue="q1", rule="r1"), {"assignedTo": None})
        assert (old.item.status, old.item.queued_count, old.item.queue) == (Status.QUEUED, 1, "q1")
        assert (new.item.status, new.item.queued_count, new.item.queue) == (Status.WRAP_UP, 0, "q1")
        for end in (old, new):
            assert (end.item.assigned_to, end.item.session, end.slot) == (None, None, None)

    def test_unassigned_without_a_queue(self) -> None:
        old, new = both(a(Status.WRAP_UP), {"assignedTo": None})
        assert old.refusal is RefusalCode.NO_QUEUE
        assert (new.item.status, new.item.assigned_to, new.slot) == (Status.WRAP_UP, None, None)

    def test_re_queued(self) -> None:
        old, new = both(a(Status.WRAP_UP, queue="q1"), {"queue": "q2"})
        assert (old.item.status, old.item.queue, old.item.assigned_to, old.slot) == (Status.QUEUED, "q2", None, None)
        assert (new.item.status, new.item.queue, new.item.assigned_to) == (Status.WRAP_UP, "q2", "u1")
        assert (new.slot, new.item.queued_count) == (("s1", SessionSlot.WORK_ITEMS), 0)

    def test_re_queued_and_unassigned(self) -> None:
        old, new = both(a(Status.WRAP_UP, queue="q1"), {"queue": "q2", "assignedTo": None})
        assert (old.item.status, old.command.dropped) == (Status.QUEUED, ("assignedTo",))
        assert (new.item.status, new.item.queue, new.item.assigned_to) == (Status.WRAP_UP, "q2", None)

    def test_taken_out_of_its_queue(self) -> None:
        old, new = both(a(Status.WRAP_UP, queue="q1"), {"queue": None})
        assert (old.item.status, old.item.assigned_to) == (Status.IVR, None)
        assert (new.item.status, new.item.assigned_to, new.item.queue) == (Status.WRAP_UP, "u1", None)

    def test_assigned_to_another(self) -> None:
        old, new = both(a(Status.WRAP_UP), {"assignedTo": "u2"})
        assert (old.item.status, new.item.status) == (Status.ASSIGNED, Status.WRAP_UP)
        assert old.item.assigned_to == new.item.assigned_to == "u2"
        assert old.slot == new.slot == ("s2", SessionSlot.WORK_ITEMS)


class TestPauseTogetherWithMore:
    """Snoozed conversations took up capacity: the pause was dropped, so the item stayed in the agent's `workItems`."""

    def test_with_a_queue_while_assigned(self) -> None:
        old, new = both(a(Status.ASSIGNED, queue="q1"), {"queue": "q2", "paused": True})
        for end in (old, new):
            assert (end.item.queue, end.item.paused) == ("q2", True)
            assert end.slot == ("s1", SessionSlot.PAUSED_WORK_ITEMS)

    def test_with_queue_null_while_assigned(self) -> None:
        old, new = both(a(Status.ASSIGNED, queue="q1"), {"queue": None, "paused": True})
        assert (old.item.paused, old.command.dropped, old.item.status) == (False, ("paused",), Status.IVR)
        assert (new.item.paused, new.command.dropped, new.item.status) == (True, (), Status.ASSIGNED)
        assert new.slot == ("s1", SessionSlot.PAUSED_WORK_ITEMS)
        assert new.sessions["s1"].used_capacity == 0

    def test_with_queue_null_while_queued(self) -> None:
        old, new = both(a(Status.QUEUED), {"queue": None, "paused": True})
        assert (old.item.status, old.item.paused) == (Status.IVR, False)
        assert (new.item.status, new.item.paused) == (Status.IVR, True)

    @pytest.mark.parametrize("status", [status for status in ACTIVE if status is not Status.WRAP_UP])
    def test_with_an_assignment(self, status: Status) -> None:
        for end in both(a(status), {"assignedTo": "u2", "paused": True}):
            assert (end.item.status, end.item.assigned_to, end.item.paused) == (Status.ASSIGNED, "u2", True)
            assert end.slot == ("s2", SessionSlot.PAUSED_WORK_ITEMS)
            assert end.sessions["s2"].used_capacity == 4, "another item's, and none of this one"

    def test_with_an_assignment_and_a_queue(self) -> None:
        update: Json = {"queue": "q2", "assignedTo": "u1", "paused": True}
        old, new = both(a(Status.QUEUED), update)
        assert (old.item.assigned_to, old.item.status, old.command.dropped) == (None, Status.QUEUED, ("assignedTo",))
        assert (new.item.assigned_to, new.item.status, new.item.paused) == ("u1", Status.ASSIGNED, True)
        assert new.slot == ("s1", SessionSlot.PAUSED_WORK_ITEMS)

    def test_with_an_unassignment(self) -> None:
        for end in both(a(Status.ASSIGNED, queue="q1"), {"assignedTo": None, "paused": True}):
            assert (end.item.status, end.item.assigned_to, end.item.paused) == (Status.QUEUED, None, True)
            assert end.slot is None

    def test_with_an_unassignment_without_a_queue(self) -> None:
        old, new = both(a(Status.ASSIGNED), {"assignedTo": None, "paused": True})
        assert (old.refusal, old.item.paused) == (RefusalCode.NO_QUEUE, False)
        assert (new.item.status, new.item.assigned_to, new.item.paused) == (Status.IVR, None, True)

    def test_with_an_unassignment_and_queue_null(self) -> None:
        old, new = both(a(Status.ASSIGNED), {"queue": None, "assignedTo": None, "paused": True})
        assert (old.item.status, old.item.paused) == (Status.IVR, False)
        assert (new.item.status, new.item.paused) == (Status.IVR, True)

    @pytest.mark.parametrize("status", ["wrap-up", "completed"])
    def test_with_an_end(self, status: str) -> None:
        old, new = both(a(Status.ASSIGNED), {"status": status, "paused": True})
        assert (old.item.status.value, old.item.paused) == (status, False)
        assert (new.item.status.value, new.item.paused) == (status, True)

    def test_taken_up_again_with_an_end(self) -> None:
        old, new = both(a(Status.ASSIGNED, paused=True), {"status": "wrap-up", "paused": False})
        assert (old.item.paused, old.slot) == (True, ("s1", SessionSlot.PAUSED_WORK_ITEMS))
        assert (new.item.paused, new.slot) == (False, ("s1", SessionSlot.WORK_ITEMS))


class TestQueueChangedWhileAssigned:
    """The agent keeps the item, and the customer enters no queue."""

    def test_the_agent_keeps_it_and_no_queue_is_entered(self) -> None:
        item = a(
            Status.ASSIGNED, queue="q1", queued_count=1, last_revision=QueuePass(entered_queue_at=T0, accepted_at=T0)
        )
        for end in both(item, {"queue": {"id": "q2", "rule": "r2"}}):
            assert (end.item.queue, end.item.rule) == ("q2", "r2")
            assert (end.item.status, end.item.assigned_to) == (Status.ASSIGNED, "u1")
            assert (end.item.queued_count, end.item.last_revision) == (1, item.last_revision)
            assert end.slot == ("s1", SessionSlot.WORK_ITEMS)

    def test_the_funnel_left_the_old_queue_s_size_so_that_the_session_counted_wrong(self) -> None:
        old, new = both(a(Status.ASSIGNED, queue="q1"), {"queue": "q2"})
        assert (old.item.item_size, old.item.priority, old.sessions["s1"].used_capacity) == (1, 9, 1)
        assert (new.item.item_size, new.item.priority, new.sessions["s1"].used_capacity) == (5, 1, 5)

    def test_the_queue_left_while_assigned_took_the_agent_off(self) -> None:
        old, new = both(a(Status.ASSIGNED, queue="q1", rule="r1"), {"queue": None})
        assert (old.item.status, old.item.assigned_to, old.slot) == (Status.IVR, None, None)
        assert (new.item.status, new.item.assigned_to, new.slot) == (
            Status.ASSIGNED,
            "u1",
            ("s1", SessionSlot.WORK_ITEMS),
        )
        assert (new.item.queue, new.item.rule) == (None, None)

    def test_an_unassignment_goes_back_to_the_new_queue(self) -> None:
        for rollout in (LEGACY, DEFAULT_ROLLOUT):
            moved = ended(a(Status.ASSIGNED, queue="q1"), {"queue": "q2"}, rollout)
            end = ended(moved.item, {"assignedTo": None}, rollout)
            assert (end.item.status, end.item.queue, end.item.queued_count) == (Status.QUEUED, "q2", 1)


class TestRoutedToWrapUp:
    """The offer was over but the session stayed locked: no item was routed to the agent any more."""

    def test_the_pending_place_is_free(self) -> None:
        item = a(Status.ROUTED)
        assert sessions_with(item)["s1"].pending_item == "w"
        old, new = both(item, {"status": "wrap-up"})
        for end in (old, new):
            assert end.item.status is Status.WRAP_UP
            assert end.sessions["s1"].pending_item is None
            assert end.sessions["s1"].routable
        assert (old.item.routed_to, old.slot) == ("u1", ("s1", SessionSlot.WORK_ITEMS)), "an item that nobody took up"
        assert old.sessions["s1"].used_capacity == 2
        assert (new.item.routed_to, new.item.session, new.slot) == (None, None, None)
        assert new.sessions["s1"].used_capacity == 0

    @EVERY_ENGINE
    @pytest.mark.parametrize("update", EIGHTY, ids=str)
    def test_every_end_of_an_offer_frees_the_place(self, update: Json, rollout: EngineRollout) -> None:
        end = ended(a(Status.ROUTED), update, rollout)
        pending = end.sessions["s1"].pending_item
        assert (pending == "w") is (end.item.status is Status.ROUTED)

    @EVERY_ENGINE
    def test_an_offer_of_another_item_is_left_alone(self, rollout: EngineRollout) -> None:
        sessions = {"s1": Session(id="s1", user="u1", capacity=6, pending_item="another")}
        context = CommandContext(queues=CONTEXT.queues, sessions=sessions)
        result = execute(a(Status.ROUTED), parsed({"status": "wrap-up"}), context=context, now=NOW, rollout=rollout)
        assert isinstance(result, Applied)
        assert result.move is not None
        changed = apply_moves(sessions, [result.move])
        assert changed.get("s1", sessions["s1"]).pending_item == "another"


class TestCounts:
    """Counts that were counted up and down drifted: a paused count of −1, more free capacity than the total."""

    @EVERY_ENGINE
    @EVERY_STATUS
    def test_the_paused_count_is_never_negative(self, status: Status, rollout: EngineRollout) -> None:
        for paused, update in product((False, True), EIGHTY):
            end = ended(a(status, paused=paused), update, rollout)
            place = place_of(end.item)
            for session in end.sessions.values():
                mine = place is not None and (place.session, place.slot) == (session.id, SessionSlot.PAUSED_WORK_ITEMS)
                assert len(session.paused_work_items) == int(mine), (update, session)

    @EVERY_ENGINE
    def test_unpausing_an_item_that_no_session_lists_as_paused_removes_nothing(self, rollout: EngineRollout) -> None:
        """Another service may have written a wrong list. Afterwards the item is at its place, once."""
        item = a(Status.ASSIGNED, paused=True)
        sessions = {"s1": Session(id="s1", user="u1", capacity=6, work_items=(SessionEntry(id="w", item_size=1),))}
        context = CommandContext(sessions=sessions)
        result = execute(item, parsed({"paused": False}), context=context, now=NOW, rollout=rollout)
        assert isinstance(result, Applied)
        assert result.move is not None
        after = sessions | apply_moves(sessions, [result.move])
        assert (len(after["s1"].paused_work_items), after["s1"].work_items) == (0, (SessionEntry(id="w", item_size=1),))

    @EVERY_ENGINE
    @EVERY_STATUS
    @pytest.mark.parametrize("size", [None, 0, 1, 6, 7, 1000])
    def test_free_capacity_is_never_above_the_total_nor_below_zero(
        self, status: Status, size: int | None, rollout: EngineRollout
    ) -> None:
        for paused, update in product((False, True), EIGHTY):
            end = ended(a(status, paused=paused, item_size=size), update, rollout)
            for session in end.sessions.values():
                assert 0 <= session.free_capacity <= session.capacity

    @EVERY_ENGINE
    def test_pausing_and_unpausing_again_and_again_comes_out_even(self, rollout: EngineRollout) -> None:
        item = a(Status.ASSIGNED)
        sessions = sessions_with(item)
        before = dict(sessions)
        for paused in (True, True, False, False) * 3:
            context = CommandContext(sessions=sessions)
            result = execute(item, parsed({"paused": paused}), context=context, now=NOW, rollout=rollout)
            if isinstance(result, Applied):
                item = result.after
                sessions |= apply_moves(sessions, [result.move] if result.move else [])
        assert sessions == before
        assert item.rev == 7 + 6
