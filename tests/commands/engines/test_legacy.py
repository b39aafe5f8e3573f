"""The legacy funnel against an independent implementation of its table; and its flaws, kept on purpose, by name."""

from datetime import timedelta
from itertools import combinations
from typing import Any, Final

import pytest
from msgspec.structs import replace

from commands.engines.legacy import FUNNEL
from commands.engines.rollout import FUNNEL_ROW_NAMES
from commands.execute import Applied, CommandRecord, Refused, Unchanged, execute
from commands.reason import RefusalCode
from commands.session import SessionSlot, place_of
from commands.update import Update, parse_update
from commands.work_item import HandleDuration, QueuePass, Status, StatusDuration, WorkItem
from tests.commands.items import CONTEXT, LEGACY, NOW, T0, Json, applied, parsed, refused
from tests.commands.space import ALONE, EIGHTY, MORE, RESUMED, TAKES_A_SESSION, check, starts_in_session_worlds
from tests.commands.stages import ACTIVE, EVERY_STATUS, a
from tests.oracle import funnel_oracle

QUARTER_PAST: Final = (NOW - T0) // timedelta(milliseconds=1)
"""Milliseconds from T0 to NOW."""

SAYING: Final[dict[str, Json]] = {
    "queue:null": {"queue": None},
    "queue:id": {"queue": {"id": "q2"}},
    "assignedTo:null": {"assignedTo": None},
    "routed.to": {"routed": {"to": "u2"}},
    "accepted.by": {"accepted": {"by": "u2"}},
    "assignedTo:id": {"assignedTo": "u2"},
    "routed.rejectedBy": {"routed": {"rejectedBy": "u1"}},
    "routed.timedOut": {"routed": {"timedOut": "u1"}},
    "status:wrap-up": {"status": "wrap-up"},
    "status:completed": {"status": "completed"},
    "paused": {"paused": True},
}
"""For each row an update with no other field."""

MIXED: Final = [
    (first, later)
    for first, later in combinations(SAYING, 2)
    if not set(SAYING[first]) & set(SAYING[later])
    and isinstance(parse_update({**SAYING[first], **SAYING[later]}), Update)
]
"""The pairs of rows that one update can match, in the order of the table."""

COMMAND_NAMES: Final = {
    "queue:null": "dequeueCommandParams",
    "queue:id": "queueCommandParams",
    "assignedTo:null": "queueCommandParams",
    "routed.to": "routeCommandParams",
    "accepted.by": "assignCommandParams",
    "assignedTo:id": "assignCommandParams",
    "routed.rejectedBy": "putBackCommandParams",
    "routed.timedOut": "putBackCommandParams",
    "status:wrap-up": "wrapUpCommandParams",
    "status:completed": "completeCommandParams",
    "paused": "pauseCommandParams",
}


def command_of(item: WorkItem, update: Json) -> CommandRecord:
    return execute(item, parsed(update), context=CONTEXT, now=NOW, rollout=LEGACY).command


def funnelled(item: WorkItem, update: Json, **more: Any) -> WorkItem:
    return applied(item, update, rollout=LEGACY, **more)


@pytest.mark.thorough
class TestAgainstTheOracle:
    def test_the_eighty_combinations_in_all_five_statuses(self) -> None:
        assert check(EIGHTY, funnel_oracle, LEGACY) == 80 * 80

    def test_the_same_queue_the_same_user_unknown_queues_and_users_without_a_session(self) -> None:
        assert check(MORE, funnel_oracle, LEGACY) == 89 * 80

    def test_routed_accepted_put_back_and_the_ways_to_name_a_queue(self) -> None:
        assert check(ALONE, funnel_oracle, LEGACY) == len(ALONE) * 80

    def test_every_session_that_an_update_may_find(self) -> None:
        # The funnel takes a session by one field alone; what stands beside it is in the combinations above.
        updates, among = (
            [each for each in TAKES_A_SESSION if len(each) == 1 and "resume" not in each],
            starts_in_session_worlds(),
        )
        assert check(updates, funnel_oracle, LEGACY, among=among) == len(updates) * len(among)

    def test_resume_with_the_syncs_other_fields(self) -> None:
        """`resume` alone has no row: the composed engine carries it out."""
        beside = [update for update in RESUMED if update != {"resume": True}]
        assert check(beside, funnel_oracle, LEGACY) == len(beside) * 80


class TestRows:
    def test_there_are_eleven_in_the_order_of_the_text(self) -> None:
        assert tuple(SAYING) == FUNNEL_ROW_NAMES
        assert len(FUNNEL) == 11

    @pytest.mark.parametrize("name", SAYING)
    def test_each_has_its_command_name(self, name: str) -> None:
        command = command_of(a(Status.ROUTED), SAYING[name])
        assert (command.name, command.dropped, command.composed) == (COMMAND_NAMES[name], (), False)
        assert command.engine.value == "legacy"

    @pytest.mark.parametrize(("first", "later"), MIXED, ids=lambda name: name)
    def test_the_first_matching_row_wins_in_any_order_of_the_updates_fields(self, first: str, later: str) -> None:
        one, two = SAYING[first], SAYING[later]
        [also] = two
        honoured = also == "paused" and COMMAND_NAMES[first].startswith(("queue", "assign"))
        item = a(Status.ROUTED)
        for update in ({**one, **two}, {**two, **one}):
            command = command_of(item, update)
            assert command.name == COMMAND_NAMES[first]
            assert command.dropped == (() if honoured else (also,))
            if not honoured:
                assert funnelled(item, update) == funnelled(item, one), f"{later} left a trace"

    def test_all_pairs_of_rows_that_one_update_can_match_were_compared(self) -> None:
        assert len(MIXED) == 2 * 2 + 4 * 2 + 4 + 2 + 1

    def test_an_update_of_every_field_takes_the_first_row_and_drops_the_rest_in_order(self) -> None:
        update = {"resume": True, "paused": True, "status": "completed", "assignedTo": "u2", "queue": None}
        assert command_of(a(Status.ASSIGNED), update).dropped == ("assignedTo", "status", "paused", "resume")
        update["queue"] = "q2"
        assert command_of(a(Status.ASSIGNED), update).dropped == ("assignedTo", "status", "resume")

    def test_the_reason_names_the_command_as_its_action(self) -> None:
        result = execute(
            a(Status.IVR), parsed({"queue": "q1"}), context=CONTEXT, now=NOW, rollout=LEGACY, resource_rev=4
        )
        assert isinstance(result, Applied)
        assert result.command.actions == ("Queue",)
        assert result.reason.as_wire() == {
            "action": "UPDATE_COMMAND",
            "code": "WORK_ITEM_UPDATE_CMD",
            "meta": {
                "data": {"queue": {"id": "q1"}, "rev": 7, "resource": {"rev": 4}},
                "commandName": "queueCommandParams",
                "composed": False,
                "actions": ["Queue"],
            },
        }

    def test_a_refusal_names_the_engine_and_the_fields_that_would_have_been_dropped(self) -> None:
        result = execute(
            a(Status.ASSIGNED),
            parsed({"assignedTo": None, "status": "wrap-up"}),
            context=CONTEXT,
            now=NOW,
            rollout=LEGACY,
        )
        assert isinstance(result, Refused)
        assert (result.command.name, result.command.actions) == ("queueCommandParams", ())
        assert (result.command.composed, result.command.dropped) == (False, ("status",))

    def test_an_update_that_changes_nothing_writes_nothing(self) -> None:
        for status, update in (
            (Status.ASSIGNED, {"assignedTo": "u1"}),
            (Status.ASSIGNED, {"paused": False}),
            (Status.WRAP_UP, {"status": "wrap-up"}),
        ):
            assert isinstance(execute(a(status), parsed(update), context=CONTEXT, now=NOW, rollout=LEGACY), Unchanged)


class TestNoQueue:
    @EVERY_STATUS
    def test_unassign_without_a_queue_is_a_named_refusal(self, status: Status) -> None:
        refusal = refused(a(status, queue=None, rule=None), {"assignedTo": None, "paused": True}, rollout=LEGACY)
        assert refusal.code is RefusalCode.NO_QUEUE
        for word in ("'assignedTo'", f"which is {status.value}", "no queue", "name a 'queue'"):
            assert word in refusal.message

    @EVERY_STATUS
    @pytest.mark.parametrize("named", ["q2", {"id": "q2"}], ids=["id", "object"])
    def test_the_item_goes_back_to_the_queue_that_last_revision_names(self, status: Status, named: object) -> None:
        item = a(status, queue=None, rule=None, last_revision=QueuePass(entered_queue_at=T0, other={"queue": named}))
        after = funnelled(item, {"assignedTo": None})
        assert (after.status, after.queue, after.assigned_to) == (Status.QUEUED, "q2", None)
        assert after.last_revision == QueuePass(entered_queue_at=NOW) or status is Status.QUEUED

    def test_the_queue_it_has_comes_first(self) -> None:
        item = a(Status.ASSIGNED, queue="q1", last_revision=QueuePass(other={"queue": "q2"}))
        assert funnelled(item, {"assignedTo": None}).queue == "q1"

    @pytest.mark.parametrize("named", [None, "", {}, {"id": None}, {"id": ""}, 5, ["q2"]], ids=repr)
    def test_a_last_revision_without_a_queue_id_is_no_queue(self, named: object) -> None:
        item = a(Status.ASSIGNED, last_revision=QueuePass(other={"queue": named}))
        assert refused(item, {"assignedTo": None}, rollout=LEGACY).code is RefusalCode.NO_QUEUE

    def test_an_unknown_queue_key_is_refused_as_everywhere(self) -> None:
        refusal = refused(a(Status.IVR), {"queue": {"key": "unheard-of"}}, rollout=LEGACY)
        assert refusal.code is RefusalCode.UNKNOWN_QUEUE


class TestTimings:
    """The funnel has its own rows, and the same timings as the composed engine."""

    def test_dequeue_ends_the_wait_and_begins_a_stay_in_ivr(self) -> None:
        after = funnelled(a(Status.QUEUED), {"queue": None})
        assert after.last_revision == QueuePass(
            entered_queue_at=T0, queue_time_ms=QUARTER_PAST, queue_business_time_ms=QUARTER_PAST
        )
        assert after.ivr == StatusDuration(entered_at=NOW)

    def test_put_back_keeps_the_place_and_the_wait_goes_on(self) -> None:
        offered = funnelled(a(Status.QUEUED), {"routed": {"to": "u1"}}, now=T0 + timedelta(seconds=5))
        back = funnelled(offered, {"routed": {"timedOut": "u1"}})
        assert (back.status, back.queue, back.queued_count) == (Status.QUEUED, "q1", 1)
        assert back.last_revision == QueuePass(entered_queue_at=T0)
        taken = funnelled(back, {"assignedTo": "u1"})
        assert taken.last_revision == QueuePass(
            entered_queue_at=T0, queue_time_ms=QUARTER_PAST, queue_business_time_ms=QUARTER_PAST, accepted_at=NOW
        )

    def test_the_update_can_keep_an_older_place(self) -> None:
        kept = T0 - timedelta(hours=1)
        after = funnelled(a(Status.IVR), {"queue": {"id": "q1", "enteredAt": "2022-03-02T18:00:00.000Z"}})
        assert (after.last_revision, after.first_enter_queue_at) == (QueuePass(entered_queue_at=kept), kept)

    def test_wrap_up_and_completed_count_the_handle_time(self) -> None:
        item = a(Status.ASSIGNED, last_revision=QueuePass(accepted_at=T0))
        wrapped = funnelled(item, {"status": "wrap-up"})
        assert (wrapped.handle, wrapped.wrap_up) == (
            HandleDuration(time_ms=QUARTER_PAST),
            StatusDuration(entered_at=NOW),
        )
        completed = funnelled(item, {"status": "completed"})
        assert (completed.handle, completed.completed_at) == (HandleDuration(time_ms=QUARTER_PAST), NOW)


class TestFlaws:
    """Flaws kept on purpose. tests/commands/test_known_failures.py has what the composed engine does instead."""

    def test_an_assignment_is_lost_when_the_queue_changes_in_the_same_update(self) -> None:
        after = funnelled(a(Status.QUEUED), {"queue": "q2", "assignedTo": "u2"})
        assert (after.status, after.queue, after.assigned_to) == (Status.QUEUED, "q2", None)

    def test_from_assigned_an_assignment_to_another_is_lost_with_the_queue(self) -> None:
        after = funnelled(a(Status.ASSIGNED), {"queue": "q2", "assignedTo": "u2"})
        assert (after.status, after.queue, after.assigned_to, after.session) == (Status.ASSIGNED, "q2", "u1", "s1")

    def test_an_unassignment_is_lost_when_an_assigned_item_changes_its_queue(self) -> None:
        after = funnelled(a(Status.ASSIGNED), {"queue": "q2", "assignedTo": None})
        assert (after.status, after.assigned_to) == (Status.ASSIGNED, "u1")

    def test_pause_is_dropped_with_queue_null(self) -> None:
        after = funnelled(a(Status.ASSIGNED, queue="q1"), {"queue": None, "paused": True})
        assert (after.status, after.paused) == (Status.IVR, False)

    def test_a_snoozed_item_goes_on_taking_capacity_when_the_pause_comes_with_wrap_up(self) -> None:
        after = funnelled(a(Status.ASSIGNED), {"status": "wrap-up", "paused": True})
        place = place_of(after)
        assert after.paused is False
        assert place is not None
        assert place.slot is SessionSlot.WORK_ITEMS

    def test_an_assigned_item_loses_its_agent_when_it_leaves_the_queue(self) -> None:
        after = funnelled(a(Status.ASSIGNED, queue="q1"), {"queue": None})
        assert (after.status, after.assigned_to, after.session) == (Status.IVR, None, None)

    @pytest.mark.parametrize("update", [{"queue": None}, {"queue": "q1"}, {"assignedTo": "u1"}], ids=str)
    def test_an_end_is_lost_with_almost_anything(self, update: Json) -> None:
        after = funnelled(a(Status.QUEUED), {**update, "status": "completed"})
        assert after.active
        assert after.completed_at is None

    def test_the_same_queue_is_entered_anew_and_the_place_in_it_is_lost(self) -> None:
        after = funnelled(a(Status.QUEUED), {"queue": "q1"})
        assert (after.queued_count, after.last_revision) == (2, QueuePass(entered_queue_at=NOW))

    @pytest.mark.parametrize("status", [Status.IVR, Status.QUEUED], ids=lambda status: status.value)
    def test_unassigning_an_unassigned_item_enters_the_queue_anew(self, status: Status) -> None:
        after = funnelled(a(status, queue="q1"), {"assignedTo": None})
        assert after.status is Status.QUEUED
        assert after.queued_count == a(status).queued_count + 1

    @pytest.mark.parametrize("update", [{"assignedTo": "u2"}, {"accepted": {"by": "u2"}}], ids=str)
    def test_an_assignment_ends_a_wrap_up(self, update: Json) -> None:
        assert funnelled(a(Status.WRAP_UP), update).status is Status.ASSIGNED

    @pytest.mark.parametrize("update", [{"queue": "q2"}, {"assignedTo": None}], ids=str)
    def test_a_queue_or_an_unassignment_ends_a_wrap_up(self, update: Json) -> None:
        after = funnelled(a(Status.WRAP_UP, queue="q1"), update)
        assert (after.status, after.assigned_to) == (Status.QUEUED, None)

    def test_accepted_by_stays_when_the_item_is_unassigned(self) -> None:
        assert funnelled(a(Status.ASSIGNED, queue="q1"), {"assignedTo": None}).accepted_by == "u1"

    @pytest.mark.parametrize(
        "update",
        [{"queue": None}, {"queue": "q2"}, {"assignedTo": None}, {"assignedTo": "u2"}, {"status": "wrap-up"}],
        ids=str,
    )
    def test_routed_to_stays_when_the_offer_is_over(self, update: Json) -> None:
        assert funnelled(a(Status.ROUTED), update).routed_to == "u1"

    def test_wrap_up_from_routed_puts_the_offered_item_among_the_agents_items(self) -> None:
        place = place_of(funnelled(a(Status.ROUTED), {"status": "wrap-up"}))
        assert place is not None
        assert (place.session, place.slot) == ("s1", SessionSlot.WORK_ITEMS)

    @EVERY_STATUS
    def test_an_item_is_offered_from_every_status(self, status: Status) -> None:
        after = funnelled(a(status), {"routed": {"to": "u2"}})
        assert (after.status, after.routed_to, after.session, after.assigned_to) == (Status.ROUTED, "u2", "s2", None)

    @pytest.mark.parametrize("status", [status for status in ACTIVE if status is not Status.QUEUED])
    @pytest.mark.parametrize("kind", ["rejectedBy", "timedOut"])
    def test_any_user_can_put_an_item_back_from_every_status(self, status: Status, kind: str) -> None:
        after = funnelled(a(status, queue="q1"), {"routed": {kind: "who was never asked"}})
        assert (after.status, after.assigned_to, after.session) == (Status.QUEUED, None, None)

    def test_a_change_of_queue_while_assigned_leaves_size_and_priority(self) -> None:
        after = funnelled(a(Status.ASSIGNED), {"queue": "q2"})
        assert (after.queue, after.item_size, after.priority) == ("q2", 1, 9)


def test_a_completed_item_is_no_business_of_any_row() -> None:
    completed = replace(a(Status.ASSIGNED), status=Status.COMPLETED)
    for update in SAYING.values():
        assert refused(completed, update, rollout=LEGACY).code is RefusalCode.WORK_ITEM_COMPLETED


def test_every_row_works_in_every_status() -> None:
    for status in ACTIVE:
        for update in SAYING.values():
            result = execute(a(status, queue="q1"), parsed(update), context=CONTEXT, now=NOW, rollout=LEGACY)
            assert isinstance(result, Applied | Unchanged), (status, update)
