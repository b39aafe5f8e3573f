"""Each rule by its id: the smallest pair on which it fires, its write and reason, the nearest pair that it leaves."""

from typing import Any

import pytest

from sync.gates import Side
from tests.sync.pairs import Json, answer, c, question, rules_of, w

Q1, Q2 = {"id": "q1"}, {"id": "q2"}

FIRES = [
    # id, C, W, the write, its code
    ("A1", c(), w(status="completed"), {"status": "done"}, "WORK_ITEM_COMPLETED"),
    ("A1-snoozed", c(status="snoozed"), w(status="completed"), {"status": "done"}, "WORK_ITEM_COMPLETED"),
    ("A2", c(), w(status="assigned", assignedTo="u1"), {"assignedUsers": ["u1"]}, "WORK_ITEM_ASSIGNED"),
    ("A3", c(assignedUsers=["u1"]), w(status="queued"), {"assignedUsers": []}, "WORK_ITEM_QUEUED_UNASSIGNED"),
    ("A4", c(), w(status="wrap-up"), {"ended": True}, "WORK_ITEM_WRAP_UP"),
    ("A5-other", c(queue=Q1), w(queue=Q2), {"queue": {"id": "q2"}}, "WORK_ITEM_QUEUE_CHANGED"),
    ("A5-none", c(), w(queue=Q2), {"queue": {"id": "q2"}}, "WORK_ITEM_QUEUE_CHANGED"),
    ("A6", c(queue=Q1), w(queuedCount=1), {"queue": {"id": None}}, "WORK_ITEM_QUEUE_REMOVED"),
    ("B1", c(assignedUsers=["u2", "u1"]), w(), {"assignedTo": "u2"}, "CONVERSATION_ASSIGNED"),
    ("B1-another", c(assignedUsers=["u1"]), w(assignedTo="u2"), {"assignedTo": "u1"}, "CONVERSATION_ASSIGNED"),
    ("B2", c(), w(assignedTo="u1"), {"assignedTo": None, "queue": None}, "CONVERSATION_UNASSIGNED"),
    ("B3-queue-of-c", c(queue=Q1), w(assignedTo="u1"), {"assignedTo": None}, "CONVERSATION_UNASSIGNED"),
    ("B3-queue-of-w", c(), w(assignedTo="u1", queue=Q1), {"assignedTo": None}, "CONVERSATION_UNASSIGNED"),
    ("B4", c(status="snoozed"), w(), {"paused": True}, "CONVERSATION_SNOOZED"),
    ("B5", c(), w(paused=True), {"paused": False}, "CONVERSATION_UNSNOOZED"),
    ("B6", c(status="done"), w(), {"status": "completed"}, "CONVERSATION_DONE"),
    (
        "B6-from-wrap-up",
        c(status="done", ended=True),
        w(status="wrap-up"),
        {"status": "completed"},
        "CONVERSATION_DONE",
    ),
    ("B7", c(ended=True, assignedUsers=["u1"]), w(assignedTo="u1"), {"status": "wrap-up"}, "CONVERSATION_ENDED"),
    ("B8-queued", c(queue=Q2), w(status="queued", queue=Q1), {"queue": {"id": "q2"}}, "CONVERSATION_QUEUE_CHANGED"),
    ("B8-assigned", c(queue=Q2), w(status="assigned"), {"queue": {"id": "q2"}}, "CONVERSATION_QUEUE_CHANGED"),
    ("B8-removed", c(), w(status="queued", queue=Q1), {"queue": None}, "CONVERSATION_QUEUE_REMOVED"),
    ("B9", c(deleted=True), w(), {"status": "completed"}, "CONVERSATION_DELETED"),
    (
        "B9-and-nothing-else",
        c(deleted=True, assignedUsers=["u1"], queue=Q1, status="snoozed"),
        w(status="queued", queue=Q2),
        {"status": "completed"},
        "CONVERSATION_DELETED",
    ),
]

DOES_NOT_FIRE = [
    # id and why not, C, W
    ("A1-done-already", c(status="done"), w(status="completed")),
    ("A1-deleted", c(deleted=True), w(status="completed")),
    ("A1-not-completed", c(), w(status="wrap-up")),
    ("A2-has-another", c(assignedUsers=["u2"]), w(status="assigned", assignedTo="u1")),
    ("A2-deleted", c(deleted=True), w(status="assigned", assignedTo="u1")),
    ("A2-completed", c(), w(status="completed", assignedTo="u1")),
    ("A3-ivr", c(assignedUsers=["u1"]), w(status="ivr")),
    ("A3-routed-is-causal-only", c(assignedUsers=["u1"]), w(status="routed")),
    ("A3-assigned", c(assignedUsers=["u1"]), w(status="queued", assignedTo="u1")),
    ("A3-nobody-there", c(), w(status="queued")),
    ("A4-ended-already", c(ended=True), w(status="wrap-up")),
    ("A4-assigned", c(), w(status="assigned")),
    ("A5-same", c(queue=Q1), w(queue=Q1)),
    ("A5-completed", c(), w(status="completed", queue=Q1)),
    ("A6-none-either", c(), w()),
    ("A6-deleted", c(queue=Q1, deleted=True), w()),
    ("B1-one-of-them", c(assignedUsers=["u2", "u1"]), w(assignedTo="u1")),
    ("B1-deleted", c(assignedUsers=["u1"], deleted=True), w()),
    ("B2-a-queue-of-c", c(queue=Q1), w(assignedTo="u1")),
    ("B2-a-queue-of-w", c(), w(assignedTo="u1", queue=Q1)),
    ("B2-nobody", c(), w()),
    ("B3-no-queue", c(), w(assignedTo="u1")),
    ("B3-nobody", c(queue=Q1), w(queue=Q1)),
    ("B3-assigned", c(queue=Q1, assignedUsers=["u1"]), w(queue=Q1, assignedTo="u1")),
    ("B4-paused-already", c(status="snoozed"), w(paused=True)),
    ("B4-done", c(status="done"), w()),
    ("B5-snoozed", c(status="snoozed"), w(paused=True)),
    ("B5-done", c(status="done"), w(paused=True)),
    ("B6-completed-already", c(status="done"), w(status="completed")),
    ("B6-snoozed", c(status="snoozed"), w()),
    ("B7-wrap-up-already", c(ended=True), w(status="wrap-up")),
    ("B7-snoozed", c(ended=True, status="snoozed"), w()),
    ("B7-done", c(ended=True, status="done"), w()),
    ("B8-ivr", c(queue=Q2), w(status="ivr", queue=Q1)),
    ("B8-routed-is-causal-only", c(queue=Q2), w(status="routed", queue=Q1)),
    ("B8-wrap-up-is-causal-only", c(queue=Q2), w(status="wrap-up", queue=Q1)),
    ("B8-same", c(queue=Q1), w(status="queued", queue={"id": "q1", "rule": "r1"})),
    ("B9-not-deleted", c(), w()),
    ("B9-completed-already", c(deleted=True), w(status="completed")),
    ("B10-is-causal-only", c(), w(status="wrap-up")),
]

TOGETHER = [
    # the ids of all rules that fire, C, W, the one update
    ("A2+A4+A5", c(), w(status="wrap-up", assignedTo="u1", queue=Q1),
     {"assignedUsers": ["u1"], "ended": True, "queue": {"id": "q1"}}),
    ("A3+A5", c(assignedUsers=["u1"]), w(status="queued", queue=Q1), {"assignedUsers": [], "queue": {"id": "q1"}}),
    ("A4+A6", c(queue=Q1), w(status="wrap-up"), {"ended": True, "queue": {"id": None}}),
    ("B1+B8", c(assignedUsers=["u1"], queue=Q2), w(status="queued", queue=Q1),
     {"assignedTo": "u1", "queue": {"id": "q2"}}),
    ("B1+B4", c(assignedUsers=["u1"], status="snoozed"), w(), {"assignedTo": "u1", "paused": True}),
    ("B1+B6", c(assignedUsers=["u1"], status="done"), w(), {"assignedTo": "u1", "status": "completed"}),
    ("B1+B5+B7+B8", c(assignedUsers=["u1"], queue=Q1, ended=True), w(status="assigned", assignedTo="u2", paused=True),
     {"assignedTo": "u1", "queue": {"id": "q1"}, "paused": False, "status": "wrap-up"}),
    ("B2+B4", c(status="snoozed"), w(status="assigned", assignedTo="u1"),
     {"assignedTo": None, "queue": None, "paused": True}),
    ("B3+B8", c(), w(status="assigned", assignedTo="u1", queue=Q1), {"assignedTo": None, "queue": None}),
    ("B3+B8", c(queue=Q2), w(status="assigned", assignedTo="u1"), {"assignedTo": None, "queue": {"id": "q2"}}),
    ("B3+B7+B8", c(queue=Q2, ended=True), w(status="assigned", assignedTo="u1", queue=Q1),
     {"assignedTo": None, "queue": {"id": "q2"}, "status": "wrap-up"}),
    ("B6+B8", c(status="done", queue=Q2, ended=True), w(status="queued"),
     {"queue": {"id": "q2"}, "status": "completed"}),
]  # fmt: skip


def ask(rule: str, conversation: Json, item: Json) -> Json:
    trigger: Side = "work-item" if rule.startswith("A") else "conversation"
    return answer(question(trigger, conversation, item))


@pytest.mark.parametrize(
    ("rule", "conversation", "item", "write", "code"), FIRES, ids=[f"{case[0]}-fires" for case in FIRES]
)
def test_a_rule_fires_alone_and_says_why(
    rule: str, conversation: Json, item: Json, write: dict[str, Any], code: str
) -> None:
    found = ask(rule, conversation, item)
    identity = rule.split("-", maxsplit=1)[0]
    forward = identity.startswith("B")
    assert found["outcome"] == "applied"
    assert found["direction"] == ("forward" if forward else "reverse")
    assert found["updatedWorkItem" if forward else "updatedConversation"] == write
    assert found["updatedConversation" if forward else "updatedWorkItem"] is None
    assert found["suppressed"] == []
    action = "SYNC_WORK_ITEM" if forward else "SYNC_CONVERSATION"
    assert found["reasons"] == [{"action": action, "code": code, "meta": {"rule": identity, "policy": "legacy"}}]


def test_legacy_keeps_a6_of_a_never_queued_item_and_b7_of_nobody() -> None:
    assert rules_of(ask("A6", c(queue=Q1), w(queuedCount=0))) == {"A6"}
    assert rules_of(ask("B7", c(ended=True), w())) == {"B7"}


def test_legacy_resumes_nothing() -> None:
    assert ask("B2", c(ended=True), w(status="wrap-up", assignedTo="u1"))["updatedWorkItem"] == {
        "assignedTo": None,
        "queue": None,
    }


@pytest.mark.parametrize(("rule", "conversation", "item"), DOES_NOT_FIRE, ids=[case[0] for case in DOES_NOT_FIRE])
def test_a_rule_does_not_fire_on_the_nearest_pair(rule: str, conversation: Json, item: Json) -> None:
    assert rule.split("-", maxsplit=1)[0] not in rules_of(ask(rule, conversation, item))


@pytest.mark.parametrize(("rules", "conversation", "item", "update"), TOGETHER, ids=[case[0] for case in TOGETHER])
def test_rules_that_fire_together_make_one_write(
    rules: str, conversation: Json, item: Json, update: dict[str, Any]
) -> None:
    found = ask(rules, conversation, item)
    assert rules_of(found) == set(rules.split("+"))
    assert found["updatedConversation" if rules.startswith("A") else "updatedWorkItem"] == update


@pytest.mark.parametrize("rule", ["A1", "A2", "A3", "A4", "A5-other", "A6"])
def test_a_conversations_event_asks_table_b_alone(rule: str) -> None:
    _, conversation, item, _, _ = next(case for case in FIRES if case[0] == rule)
    found = answer(question("conversation", conversation, item))
    assert found["updatedConversation"] is None
    assert not {one for one in rules_of(found) if one.startswith("A")}


@pytest.mark.parametrize("rule", ["B1", "B2", "B3-queue-of-c", "B4", "B5", "B6", "B7", "B8-queued", "B9"])
def test_a_work_items_event_asks_table_a_alone(rule: str) -> None:
    _, conversation, item, _, _ = next(case for case in FIRES if case[0] == rule)
    found = answer(question("work-item", conversation, item))
    assert found["updatedWorkItem"] is None
    assert not {one for one in rules_of(found) if one.startswith("B")}


class TestCapturedIncidents:
    def test_2021_a_conversation_without_a_queue_unassigns_and_dequeues(self) -> None:
        found = ask("B2", c(rev=19), w(status="assigned", assignedTo="5f7d064afcc10579957f9217"))
        assert found["updatedWorkItem"] == {"assignedTo": None, "queue": None}

    def test_2021_a_conversation_with_a_queue_unassigns_and_queues(self) -> None:
        found = ask("B3", c(rev=19, queue=Q1), w(status="assigned", assignedTo="5f7d064afcc10579957f9217"))
        assert found["updatedWorkItem"] == {"assignedTo": None, "queue": {"id": "q1"}}

    def test_2022_legacy_removes_the_workflows_assignment_as_in_production(self) -> None:
        conversation = c(rev=6, assignedUsers=["61a6a83fdf1e2d21501a77c1"], queue=Q1)
        found = ask("A3", conversation, w(rev=2, status="queued", queue=Q1))
        assert found["updatedConversation"] == {"assignedUsers": []}
