"""Policy `causal` by rule id: each rule's write where its side is newer, and its suppression where it is not."""

from typing import Any, Final

import pytest

from sync.conversation import FIELDS, Field
from sync.evidence import NewerSide
from tests.sync.pairs import CHANGED, KNOWN, Json, c, decided_where, rules_of, w
from tests.sync.test_rules import DOES_NOT_FIRE, FIRES, Q1, Q2

C_NEWER: Final[dict[Field, NewerSide]] = dict.fromkeys(FIELDS, NewerSide.CONVERSATION)
W_NEWER: Final[dict[Field, NewerSide]] = dict.fromkeys(FIELDS, NewerSide.WORK_ITEM)
ALL_WAIT: Final[dict[Field, NewerSide]] = dict.fromkeys(FIELDS, NewerSide.UNDECIDED)

WIDER = [
    # id, C, W, the write, its code: where `legacy` has no rule
    ("A2-another", c(assignedUsers=["u2"]), w(status="assigned", assignedTo="u1"), {"assignedUsers": ["u1"]},
     "WORK_ITEM_ASSIGNED"),
    ("A3-routed", c(assignedUsers=["u1"]), w(status="routed"), {"assignedUsers": []}, "WORK_ITEM_QUEUED_UNASSIGNED"),
    ("B8-ivr", c(queue=Q2), w(status="ivr", queue=Q1), {"queue": {"id": "q2"}}, "CONVERSATION_QUEUE_CHANGED"),
    ("B8-routed", c(queue=Q2), w(status="routed", queue=Q1), {"queue": {"id": "q2"}}, "CONVERSATION_QUEUE_CHANGED"),
    ("B8-wrap-up", c(queue=Q2, ended=True), w(status="wrap-up", queue=Q1), {"queue": {"id": "q2"}},
     "CONVERSATION_QUEUE_CHANGED"),
    ("B8-routed-removed", c(), w(status="routed", queue=Q1), {"queue": None}, "CONVERSATION_QUEUE_REMOVED"),
    ("B10", c(), w(status="wrap-up"), {"resume": True}, "CONVERSATION_RESUMED"),
    ("B2-resumes", c(ended=True), w(status="wrap-up", assignedTo="u1"),
     {"assignedTo": None, "queue": None, "resume": True}, "CONVERSATION_UNASSIGNED"),
    ("B2-resumes-while-snoozed", c(ended=True, status="snoozed"), w(status="wrap-up", assignedTo="u1", paused=True),
     {"assignedTo": None, "queue": None, "resume": True}, "CONVERSATION_UNASSIGNED"),
    ("B3-resumes", c(ended=True, queue=Q1), w(status="wrap-up", assignedTo="u1", queue=Q1),
     {"assignedTo": None, "resume": True}, "CONVERSATION_UNASSIGNED"),
]  # fmt: skip

LEFT = [
    # id and why not, C, W
    ("A2-one-of-them", c(assignedUsers=["u2", "u1"]), w(status="assigned", assignedTo="u1")),
    ("A3-ivr", c(assignedUsers=["u1"]), w(status="ivr")),
    ("A6-ivr-that-was-never-queued", c(queue=Q1), w()),
    ("B7-nobody", c(ended=True), w(status="queued")),
    ("B7-nobody-any-more", c(ended=True, queue=Q1), w(status="assigned", assignedTo="u1", queue=Q1)),
    ("A3-wrap-up", c(assignedUsers=["u1"]), w(status="wrap-up")),
    ("B8-completed", c(queue=Q2), w(status="completed", queue=Q1)),
    ("B8-deleted", c(queue=Q2, deleted=True), w(status="queued", queue=Q1)),
    ("B10-ended", c(ended=True), w(status="wrap-up")),
    ("B10-snoozed", c(status="snoozed"), w(status="wrap-up")),
    ("B10-done", c(status="done"), w(status="wrap-up")),
    ("B10-deleted", c(deleted=True), w(status="wrap-up")),
    ("B10-assigned", c(), w(status="assigned")),
]
WIDENED = {"A2-has-another", "B8-ivr"}
"""The nearest pairs on which `causal` writes and `legacy` does not, besides the rows marked so."""
LEFT_BY_BOTH = [case for case in DOES_NOT_FIRE if not case[0].endswith("is-causal-only") and case[0] not in WIDENED]


def identity(case: str) -> str:
    return case.split("-", maxsplit=1)[0]


def own_side(rule: str) -> dict[Field, NewerSide]:
    return C_NEWER if rule.startswith("B") else W_NEWER


@pytest.mark.parametrize(
    ("case", "conversation", "item", "write", "code"),
    [*FIRES, *WIDER],
    ids=[f"{case[0]}-fires" for case in (*FIRES, *WIDER)],
)
def test_a_rule_fires_where_its_side_is_newer_and_says_why(
    case: str, conversation: Json, item: Json, write: dict[str, Any], code: str
) -> None:
    rule = identity(case)
    found = decided_where(conversation, item, own_side(rule))
    forward = rule.startswith("B")
    action = "SYNC_WORK_ITEM" if forward else "SYNC_CONVERSATION"
    assert (found["outcome"], found["direction"]) == ("applied", "forward" if forward else "reverse")
    assert write.items() <= found["updatedWorkItem" if forward else "updatedConversation"].items()
    assert found["updatedConversation" if forward else "updatedWorkItem"] is None
    assert {"action": action, "code": code, "meta": {"rule": rule, "policy": "causal"}} in found["reasons"]


@pytest.mark.parametrize(
    ("case", "conversation", "item", "write", "code"), WIDER, ids=[f"{case[0]}-alone" for case in WIDER]
)
def test_where_causal_is_wider_the_rule_fires_alone(
    case: str, conversation: Json, item: Json, write: dict[str, Any], code: str
) -> None:
    found = decided_where(conversation, item, own_side(case))
    assert rules_of(found) == {identity(case)}
    assert (found["updatedWorkItem"] or found["updatedConversation"]) == write


@pytest.mark.parametrize(
    ("case", "conversation", "item"), [*LEFT, *LEFT_BY_BOTH], ids=[case[0] for case in (*LEFT, *LEFT_BY_BOTH)]
)
def test_a_rule_does_not_fire_on_the_nearest_pair(case: str, conversation: Json, item: Json) -> None:
    assert identity(case) not in rules_of(decided_where(conversation, item, own_side(case)))


@pytest.mark.parametrize(
    ("case", "conversation", "item"),
    [case[:3] for case in (*FIRES, *WIDER)],
    ids=[case[0] for case in (*FIRES, *WIDER)],
)
def test_a_rule_is_shut_where_the_other_side_is_newer(case: str, conversation: Json, item: Json) -> None:
    rule = identity(case)
    other = W_NEWER if rule.startswith("B") else C_NEWER
    # The fields that are always the conversation's: `paused`, and that it is done or deleted.
    always = rule in ("B4", "B5", "B6", "B9")
    assert (rule in rules_of(decided_where(conversation, item, other))) is always
    assert (rule in rules_of(decided_where(conversation, item, ALL_WAIT))) is always


class TestSuppressedFields:
    C: Final = c(assignedUsers=["u2"])
    W: Final = w(status="assigned", assignedTo="u1")

    @pytest.mark.parametrize(
        ("newer", "code"),
        [
            (NewerSide.CONVERSATION, "CONVERSATION_IS_NEWER"),
            (NewerSide.WORK_ITEM, "WORK_ITEM_IS_NEWER"),
            (NewerSide.UNDECIDED, "FIELD_WAITS"),
        ],
    )
    def test_once_a_field_with_what_was_changed_and_known(self, newer: NewerSide, code: str) -> None:
        found = decided_where(self.C, self.W, {**C_NEWER, "assignee": newer})
        assert found["suppressed"] == [
            {"field": "assignee", "code": code, "conversationRev": CHANGED[newer], "knownRev": KNOWN[newer]}
        ]

    def test_where_both_tables_ask_either_may_write_and_never_both(self) -> None:
        assert rules_of(decided_where(self.C, self.W, C_NEWER)) == {"B1"}
        assert rules_of(decided_where(self.C, self.W, W_NEWER)) == {"A2"}
        assert rules_of(decided_where(self.C, self.W, ALL_WAIT)) == set()

    def test_a_field_that_the_newer_side_cannot_carry_is_reported_all_the_same(self) -> None:
        """A work-item un-assigned in ivr leaves the conversation's agent, who is not assigned to it again."""
        found = decided_where(c(assignedUsers=["u1"]), w(status="ivr"), W_NEWER)
        assert found["reasons"] == [{"action": "SKIP_SYNC", "code": "IN_SYNC", "meta": {}}]
        assert [each["code"] for each in found["suppressed"]] == ["WORK_ITEM_IS_NEWER"]

    def test_of_the_pair_as_it_was_read(self) -> None:
        """A3 fires only after the queue was synced forward; it does not fire on the pair as read."""
        item = w(queuedCount=1)
        found = decided_where(c(assignedUsers=["u1"], queue=Q1), item, {**C_NEWER, "assignee": NewerSide.UNDECIDED})
        assert rules_of(found) == {"B8"}
        assert {(each["field"], each["code"]) for each in found["suppressed"]} == {
            ("assignee", "FIELD_WAITS"),
            ("queue", "CONVERSATION_IS_NEWER"),
        }


class TestAwaiting:
    def test_every_field_that_differs_waits(self) -> None:
        found = decided_where(c(assignedUsers=["u1"], queue=Q1), w(), ALL_WAIT)
        assert found["reasons"] == [{"action": "SKIP_SYNC", "code": "AWAITING_EARLIER_EVENT", "meta": {}}]

    def test_not_where_nothing_differs(self) -> None:
        assert decided_where(c(), w(), ALL_WAIT)["reasons"][0]["code"] == "IN_SYNC"

    def test_not_where_one_of_them_is_decided_but_cannot_be_carried(self) -> None:
        found = decided_where(c(assignedUsers=["u1"], queue=Q1), w(), {**ALL_WAIT, "assignee": NewerSide.WORK_ITEM})
        assert found["reasons"][0]["code"] == "IN_SYNC"

    def test_the_decided_ones_are_written_whatever_waits(self) -> None:
        found = decided_where(c(assignedUsers=["u1"], queue=Q1), w(), {**ALL_WAIT, "queue": NewerSide.CONVERSATION})
        assert rules_of(found) == {"B8"}

    def test_a_snooze_never_waits(self) -> None:
        assert rules_of(decided_where(c(status="snoozed"), w(), ALL_WAIT)) == {"B4"}

    def test_a_deletion_never_waits(self) -> None:
        assert rules_of(decided_where(c(deleted=True, assignedUsers=["u1"]), w(), ALL_WAIT)) == {"B9"}


class TestUnassignedAndEnded:
    """A wrap-up of nobody never routes and never ends: un-assigned and ended end alike in either order."""

    def test_un_assigned_and_ended_in_one_decision(self) -> None:
        """Rule A4 ends the conversation, and B2 takes the work-item out of wrap-up all the same."""
        found = decided_where(
            c(), w(status="wrap-up", assignedTo="u1"), {**C_NEWER, "ended": NewerSide.WORK_ITEM}, in_order=True
        )
        assert found["updatedWorkItem"] == {"assignedTo": None, "queue": None, "resume": True}
        assert found["updatedConversation"] == {"ended": True}

    def test_un_assigned_waits_while_ended_waits(self) -> None:
        found = decided_where(
            c(), w(status="wrap-up", assignedTo="u1"), {**C_NEWER, "ended": NewerSide.UNDECIDED}, in_order=True
        )
        assert (found["updatedWorkItem"], found["updatedConversation"]) == (None, None)
        codes = {each["field"]: each["code"] for each in found["suppressed"]}
        assert codes == {"assignee": "FIELD_WAITS", "ended": "FIELD_WAITS"}

    def test_a_completion_waits_with_it(self) -> None:
        done = c(status="done")
        found = decided_where(
            done, w(status="wrap-up", assignedTo="u1"), {**C_NEWER, "ended": NewerSide.UNDECIDED}, in_order=True
        )
        assert found["updatedWorkItem"] is None

    def test_by_the_letter_of_the_tables_the_conversation_had_not_ended(self) -> None:
        """`decide` has no order of events."""
        found = decided_where(c(), w(status="wrap-up", assignedTo="u1"), {**C_NEWER, "ended": NewerSide.WORK_ITEM})
        assert found["updatedWorkItem"] == {"assignedTo": None, "queue": None}
        assert found["updatedConversation"] == {"ended": True}

    @pytest.mark.parametrize(
        ("conversation", "item"),
        [
            (c(ended=True), w(status="assigned", assignedTo="u1")),
            (c(ended=True, assignedUsers=["u2"]), w(status="wrap-up", assignedTo="u1")),
        ],
        ids=["not-in-wrap-up", "assigned-to-another"],
    )
    def test_there_is_no_resume_elsewhere_by_an_un_assignment(self, conversation: Json, item: Json) -> None:
        found = decided_where(conversation, item, {**C_NEWER, "ended": NewerSide.WORK_ITEM})
        assert "resume" not in found["updatedWorkItem"]

    def test_a_chat_that_ended_goes_to_wrap_up_with_the_agent_that_the_same_update_assigns(self) -> None:
        found = decided_where(c(ended=True, assignedUsers=["u1"]), w(status="queued"), C_NEWER)
        assert found["updatedWorkItem"] == {"assignedTo": "u1", "status": "wrap-up"}

    def test_a_completion_stands_beside_a_resume(self) -> None:
        found = decided_where(c(ended=True, status="done"), w(status="wrap-up", assignedTo="u1"), C_NEWER)
        assert rules_of(found) == {"B2", "B6"}
        assert found["updatedWorkItem"]["status"] == "completed"


class TestBFirstThenA:
    """Table A compares the work-item as the commands leave it."""

    def test_a_queue_synced_forward_makes_an_ivr_item_queued_and_only_then_a3_applies(self) -> None:
        found = decided_where(c(assignedUsers=["u1"], queue=Q1), w(), {**C_NEWER, "assignee": NewerSide.WORK_ITEM})
        assert [reason["meta"]["rule"] for reason in found["reasons"]] == ["B8", "A3"]
        assert found["direction"] == "both"
        assert found["updatedWorkItem"] == {"queue": {"id": "q1"}}
        assert found["updatedConversation"] == {"assignedUsers": []}

    def test_a_resumed_item_is_no_longer_in_wrap_up_when_a_is_asked(self) -> None:
        found = decided_where(
            c(assignedUsers=["u1"]), w(status="wrap-up", queue=Q1), {**W_NEWER, "ended": NewerSide.CONVERSATION}
        )
        assert [reason["meta"]["rule"] for reason in found["reasons"]] == ["B10", "A3", "A5"]

    def test_a_completed_one_takes_no_more_than_a1(self) -> None:
        found = decided_where(
            c(status="done", queue=Q1), w(status="queued", queue=Q2), {**W_NEWER, "status": NewerSide.CONVERSATION}
        )
        assert [reason["meta"]["rule"] for reason in found["reasons"]] == ["B6"]
        assert found["updatedConversation"] is None

    def test_in_order_the_closed_conversation_names_the_agent_who_accepted_it(self) -> None:
        newer = {**W_NEWER, "status": NewerSide.CONVERSATION}
        accepted = w(status="assigned", assignedTo="u2", queue=Q2)
        found = decided_where(c(status="done", queue=Q1), accepted, newer, in_order=True)
        assert [reason["meta"]["rule"] for reason in found["reasons"]] == ["B6", "A2", "A5"]
        assert found["updatedConversation"] == {"assignedUsers": ["u2"], "queue": Q2}
        assert found["updatedWorkItem"] == {"status": "completed"}

    def test_in_order_a_completion_takes_no_more_in_than_it_has_waited_for(self) -> None:
        newer = {**W_NEWER, "status": NewerSide.CONVERSATION}
        found = decided_where(c(status="done"), w(status="wrap-up"), newer, in_order=True)
        assert [reason["meta"]["rule"] for reason in found["reasons"]] == ["B6"]

    def test_a_deletion_completes_and_takes_nothing_in(self) -> None:
        newer = {**W_NEWER, "status": NewerSide.CONVERSATION}
        found = decided_where(c(deleted=True), w(status="assigned", assignedTo="u2"), newer, in_order=True)
        assert [reason["meta"]["rule"] for reason in found["reasons"]] == ["B9"]

    def test_a_field_is_never_written_on_both_sides(self) -> None:
        found = decided_where(
            c(assignedUsers=["u1"], queue=Q1), w(status="assigned", assignedTo="u2", queue=Q2),
            {**C_NEWER, "queue": NewerSide.WORK_ITEM},
        )  # fmt: skip
        assert found["updatedWorkItem"] == {"assignedTo": "u1"}
        assert found["updatedConversation"] == {"queue": {"id": "q2"}}
