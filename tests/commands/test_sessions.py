"""Places on work-sessions are a function of the work-item, so no count can drift (docs/commands.md, *Sessions*)."""

from typing import Any, Final

import pytest
from msgspec.structs import replace

from commands.context import CommandContext
from commands.engines.rollout import DEFAULT_ROLLOUT, EngineRollout
from commands.execute import Applied, Refused, execute
from commands.reason import RefusalCode
from commands.session import (
    Session,
    SessionEntry,
    SessionMove,
    SessionPlace,
    SessionSlot,
    apply_moves,
    move_between,
    place_of,
)
from commands.work_item import Status, WorkItem
from tests.commands.items import CONTEXT, LEGACY, NOW, Json, applied, parsed


def a(status: Status = Status.ASSIGNED, **fields: Any) -> WorkItem:
    return WorkItem(**{"id": "w", "rev": 1, "status": status, "session": "s1", "item_size": 2, **fields})


X: Final = SessionEntry(id="x", item_size=2.5)


class TestPlace:
    @pytest.mark.parametrize(
        ("status", "paused", "place"),
        [
            (Status.IVR, False, None),
            (Status.QUEUED, False, None),
            (Status.ROUTED, False, SessionPlace(session="s1", slot=SessionSlot.PENDING_ITEM, item_size=0)),
            (Status.ROUTED, True, SessionPlace(session="s1", slot=SessionSlot.PENDING_ITEM, item_size=0)),
            (Status.ASSIGNED, False, SessionPlace(session="s1", slot=SessionSlot.WORK_ITEMS, item_size=2)),
            (Status.ASSIGNED, True, SessionPlace(session="s1", slot=SessionSlot.PAUSED_WORK_ITEMS, item_size=2)),
            (Status.WRAP_UP, False, SessionPlace(session="s1", slot=SessionSlot.WORK_ITEMS, item_size=2)),
            (Status.WRAP_UP, True, SessionPlace(session="s1", slot=SessionSlot.PAUSED_WORK_ITEMS, item_size=2)),
            (Status.COMPLETED, False, None),
        ],
    )
    def test_by_status_and_pause(self, status: Status, paused: bool, place: SessionPlace | None) -> None:
        assert place_of(a(status, paused=paused)) == place
        assert place_of(a(status, paused=paused, session=None)) is None

    def test_of_no_item(self) -> None:
        assert place_of(None) is None

    def test_a_move_is_the_difference(self) -> None:
        here, there = place_of(a()), place_of(a(session="s2"))
        assert move_between(a(), a(session="s2")) == SessionMove(work_item="w", leave=here, take=there)
        assert move_between(None, a()) == SessionMove(work_item="w", leave=None, take=here)
        assert move_between(a(), a(Status.COMPLETED)) == SessionMove(work_item="w", leave=here, take=None)
        assert move_between(a(), a(Status.WRAP_UP, rev=2)) is None
        assert move_between(None, a(Status.IVR)) is None

    def test_another_size_is_another_place(self) -> None:
        move = move_between(a(), a(item_size=5))
        assert move is not None
        assert move.leave is not None
        assert move.take is not None
        assert (move.leave.item_size, move.take.item_size) == (2, 5)


class TestSession:
    def test_capacity_in_use_is_the_sum_over_the_items_not_the_paused_ones(self) -> None:
        held = (SessionEntry(id="a", item_size=2), SessionEntry(id="b", item_size=3))
        paused = (SessionEntry(id="c", item_size=50),)
        session = Session(id="s", user="u", capacity=9, work_items=held, paused_work_items=paused, pending_item="d")
        assert (session.used_capacity, session.free_capacity) == (5, 4)

    @pytest.mark.parametrize(
        ("capacity", "used", "free"),
        [(5, 0, 5), (5, 5, 0), (5, 9, 0), (0, 0, 0), (0, 3, 0), (5, -2, 5), (0, -2, 0), (-1, 0, 0)],
    )
    def test_free_is_never_below_zero_nor_above_the_total(self, capacity: int, used: int, free: int) -> None:
        session = Session(id="s", user="u", capacity=capacity, work_items=(SessionEntry(id="a", item_size=used),))
        assert session.free_capacity == free

    def test_a_pending_item_takes_no_capacity_but_locks_the_session(self) -> None:
        session = Session(id="s", user="u", capacity=5, pending_item="w")
        assert session.free_capacity == 5
        assert not session.routable
        assert replace(session, pending_item=None).routable
        assert not replace(session, pending_item=None, active=False).routable

    def test_moves_change_the_sessions_they_name_and_no_other(self) -> None:
        sessions = {name: Session(id=name, user="u", capacity=5) for name in ("s1", "s2", "s3")}
        taken = apply_moves(sessions, [m for m in [move_between(None, a())] if m])
        assert taken == {"s1": replace(sessions["s1"], work_items=(SessionEntry(id="w", item_size=2),))}
        moved = apply_moves({**sessions, **taken}, [m for m in [move_between(a(), a(session="s2"))] if m])
        assert moved["s1"] == sessions["s1"]
        assert moved["s2"].work_items == (SessionEntry(id="w", item_size=2),)
        assert set(moved) == {"s1", "s2"}

    def test_moves_there_and_back_change_nothing(self) -> None:
        sessions = {"s1": Session(id="s1", user="u", capacity=5)}
        moves = [m for m in [move_between(None, a()), move_between(a(), a(Status.IVR))] if m]
        assert apply_moves(sessions, moves) == {}

    def test_a_session_that_is_not_known_is_passed_over(self) -> None:
        assert apply_moves({}, [m for m in [move_between(None, a())] if m]) == {}

    def test_another_items_offer_is_left_alone_when_one_is_withdrawn(self) -> None:
        sessions = {"s1": Session(id="s1", user="u", pending_item="another")}
        assert apply_moves(sessions, [m for m in [move_between(a(Status.ROUTED), a(Status.IVR))] if m]) == {}


class TestChoice:
    def test_an_active_session_of_the_user(self) -> None:
        assert CONTEXT.session_id_for("u1", item="w") == "s1"
        assert CONTEXT.session_id_for("u1", item="w", preferred="s2") == "s1"
        assert CONTEXT.session_id_for("u2", item="w", preferred="s2") == "s2"
        assert CONTEXT.session_id_for("u3", item="w") is None
        assert CONTEXT.session_id_for("u3", item="w", preferred="s3") is None
        assert CONTEXT.session_id_for("nobody", item="w") is None

    def test_the_preferred_session_of_several(self) -> None:
        sessions = {name: Session(id=name, user="u") for name in ("s2", "s1", "s3")}
        context = CommandContext(sessions=sessions)
        assert context.session_id_for("u", item="w") == "s1"
        assert context.session_id_for("u", item="w", preferred="s3") == "s3"

    @pytest.mark.parametrize(
        ("one", "other", "taken"),
        [
            ({"capacity": 3}, {"capacity": 4}, "s2"),
            ({"capacity": 4}, {"capacity": 4}, "s1"),
            ({"capacity": 9, "pending_item": "x"}, {"capacity": 1}, "s2"),
            ({"capacity": 9, "pending_item": "x"}, {"capacity": 1, "work_items": (X,)}, "s2"),
            ({"capacity": 2, "pending_item": "x"}, {"capacity": 3, "pending_item": "y"}, "s2"),
            ({"capacity": 2, "pending_item": "x"}, {"capacity": 2, "pending_item": "y"}, "s1"),
            ({"capacity": 3, "work_items": (X,)}, {"capacity": 1}, "s2"),
            ({"capacity": 5, "work_items": (X,)}, {"capacity": 2, "paused_work_items": (X,)}, "s1"),
            ({"capacity": 5, "active": False}, {"capacity": 0}, "s2"),
        ],
        ids=str,
    )
    def test_of_several_not_locked_then_most_free_capacity_then_the_lowest_id(
        self, one: Json, other: Json, taken: str
    ) -> None:
        sessions = {"s2": Session(id="s2", user="u", **other), "s1": Session(id="s1", user="u", **one)}
        assert CommandContext(sessions=sessions).session_id_for("u", item="w") == taken

    def test_the_items_own_place_does_not_stand_in_its_way(self) -> None:
        """Else a second acceptance would move the item to and fro."""
        held = {"s1": Session(id="s1", user="u", capacity=3, work_items=(SessionEntry(id="w", item_size=3),))}
        offered = {"s1": Session(id="s1", user="u", capacity=3, pending_item="w")}
        for sessions in (held, offered):
            context = CommandContext(sessions={**sessions, "s2": Session(id="s2", user="u", capacity=2)})
            assert context.session_id_for("u", item="w") == "s1"
            assert context.session_id_for("u", item="x") == "s2"

    @pytest.mark.parametrize("update", [{"assignedTo": "u"}, {"accepted": {"by": "u"}}], ids=str)
    def test_an_assignment_is_never_refused(self, update: Json) -> None:
        locked = Session(id="s1", user="u", capacity=0, pending_item="x")
        context = CommandContext(sessions={"s1": locked})
        item = applied(a(Status.QUEUED, session=None), update, context=context)
        assert (item.status, item.session) == (Status.ASSIGNED, "s1")

    @pytest.mark.parametrize("rollout", [DEFAULT_ROLLOUT, LEGACY], ids=lambda rollout: rollout.engine.value)
    @pytest.mark.parametrize("update", [{"routed": {"to": "u"}}, {"accepted": {"by": "u"}}], ids=str)
    def test_an_offer_and_an_acceptance_may_name_one_of_several_sessions(
        self, update: Json, rollout: EngineRollout
    ) -> None:
        context = CommandContext(sessions={name: Session(id=name, user="u") for name in ("s1", "s2")})
        [(field, fields)] = update.items()
        wanted = {field: {**fields, "workSession": "s2"}}
        item = a(Status.QUEUED, session=None)
        assert applied(item, update, context=context, rollout=rollout).session == "s1"
        assert applied(item, wanted, context=context, rollout=rollout).session == "s2"


class TestOffers:
    """A session takes one offer at a time."""

    SESSIONS: Final = {
        "s1": Session(id="s1", user="u", capacity=9, pending_item="x"),
        "s2": Session(id="s2", user="u", capacity=1),
    }

    def result(self, sessions: dict[str, Session], named: str | None = None, **fields: Any) -> Any:
        update = parsed({"routed": {"to": "u", **({"workSession": named} if named else {})}})
        item = a(**{"status": Status.QUEUED, "session": None, "queue": "q1", **fields})
        return execute(item, update, context=CommandContext(sessions=sessions), now=NOW)

    def test_the_session_that_is_not_locked_takes_it(self) -> None:
        result = self.result(self.SESSIONS)
        assert isinstance(result, Applied)
        assert result.after.session == "s2"

    def test_a_locked_session_refuses_it_and_the_first_offer_stays(self) -> None:
        for sessions, named in (({"s1": self.SESSIONS["s1"]}, None), (self.SESSIONS, "s1")):
            result = self.result(sessions, named)
            assert isinstance(result, Refused)
            assert result.refusal.code is RefusalCode.SESSION_LOCKED

    def test_a_routed_item_is_offered_again_on_its_own_session(self) -> None:
        own = {"s1": Session(id="s1", user="u", pending_item="w")}
        result = self.result(own, status=Status.ROUTED, session="s1", routed_to="u")
        assert isinstance(result, Applied)
        assert (result.after.session, result.move) == ("s1", None)

    def test_a_full_session_is_no_locked_one(self) -> None:
        result = self.result({"s1": Session(id="s1", user="u", capacity=1, work_items=(X,))})
        assert isinstance(result, Applied)
        assert result.after.session == "s1"

    def test_without_an_active_session_the_offer_is_pending_on_none(self) -> None:
        result = self.result({})
        assert isinstance(result, Applied)
        assert (result.after.status, result.after.session) == (Status.ROUTED, None)


class TestSizes:
    def test_any_finite_number(self) -> None:
        entries = tuple(SessionEntry(id=str(size), item_size=size) for size in (0.5, 2, -4, -0.5, 1.25))
        session = Session(id="s", user="u", capacity=5, work_items=entries)
        assert (session.used_capacity, session.free_capacity) == (3.75, 1.25)

    @pytest.mark.parametrize(("size", "taken"), [(-1, 0), (-0.5, 0), (0, 0), (2.5, 2.5), (2.0, 2.0), (None, 1)])
    def test_a_negative_one_counts_as_0(self, size: float | None, taken: float) -> None:
        place = place_of(a(item_size=size))
        assert place is not None
        assert place.item_size == taken
