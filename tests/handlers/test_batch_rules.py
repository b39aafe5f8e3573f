"""Each rule by its id, under either policy: documents, announcement and audit record.

One event of the rule's own side comes, and the other document is old news. That is a first sight, on which both
policies go the event's own way.
"""

from typing import Any

import pytest
from msgspec import Struct, field

from commands.instant import format_instant
from handlers.options import PolicyInUse
from handlers.outcome import Done
from tests.handlers.wire_events import Json, conversation, event, log_line, published, work_item
from tests.handlers.world import World

TRACE = {"trace_id": "123", "span_id": "456"}


class Rule(Struct, frozen=True):
    """A pair on which a single rule fires. `to` is the write; the other fields are the documents after it."""

    c: Json
    w: Json
    code: str
    to: dict[str, Any]
    attributes: dict[str, Any] = field(default_factory=dict)
    queue: str | None = None
    user: str | None = None
    action: tuple[str, ...] = ()
    changed: set[str] = field(default_factory=set)


A_RULES = {
    "A1": Rule(conversation(4), work_item(7, status="completed"), "WORK_ITEM_COMPLETED", {"status": "done"},
               attributes={"status": "done"}, changed={"status"}),
    "A2": Rule(conversation(4), work_item(7, status="assigned", user="u-1"), "WORK_ITEM_ASSIGNED",
               {"assignedUsers": ["u-1"]}, attributes={"assignedUsers": ["u-1"]}, changed={"assignedUsers"}),
    "A3": Rule(conversation(4, users=("u-1", "u-2"), queue="q-1"), work_item(7, status="queued", queue="q-1"),
               "WORK_ITEM_QUEUED_UNASSIGNED", {"assignedUsers": []}, attributes={"assignedUsers": []}, queue="q-1",
               changed={"assignedUsers"}),
    "A4": Rule(conversation(4), work_item(7, status="wrap-up"), "WORK_ITEM_WRAP_UP", {"ended": True},
               attributes={"ended": True}, changed={"ended"}),
    "A5": Rule(conversation(4, queue="q-1"), work_item(7, status="queued", queue="q-2"), "WORK_ITEM_QUEUE_CHANGED",
               {"queue": {"id": "q-2"}}, queue="q-2", changed={"queue"}),
    "A5-none-before": Rule(conversation(4), work_item(7, status="queued", queue="q-2"), "WORK_ITEM_QUEUE_CHANGED",
                           {"queue": {"id": "q-2"}}, queue="q-2", changed={"queue"}),
    "A6": Rule(conversation(4, queue="q-1"), work_item(7, queuedCount=1), "WORK_ITEM_QUEUE_REMOVED",
               {"queue": {"id": None}}, changed={"queue"}),
}  # fmt: skip
B_RULES = {
    "B1": Rule(conversation(4, users=("u-1", "u-2")), work_item(7), "CONVERSATION_ASSIGNED", {"assignedTo": "u-1"},
               attributes={"status": "assigned"}, user="u-1", action=("assign", "setStatus"),
               changed={"assignedTo", "acceptedBy", "workSession", "status", "ivr", "lastRevision"}),
    "B2": Rule(conversation(4), work_item(7, status="assigned", user="u-1", session="s-1"), "CONVERSATION_UNASSIGNED",
               {"assignedTo": None, "queue": None}, attributes={"status": "ivr"}, action=("unassign", "setStatus"),
               changed={"assignedTo", "workSession", "status", "ivr", "handle"}),
    "B3": Rule(conversation(4, queue="q-1"), work_item(7, status="assigned", user="u-1", queue="q-1", session="s-1"),
               "CONVERSATION_UNASSIGNED", {"assignedTo": None}, attributes={"status": "queued", "queuedCount": 1},
               queue="q-1", action=("unassign", "setStatus", "enterQueue"),
               changed={"assignedTo", "workSession", "status", "queuedCount", "firstEnterQueueAt", "lastRevision",
                        "handle"}),
    "B4": Rule(conversation(4, users=("u-1",), status="snoozed"), work_item(7, status="assigned", user="u-1"),
               "CONVERSATION_SNOOZED", {"paused": True}, attributes={"paused": True}, user="u-1", action=("pause",),
               changed={"paused"}),
    "B5": Rule(conversation(4, users=("u-1",)), work_item(7, status="assigned", user="u-1", paused=True),
               "CONVERSATION_UNSNOOZED", {"paused": False}, attributes={"paused": False}, user="u-1",
               action=("unpause",), changed={"paused"}),
    "B6": Rule(conversation(4, status="done"), work_item(7), "CONVERSATION_DONE", {"status": "completed"},
               attributes={"status": "completed"}, action=("setStatus",), changed={"status", "ivr", "completedAt"}),
    "B7": Rule(conversation(4, users=("u-1",), ended=True), work_item(7, status="assigned", user="u-1"),
               "CONVERSATION_ENDED", {"status": "wrap-up"}, attributes={"status": "wrap-up"}, user="u-1",
               action=("setStatus",), changed={"status", "handle", "wrapUp"}),
    "B8": Rule(conversation(4, queue="q-2"), work_item(7, status="queued", queue="q-1"), "CONVERSATION_QUEUE_CHANGED",
               {"queue": {"id": "q-2"}}, attributes={"status": "queued"}, queue="q-2",
               action=("changeQueue", "enterQueue"),
               changed={"queue", "queuedCount", "firstEnterQueueAt", "lastRevision"}),
    "B8-removed": Rule(conversation(4), work_item(7, status="queued", queue="q-1"), "CONVERSATION_QUEUE_REMOVED",
                       {"queue": None}, attributes={"status": "ivr"}, action=("changeQueue", "setStatus"),
                       changed={"queue", "status", "ivr", "lastRevision"}),
    "B9": Rule(conversation(4, deleted=True, users=("u-2",)),
               work_item(7, status="assigned", user="u-1", session="s-1"),
               "CONVERSATION_DELETED", {"status": "completed"}, attributes={"status": "completed"}, user="u-1",
               action=("setStatus",), changed={"status", "handle", "completedAt", "workSession"}),
}  # fmt: skip

# Pairs on which policy `causal` alone has a rule.
WIDER_A_RULES = {
    "A2-another": Rule(conversation(4, users=("u-2",)), work_item(7, status="assigned", user="u-1"),
                       "WORK_ITEM_ASSIGNED", {"assignedUsers": ["u-1"]}, attributes={"assignedUsers": ["u-1"]},
                       changed={"assignedUsers"}),
    "A3-routed": Rule(conversation(4, users=("u-1",), queue="q-1"), work_item(7, status="routed", queue="q-1"),
                      "WORK_ITEM_QUEUED_UNASSIGNED", {"assignedUsers": []}, attributes={"assignedUsers": []},
                      queue="q-1", changed={"assignedUsers"}),
}  # fmt: skip
WIDER_B_RULES = {
    "B8-ivr": Rule(conversation(4, queue="q-2"), work_item(7), "CONVERSATION_QUEUE_CHANGED", {"queue": {"id": "q-2"}},
                   attributes={"status": "queued"}, queue="q-2", action=("changeQueue", "setStatus", "enterQueue"),
                   changed={"queue", "status", "ivr", "queuedCount", "firstEnterQueueAt", "lastRevision"}),
    "B8-routed-removed": Rule(conversation(4), work_item(7, status="routed", queue="q-1"),
                              "CONVERSATION_QUEUE_REMOVED", {"queue": None}, attributes={"status": "ivr"},
                              action=("changeQueue", "setStatus"), changed={"queue", "status", "ivr"}),
    "B8-wrap-up": Rule(conversation(4, queue="q-2", ended=True), work_item(7, status="wrap-up"),
                       "CONVERSATION_QUEUE_CHANGED", {"queue": {"id": "q-2"}}, attributes={"status": "wrap-up"},
                       queue="q-2", action=("changeQueue",), changed={"queue"}),
    "B10": Rule(conversation(4, queue="q-1"), work_item(7, status="wrap-up", queue="q-1"), "CONVERSATION_RESUMED",
                {"resume": True}, attributes={"status": "queued", "queuedCount": 1}, queue="q-1",
                action=("setStatus", "enterQueue"),
                changed={"status", "wrapUp", "queuedCount", "firstEnterQueueAt", "lastRevision"}),
}  # fmt: skip

ALWAYS_CHANGED = {"rev", "updatedAt"}
ENVELOPE = {
    "id", "name", "org", "partition", "data", "createdAt", "changes", "client", "isSync", "persist",
    "sourceId", "sourceType", "routingReasons"
}  # fmt: skip
AUDIT_KEYS = {
    "event", "direction", "outcome", "reasons", "suppressed", "updatedConversation", "updatedWorkItem", "before",
    "written", "command", "conversationRev", "workItemRev", "policy", "shadow", "trigger", "lagMs", "conversationId",
    "workItemId", "dd",
}  # fmt: skip
"""The audit line (docs/events.md) without the keys of every log line: name, hostname, pid, level, msg, time, v."""


def held(data: Json, name: str) -> Any:
    return ((data["relationships"].get(name) or {}).get("data") or {}).get("id")


def values_of(data: Json, written: dict[str, Any]) -> dict[str, Any]:
    """The values that the written fields have in a snapshot, in the form of the write. `resume` is no field."""
    queue = held(data, "queue")
    values = {
        **data["attributes"],
        "assignedTo": held(data, "assignedTo"),
        # No queue is written to a conversation as an object with a null id, to a work-item as null.
        "queue": {"id": queue} if queue is not None or data["type"] == "conversation" else None,
    }
    return {name: values[name] for name in written if name != "resume"}


def check_message(message: Json, *, side: str, rev: int, document: Any, world: World) -> Json:
    """Check the keys of an announcement; returns its event."""
    now = format_instant(world.clock.now())
    body: Json = message["body"]
    assert set(message) == {"id", "name", "partition", "body", "publishedAt", "version", "dd"}
    assert set(body) == ENVELOPE
    assert message["version"] == 3
    assert message["publishedAt"] == body["createdAt"] == now
    assert message["name"] == body["name"] == f"kustomer.{side}.update"
    assert message["partition"] == body["partition"] == "partition-1"
    assert body["org"] == "org-1"
    assert len({message["id"], body["id"], "event-c-1-4-update", "event-w-1-7-update"}) == 4
    assert (body["client"], body["isSync"], body["persist"]) == ("routing-worker", True, True)
    assert message["dd"] == TRACE
    stored = {key: value for key, value in document.items() if key in ("type", "attributes", "relationships", "links")}
    assert body["data"] == {"id": document["_id"], **stored}
    assert body["data"]["attributes"]["rev"] == document["rev"] == rev
    assert body["data"]["attributes"]["updatedAt"] == now
    assert body["changes"]["attributes"]["rev"] == {"op": "replace", "before": rev - 1, "after": rev}
    return body


def changed_names(body: Json) -> set[str]:
    return {*body["changes"]["attributes"], *body["changes"]["relationships"]}


CAUSAL, LEGACY = PolicyInUse.CAUSAL, PolicyInUse.LEGACY


def of_every_policy(both: dict[str, Rule], wider: dict[str, Rule]) -> pytest.MarkDecorator:
    cases = [*((name, rule, policy) for name, rule in both.items() for policy in (LEGACY, CAUSAL))]
    cases += [(name, rule, CAUSAL) for name, rule in wider.items()]
    return pytest.mark.parametrize(
        ("name", "rule", "policy"), cases, ids=[f"{name}-{policy.value}" for name, _, policy in cases]
    )


@of_every_policy(A_RULES, WIDER_A_RULES)
async def test_rule_a(name: str, rule: Rule, policy: PolicyInUse) -> None:
    world = World(policy=policy).put(rule.c, rule.w)
    end = await world.one(log_line(published(event(rule.w, at=10)), dd={**TRACE, "service": "x"}))
    assert end.outcome == Done(reason="APPLIED")

    document = world.store.conversation("c-1")
    assert document is not None
    assert document["rev"] == 5
    assert document["attributes"] == {
        **rule.c["attributes"], **rule.attributes, "rev": 5, "updatedAt": format_instant(world.clock.now())
    }  # fmt: skip
    assert held(dict(document), "queue") == rule.queue
    assert document["links"] == rule.c["links"]
    work_item_document = world.store.work_item("w-1")
    assert work_item_document is not None
    assert work_item_document["rev"] == 7

    [message] = world.announced()
    body = check_message(message, side="conversation", rev=5, document=document, world=world)
    meta = {"rule": name[:2], "policy": policy.value}
    reason = {"action": "SYNC_CONVERSATION", "code": rule.code, "meta": meta}
    assert body["routingReasons"] == [reason]
    assert changed_names(body) == rule.changed | ALWAYS_CHANGED

    audit = end.audit.as_wire()
    assert set(audit) == AUDIT_KEYS
    suppressed = audit.pop("suppressed")
    [written] = audit.pop("written")
    assert written.pop("changes").keys() <= {"status", "assignedUsers", "queue", "ended", "deleted"}
    assert written == {"side": "conversation", "id": "c-1", "rev": 5, "isSync": True, "eventId": body["id"]}
    assert audit == {
        "event": end.event.as_audit(),
        "direction": "reverse",
        "outcome": "applied",
        "reasons": [reason],
        "updatedConversation": {**rule.to, "rev": 4},
        "updatedWorkItem": None,
        "before": {"conversation": values_of(rule.c, rule.to), "workItem": None},
        "command": None,
        "conversationRev": 4,
        "workItemRev": 7,
        "policy": policy.value,
        "shadow": None,
        "trigger": "work-item",
        "lagMs": 50_000,
        "conversationId": "c-1",
        "workItemId": "w-1",
        "dd": TRACE,
    }
    check_suppressed(suppressed, "WORK_ITEM_IS_NEWER", policy)


@of_every_policy(B_RULES, WIDER_B_RULES)
async def test_rule_b(name: str, rule: Rule, policy: PolicyInUse) -> None:
    world = World(policy=policy).put(rule.c, rule.w)
    what = "delete" if name == "B9" else "update"
    end = await world.one(log_line(published(event(rule.c, what, at=10)), dd=TRACE))
    assert end.outcome == Done(reason="APPLIED")

    document = world.store.work_item("w-1")
    assert document is not None
    assert document["attributes"].items() >= {**rule.attributes, "rev": 8}.items()
    assert (held(dict(document), "queue"), held(dict(document), "assignedTo")) == (rule.queue, rule.user)
    assert document["active"] is (document["attributes"]["status"] != "completed")
    assert world.c().rev == 4

    [message] = world.announced()
    body = check_message(message, side="work-item", rev=8, document=document, world=world)
    meta = {"rule": name.split("-", maxsplit=1)[0], "policy": policy.value}
    reason = {"action": "SYNC_WORK_ITEM", "code": rule.code, "meta": meta}
    command = {
        "data": {**rule.to, "rev": 7, "resource": {"rev": 4}},
        "commandName": "composedCommandParams",
        "composed": True,
        "actions": list(rule.action),
    }
    assert body["routingReasons"] == [
        reason, {"action": "UPDATE_COMMAND", "code": "WORK_ITEM_UPDATE_CMD", "meta": command}
    ]  # fmt: skip
    assert changed_names(body) == rule.changed | ALWAYS_CHANGED

    audit = end.audit.as_wire()
    assert set(audit) == AUDIT_KEYS
    assert audit["updatedWorkItem"] == {**rule.to, "rev": 7}
    assert audit["before"] == {"conversation": None, "workItem": values_of(rule.w, rule.to)}
    [written] = audit["written"]
    assert (written["side"], written["id"], written["rev"], written["isSync"]) == ("work-item", "w-1", 8, True)
    assert (written["eventId"], written["changes"]) != (None, {})
    assert audit["command"] == {
        "engine": "composed",
        "name": "composedCommandParams",
        "actions": list(rule.action),
        "fields": sorted(rule.to, key=["queue", "assignedTo", "status", "paused", "resume"].index),
    }
    assert (audit["direction"], audit["outcome"], audit["trigger"]) == ("forward", "applied", "conversation")
    assert audit["reasons"] == [reason]
    assert (audit["conversationRev"], audit["workItemRev"], audit["policy"]) == (4, 7, policy.value)
    assert audit["updatedConversation"] is None
    check_suppressed(audit["suppressed"], "CONVERSATION_IS_NEWER", policy)


def check_suppressed(suppressed: list[Json], code: str, policy: PolicyInUse) -> None:
    """Legacy suppresses nothing; causal reports the field for which the other table's rule fired."""
    assert {each["code"] for each in suppressed} <= ({code} if policy is CAUSAL else set())
