"""The composed engine, row by row and note by note of docs/commands.md: small examples that a person can check."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from commands.context import CommandContext
from commands.execute import Applied, Refused, Unchanged, execute
from commands.reason import RefusalCode
from commands.session import Session
from commands.work_item import QueuePass, Status, WorkItem
from tests.commands.items import CONTEXT, NOW, NOW_TEXT, T0, Json, applied, code_of, parsed, refused
from tests.commands.stages import EVERY_STATUS, a


class TestQueue:
    def test_null_leaves_queue_and_rule_and_nothing_else_from_assigned(self) -> None:
        item = applied(a(Status.ASSIGNED, queue="q1", rule="r1"), {"queue": None})
        assert (item.queue, item.rule, item.status) == (None, None, Status.ASSIGNED)
        assert (item.assigned_to, item.session) == ("u1", "s1")

    def test_null_from_queued_goes_to_ivr(self) -> None:
        item = applied(a(Status.QUEUED), {"queue": {"id": None}})
        assert (item.queue, item.status) == (None, Status.IVR)

    def test_null_from_routed_goes_to_ivr_and_takes_the_offer_back(self) -> None:
        item = applied(a(Status.ROUTED), {"queue.id": None})
        assert (item.queue, item.status, item.routed_to, item.session) == (None, Status.IVR, None, None)

    def test_a_queue_from_ivr_is_entered(self) -> None:
        item = applied(a(Status.IVR), {"queue": {"id": "q1", "rule": "r1"}})
        assert (item.queue, item.rule, item.status, item.queued_count) == ("q1", "r1", Status.QUEUED, 1)
        assert (item.item_size, item.priority) == (2, 3)
        assert item.first_enter_queue_at == NOW
        assert item.last_revision == QueuePass(entered_queue_at=NOW)

    def test_another_queue_while_queued_is_entered_anew(self) -> None:
        item = applied(a(Status.QUEUED), {"queue": "q2"})
        assert (item.queue, item.rule, item.status, item.queued_count) == ("q2", None, Status.QUEUED, 2)
        assert item.first_enter_queue_at == T0
        assert item.last_revision == QueuePass(entered_queue_at=NOW)

    def test_the_same_queue_while_queued_is_nothing(self) -> None:
        assert isinstance(execute(a(Status.QUEUED), parsed({"queue": "q1"}), context=CONTEXT, now=NOW), Unchanged)

    def test_the_same_queue_while_queued_changes_nothing_even_where_its_size_has_changed(self) -> None:
        before = a(Status.QUEUED, item_size=1, priority=9)
        assert isinstance(execute(before, parsed({"queue": "q1"}), context=CONTEXT, now=NOW), Unchanged)
        item = applied(before, {"queue": {"id": "q1", "rule": "r2"}})
        assert (item.rule, item.item_size, item.priority, item.queued_count) == ("r2", 1, 9, 1)

    def test_the_same_queue_by_key_while_queued_changes_nothing(self) -> None:
        update = parsed({"queue": {"key": "sales"}})
        assert isinstance(execute(a(Status.QUEUED), update, context=CONTEXT, now=NOW), Unchanged)

    def test_a_queue_from_routed_takes_the_offer_back(self) -> None:
        item = applied(a(Status.ROUTED), {"queue": "q2"})
        assert (item.queue, item.status, item.routed_to, item.session) == ("q2", Status.QUEUED, None, None)
        assert item.queued_count == 2

    @pytest.mark.parametrize("status", [Status.ASSIGNED, Status.WRAP_UP])
    def test_a_queue_while_an_agent_has_it_is_no_entry(self, status: Status) -> None:
        item = applied(a(status), {"queue": {"key": "support"}})
        assert (item.queue, item.status, item.queued_count, item.assigned_to) == ("q2", status, 0, "u1")
        assert (item.item_size, item.priority) == (5, 1)

    def test_the_update_can_keep_an_older_place(self) -> None:
        kept = T0 - timedelta(hours=1)
        item = applied(a(Status.IVR), {"queue": {"id": "q1", "enteredAt": "2022-03-02T18:00:00.000Z"}})
        assert item.last_revision == QueuePass(entered_queue_at=kept)
        assert item.first_enter_queue_at == kept

    @EVERY_STATUS
    def test_a_place_that_is_still_to_come_is_refused(self, status: Status) -> None:
        later = {"queue": {"id": "q2", "enteredAt": "2022-03-02T19:13:26.159Z"}, "paused": True}
        assert refused(a(status), later).code is RefusalCode.INVALID_UPDATE
        assert applied(a(Status.IVR), {"queue": {"id": "q2", "enteredAt": NOW_TEXT}}).first_enter_queue_at == NOW

    def test_an_unknown_id_is_kept_with_size_and_priority_as_they_were(self) -> None:
        item = applied(a(Status.IVR), {"queue": "unheard-of"})
        assert (item.queue, item.item_size, item.priority) == ("unheard-of", 1, 9)

    def test_a_queue_that_sets_no_size_leaves_it_and_the_priority(self) -> None:
        item = applied(a(Status.IVR), {"queue": "q3"})
        assert (item.queue, item.item_size, item.priority) == ("q3", 1, 9)

    @EVERY_STATUS
    def test_an_unknown_key_is_refused(self, status: Status) -> None:
        refusal = refused(a(status), {"queue": {"key": "unheard-of"}, "paused": True})
        assert refusal.code is RefusalCode.UNKNOWN_QUEUE
        assert "queue.key" in refusal.message
        assert "unheard-of" in refusal.message


class TestAssignee:
    def test_unassign_from_assigned_queues_where_there_is_a_queue(self) -> None:
        item = applied(a(Status.ASSIGNED, queue="q1", queued_count=1, first_enter_queue_at=T0), {"assignedTo": None})
        assert (item.status, item.assigned_to, item.accepted_by, item.session, item.team) == (
            Status.QUEUED,
            None,
            None,
            None,
            None,
        )
        assert (item.queued_count, item.first_enter_queue_at) == (2, T0)
        assert item.last_revision == QueuePass(entered_queue_at=NOW)

    def test_unassign_from_assigned_without_a_queue_goes_to_ivr(self) -> None:
        """The incident of 2021-02-13: the cleaner's `{assignedTo: null}` on a work-item that has no queue."""
        item = applied(a(Status.ASSIGNED), {"assignedTo": None})
        assert (item.status, item.assigned_to, item.queued_count) == (Status.IVR, None, 0)

    def test_the_queue_named_in_the_same_update_counts(self) -> None:
        item = applied(a(Status.ASSIGNED), {"assignedTo": None, "queue": {"id": "q2"}})
        assert (item.status, item.queue, item.queued_count) == (Status.QUEUED, "q2", 1)

    def test_leaving_the_queue_in_the_same_update_counts_too(self) -> None:
        item = applied(a(Status.ASSIGNED, queue="q1"), {"queue": None, "assignedTo": None})
        assert (item.status, item.queue, item.assigned_to) == (Status.IVR, None, None)

    def test_unassign_from_routed_enters_the_queue_again(self) -> None:
        item = applied(a(Status.ROUTED), {"assignedTo": None})
        assert (item.status, item.routed_to, item.session, item.queued_count) == (Status.QUEUED, None, None, 2)

    def test_unassign_in_wrap_up_stays_there(self) -> None:
        item = applied(a(Status.WRAP_UP), {"assignedTo": None})
        assert (item.status, item.assigned_to, item.session) == (Status.WRAP_UP, None, None)

    @pytest.mark.parametrize("status", [Status.IVR, Status.QUEUED, Status.ROUTED, Status.ASSIGNED])
    def test_assign_ends_assigned_on_the_users_session(self, status: Status) -> None:
        item = applied(a(status), {"assignedTo": "u2"})
        assert (item.status, item.assigned_to, item.accepted_by) == (Status.ASSIGNED, "u2", "u2")
        assert (item.session, item.routed_to) == ("s2", None)

    def test_assign_to_a_user_without_an_active_session_takes_none(self) -> None:
        item = applied(a(Status.ASSIGNED), {"assignedTo": "u3"})
        assert (item.status, item.assigned_to, item.session) == (Status.ASSIGNED, "u3", None)

    def test_the_same_user_is_nothing(self) -> None:
        update = parsed({"assignedTo": "u1"})
        assert isinstance(execute(a(Status.ASSIGNED), update, context=CONTEXT, now=NOW), Unchanged)

    def test_the_same_user_takes_a_session_where_it_has_none_and_the_user_has_one_now(self) -> None:
        before = a(Status.ASSIGNED, session=None, last_revision=QueuePass(accepted_at=T0))
        assert applied(before, {"assignedTo": "u1"}) == replace(before, session="s1", rev=8, updated_at=NOW)
        of_nobodys = a(Status.ASSIGNED, assigned_to="u3", accepted_by="u3", session=None)
        assert isinstance(execute(of_nobodys, parsed({"assignedTo": "u3"}), context=CONTEXT, now=NOW), Unchanged)

    def test_the_same_user_keeps_the_session_that_it_has(self) -> None:
        roomy = CommandContext(sessions={**CONTEXT.sessions, "s9": Session(id="s9", user="u1", capacity=99)})
        assert isinstance(execute(a(Status.ASSIGNED), parsed({"assignedTo": "u1"}), context=roomy, now=NOW), Unchanged)

    def test_assign_in_wrap_up_stays_there(self) -> None:
        item = applied(a(Status.WRAP_UP), {"assignedTo": "u2"})
        assert (item.status, item.assigned_to, item.session) == (Status.WRAP_UP, "u2", "s2")

    def test_an_assignment_is_not_lost_when_the_queue_changes_in_the_same_update(self) -> None:
        item = applied(a(Status.QUEUED), {"queue": "q2", "assignedTo": "u1"})
        assert (item.status, item.queue, item.assigned_to, item.queued_count) == (Status.ASSIGNED, "q2", "u1", 1)

    def test_a_snooze_is_not_lost_when_the_assignee_changes_in_the_same_update(self) -> None:
        item = applied(a(Status.QUEUED), {"assignedTo": "u1", "paused": True})
        assert (item.status, item.paused) == (Status.ASSIGNED, True)

    @pytest.mark.parametrize("user", ["u1", "u2"])
    def test_from_routed_assign_and_wrap_up_keep_the_assignees_session(self, user: str) -> None:
        """`unroute` clears the pending place, not the place that the assignment takes."""
        item = applied(a(Status.ROUTED), {"assignedTo": user, "status": "wrap-up"})
        assert (item.status, item.assigned_to, item.routed_to) == (Status.WRAP_UP, user, None)
        assert item.session == user.replace("u", "s")

    def test_from_routed_without_a_record_of_the_offer_the_assignees_session_is_kept_too(self) -> None:
        bare = replace(a(Status.ROUTED), routed_to=None, session=None)
        item = applied(bare, {"assignedTo": "u1", "status": "wrap-up"})
        assert (item.status, item.assigned_to, item.session) == (Status.WRAP_UP, "u1", "s1")


class TestStatus:
    @EVERY_STATUS
    def test_completed_keeps_the_assignee_as_history_and_leaves_the_session(self, status: Status) -> None:
        before = a(status)
        item = applied(before, {"status": "complete"})
        assert (item.status, item.active, item.completed_at) == (Status.COMPLETED, False, NOW)
        assert item.assigned_to == before.assigned_to
        assert (item.session, item.routed_to) == (None, None)

    def test_completed_with_an_unassign_in_the_same_update_keeps_no_assignee(self) -> None:
        assert applied(a(Status.ASSIGNED), {"assignedTo": None, "status": "completed"}).assigned_to is None

    def test_wrap_up_keeps_agent_and_session(self) -> None:
        item = applied(a(Status.ASSIGNED), {"status": "wrap-up"})
        assert (item.status, item.assigned_to, item.session) == (Status.WRAP_UP, "u1", "s1")

    def test_wrap_up_twice_is_nothing(self) -> None:
        update = parsed({"status": "wrap-up"})
        assert isinstance(execute(a(Status.WRAP_UP), update, context=CONTEXT, now=NOW), Unchanged)

    def test_wrap_up_from_routed_takes_the_offer_back(self) -> None:
        item = applied(a(Status.ROUTED), {"status": "wrapUp"})
        assert (item.status, item.routed_to, item.session) == (Status.WRAP_UP, None, None)

    def test_a_queue_beside_wrap_up_is_taken_and_not_entered(self) -> None:
        item = applied(a(Status.QUEUED), {"queue": "q2", "status": "wrap-up"})
        assert (item.status, item.queue, item.queued_count) == (Status.WRAP_UP, "q2", 1)

    @EVERY_STATUS
    def test_paused_is_the_flag_and_nothing_else(self, status: Status) -> None:
        before = a(status)
        item = applied(before, {"paused": True})
        assert (item.paused, item.status, item.session) == (True, status, before.session)
        assert isinstance(execute(before, parsed({"paused": False}), context=CONTEXT, now=NOW), Unchanged)


class TestRouting:
    def test_an_offer_is_pending_on_the_session_and_unassigned(self) -> None:
        item = applied(a(Status.QUEUED, assigned_to="u9", accepted_by="u9"), {"routed": {"to": "u2"}})
        assert (item.status, item.routed_to, item.session) == (Status.ROUTED, "u2", "s2")
        assert (item.assigned_to, item.accepted_by) == (None, None)

    def test_an_offer_can_go_to_another(self) -> None:
        item = applied(a(Status.ROUTED), {"routed": {"to": "u2"}})
        assert (item.status, item.routed_to, item.session) == (Status.ROUTED, "u2", "s2")

    def test_the_session_an_offer_names_must_be_an_active_one_of_the_user(self) -> None:
        assert applied(a(Status.QUEUED), {"routed": {"to": "u2", "workSession": "s1"}}).session == "s2"
        assert applied(a(Status.QUEUED), {"routed": {"to": "u3", "workSession": "s3"}}).session is None

    def test_accepted(self) -> None:
        item = applied(a(Status.ROUTED), {"accepted": {"by": "u1"}, "paused": True})
        assert (item.status, item.assigned_to, item.accepted_by) == (Status.ASSIGNED, "u1", "u1")
        assert (item.routed_to, item.session, item.paused) == (None, "s1", True)

    @pytest.mark.parametrize("kind", ["rejectedBy", "timedOut"])
    def test_put_back_keeps_the_customers_place(self, kind: str) -> None:
        item = applied(a(Status.ROUTED), {"routed": {kind: "u1"}})
        assert (item.status, item.routed_to, item.session) == (Status.QUEUED, None, None)
        assert (item.queued_count, item.first_enter_queue_at) == (1, T0)
        assert item.last_revision == QueuePass(entered_queue_at=T0)

    def test_put_back_without_a_queue_goes_to_ivr(self) -> None:
        item = applied(a(Status.ROUTED, queue=None, rule=None), {"routed": {"timedOut": "u1"}})
        assert (item.status, item.queued_count) == (Status.IVR, 1)

    def test_the_wait_goes_on_from_where_it_began(self) -> None:
        offered = applied(a(Status.QUEUED), {"routed": {"to": "u1"}})
        back = applied(offered, {"routed": {"rejectedBy": "u1"}}, now=NOW + timedelta(seconds=5))
        taken = applied(back, {"assignedTo": "u2"}, now=NOW + timedelta(seconds=9))
        assert taken.last_revision is not None
        assert taken.last_revision.queue_time_ms == (NOW + timedelta(seconds=9) - T0) // timedelta(milliseconds=1)


REFUSALS: list[tuple[str, WorkItem, Json, RefusalCode, list[str]]] = [
    *(
        (f"NOT_QUEUED-{status.value}", a(status), {"routed": {"to": "u1"}}, RefusalCode.NOT_QUEUED,
         ["routed.to", status.value, "queue"])
        for status in (Status.IVR, Status.ASSIGNED, Status.WRAP_UP)
    ),
    *(
        (f"NOT_ROUTED-{kind}-{status.value}", a(status), {"routed": {kind: "u1"}}, RefusalCode.NOT_ROUTED,
         [f"routed.{kind}", status.value, "routed"])
        for kind in ("rejectedBy", "timedOut")
        for status in (Status.IVR, Status.QUEUED, Status.ASSIGNED, Status.WRAP_UP)
    ),
    *(
        (f"NOT_ROUTED_TO_USER-{kind}", a(Status.ROUTED), {"routed": {kind: "u2"}}, RefusalCode.NOT_ROUTED_TO_USER,
         [f"routed.{kind}", "routed", "offered"])
        for kind in ("rejectedBy", "timedOut")
    ),
    *(
        (f"WORK_ITEM_COMPLETED-{'+'.join(update)}", a(Status.COMPLETED), update, RefusalCode.WORK_ITEM_COMPLETED,
         [*update, "completed", "new work-item"])
        for update in ({"queue": None}, {"assignedTo": "u1", "paused": True}, {"status": "completed"},
                       {"routed": {"to": "u1"}}, {"accepted": {"by": "u1"}}, {"resume": True})
    ),
    ("REVISION_CONFLICT-older", a(Status.IVR), {"paused": True, "rev": 6}, RefusalCode.REVISION_CONFLICT,
     ["rev", "6", "7", "read it again"]),
    ("REVISION_CONFLICT-newer", a(Status.IVR), {"paused": True, "rev": 8}, RefusalCode.REVISION_CONFLICT,
     ["rev", "8", "7"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("item", "update", "code", "named"), [case[1:] for case in REFUSALS], ids=[case[0] for case in REFUSALS]
)
def test_a_refusal_has_a_code_and_names_field_status_and_remedy(
    item: WorkItem, update: Json, code: RefusalCode, named: list[str]
) -> None:
    refusal = refused(item, update)
    assert refusal.code is code
    for word in named:
        assert word in refusal.message, refusal.message


def test_the_expected_revision_is_no_conflict() -> None:
    assert applied(a(Status.IVR), {"paused": True, "rev": 7}).rev == 8


@pytest.mark.parametrize(
    "update",
    [
        {"routed": {"to": "u1"}, "paused": True},
        {"routed": {"to": "u1"}, "accepted": {"by": "u1"}},
        {"routed": {"rejectedBy": "u1"}, "queue": None},
        {"accepted": {"by": "u1"}, "status": "wrap-up"},
        {"accepted": {"by": "u1"}, "assignedTo": "u1"},
        {"accepted": {"by": "u1"}, "queue": "q1", "paused": True},
        {"accepted": {"by": "u1"}, "resume": True},
    ],
    ids="+".join,
)
def test_unsupported_combination_names_both_fields(update: Json) -> None:
    refusal = refused(a(Status.ROUTED), update)
    assert refusal.code is RefusalCode.UNSUPPORTED_COMBINATION
    for name in update:
        if name != "paused" or "accepted" not in update:
            assert name in refusal.message


def test_the_composed_engine_has_every_code_but_the_funnels_own() -> None:
    of_the_page = {
        "INVALID_UPDATE", "UNSUPPORTED_COMBINATION", "REVISION_CONFLICT", "WORK_ITEM_COMPLETED", "UNKNOWN_QUEUE",
        "NOT_QUEUED", "NOT_ROUTED", "NOT_ROUTED_TO_USER", "TOO_MANY_FIELDS", "SESSION_LOCKED",
    }  # fmt: skip
    assert of_the_page | {"NO_QUEUE"} == {code.value for code in RefusalCode}


class TestTheResult:
    @pytest.mark.parametrize(
        ("status", "update", "actions"),
        [
            (Status.QUEUED, {"queue": None}, ("changeQueue", "setStatus")),
            (Status.QUEUED, {"queue": {"id": "q1", "rule": "r2"}}, ("changeQueue",)),
            (Status.IVR, {"queue": "q1"}, ("changeQueue", "setStatus", "enterQueue")),
            (Status.IVR, {"assignedTo": "u1", "paused": True}, ("assign", "setStatus", "pause")),
            (Status.ASSIGNED, {"assignedTo": None}, ("unassign", "setStatus")),
            (Status.QUEUED, {"routed": {"to": "u1"}}, ("route", "setStatus")),
            (Status.ROUTED, {"routed": {"to": "u2"}}, ("route",)),
            (Status.ROUTED, {"routed": {"rejectedBy": "u1"}}, ("unroute", "setStatus")),
            (Status.ASSIGNED, {"status": "wrap-up"}, ("setStatus",)),
        ],
        ids=str,
    )
    def test_the_actions_that_changed_the_item_have_the_names_of_the_page(
        self, status: Status, update: Json, actions: tuple[str, ...]
    ) -> None:
        assert execute(a(status), parsed(update), context=CONTEXT, now=NOW).command.actions == actions

    def test_unpause_is_an_action_of_its_own(self) -> None:
        result = execute(a(Status.ASSIGNED, paused=True), parsed({"paused": False}), context=CONTEXT, now=NOW)
        assert result.command.actions == ("unpause",)

    def test_the_revision_grows_by_one_and_updated_at_is_now(self) -> None:
        item = applied(a(Status.IVR), {"queue": "q1", "assignedTo": "u1", "status": "wrap-up", "paused": True})
        assert (item.rev, item.updated_at) == (8, NOW)

    def test_the_reason_holds_the_update_the_engine_and_the_known_revision(self) -> None:
        result = execute(
            a(Status.IVR), parsed({"queue.id": "q1", "queue.rule": "r1"}), context=CONTEXT, now=NOW, resource_rev=19
        )
        assert isinstance(result, Applied)
        reason = result.reason.as_wire()
        assert (reason["action"], reason["code"]) == ("UPDATE_COMMAND", "WORK_ITEM_UPDATE_CMD")
        assert reason["meta"]["data"] == {"queue": {"id": "q1", "rule": "r1"}, "rev": 7, "resource": {"rev": 19}}
        assert reason["meta"]["composed"] is True
        assert set(reason["meta"]["actions"]) == {"changeQueue", "enterQueue", "setStatus"}
        assert reason["meta"]["commandName"] == result.command.name

    def test_the_known_revision_is_left_out_where_it_is_not_given(self) -> None:
        result = execute(a(Status.IVR), parsed({"paused": True}), context=CONTEXT, now=NOW)
        assert isinstance(result, Applied)
        assert result.reason.meta["data"] == {"paused": True, "rev": 7}

    def test_a_refusal_names_the_fields_and_no_action(self) -> None:
        result = execute(a(Status.IVR), parsed({"routed": {"to": "u1"}}), context=CONTEXT, now=NOW)
        assert isinstance(result, Refused)
        assert (result.command.fields, result.command.actions) == (("routed",), ())

    def test_code_of_a_refusal_is_its_value(self) -> None:
        assert code_of(a(Status.COMPLETED), {"paused": True}).value == "WORK_ITEM_COMPLETED"
