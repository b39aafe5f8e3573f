"""A batch on the store in memory: each gate by its code, each rule down to documents, announcement and audit."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from commands.instant import format_instant
from handlers.outcome import Done
from sync.audit import Outcome
from tests.handlers.wire_events import Json, changes, conversation, event, log_line, published, work_item
from tests.handlers.world import World, code_of
from worker.collection import Collection

TRACE = {"trace_id": "123", "span_id": "456"}


@dataclass(frozen=True)
class Gate:
    code: str
    stored: tuple[Json, ...]
    event: Json


GATES = {
    "unsupported-name-of-a-conversation": Gate(
        "UNSUPPORTED_EVENT",
        (conversation(2), work_item(2, user="u-1")),
        {**event(conversation(3, users=("u-2",))), "name": "kustomer.conversation.merged"},
    ),
    "unsupported-name-of-a-work-item": Gate(
        "UNSUPPORTED_EVENT",
        (conversation(2), work_item(2)),
        {**event(work_item(3, user="u-2")), "name": "kustomer.work-item.delete"},
    ),
    "a-sync-of-a-conversation": Gate(
        "IS_SYNC", (conversation(3, users=("u-1",)), work_item(2)), event(conversation(3, users=("u-1",)), isSync=True)
    ),
    "a-sync-of-a-work-item": Gate(
        "IS_SYNC", (conversation(2), work_item(3, user="u-1")), event(work_item(3, user="u-1"), isSync=True)
    ),
    "a-sync-before-no-conversation": Gate("IS_SYNC", (), event(work_item(3, user="u-1"), isSync=True)),
    "no-conversation": Gate("NO_CONVERSATION", (), event(work_item(3, user="u-1"))),
    "no-conversation-before-stale": Gate("NO_CONVERSATION", (work_item(9),), event(work_item(3, user="u-1"))),
    "no-work-item": Gate("NO_ACTIVE_WORK_ITEM", (), event(conversation(3, users=("u-1",)))),
    "no-work-item-before-stale": Gate("NO_ACTIVE_WORK_ITEM", (conversation(9),), event(conversation(3))),
    "a-completed-one-on-the-conversations-event": Gate(
        "NO_ACTIVE_WORK_ITEM", (conversation(3), work_item(3, status="completed")), event(conversation(3))
    ),
    "a-completed-one-whose-conversation-is-done": Gate(
        "NO_ACTIVE_WORK_ITEM", (conversation(3, status="done"),), event(work_item(3, status="completed"))
    ),
    "a-completed-one-whose-conversation-is-deleted": Gate(
        "NO_ACTIVE_WORK_ITEM", (conversation(3, deleted=True),), event(work_item(3, status="completed"))
    ),
    "stale-conversation": Gate(
        "STALE_REV", (conversation(4), work_item(2)), event(conversation(3, users=("u-1",), status="done"))
    ),
    "stale-work-item": Gate("STALE_REV", (conversation(4), work_item(4)), event(work_item(3, user="u-1"))),
    "stale-completion": Gate("STALE_REV", (conversation(4), work_item(4)), event(work_item(3, status="completed"))),
    "in-sync-conversation": Gate(
        "IN_SYNC",
        (conversation(3, users=("u-1",)), work_item(2, user="u-1")),
        event(conversation(3, users=("u-1",))),
    ),
    "in-sync-work-item": Gate("IN_SYNC", (conversation(3), work_item(2)), event(work_item(2))),
}


@pytest.mark.parametrize("gate", GATES.values(), ids=GATES.keys())
async def test_gate(gate: Gate) -> None:
    world = World().put(*gate.stored)
    end = await world.one(gate.event)
    assert end.outcome == Done(reason=gate.code)
    assert end.audit.outcome is Outcome.SKIPPED
    assert [reason.as_wire() for reason in end.audit.reasons] == [
        {"action": "SKIP_SYNC", "code": gate.code, "meta": {}}
    ]
    assert (end.audit.direction, end.audit.updated_conversation, end.audit.updated_work_item) == (None, None, None)
    assert end.announcements == ()
    assert world.announced() == []


@pytest.mark.parametrize("gate", GATES.values(), ids=GATES.keys())
async def test_whatever_the_gate_the_revision_is_observed(gate: Gate) -> None:
    world = World().put(*gate.stored)
    end = await world.one(gate.event)
    state = world.store.state("c-1")
    side = end.event.side
    observed = state.conversation_observed if side == "conversation" else state.work_item_observed
    assert any(low <= end.event.rev <= high for low, high in observed)


async def test_an_unsupported_event_leaves_the_documents_alone() -> None:
    for name in ("unsupported-name-of-a-conversation", "unsupported-name-of-a-work-item"):
        world = World().put(*GATES[name].stored)
        before = world.stored()
        await world.one(GATES[name].event)
        assert {**world.stored(), Collection.SYNC_STATES: ()} == before


@dataclass(frozen=True)
class Rule:
    """A pair on which one rule alone fires. `to` is what it writes; `c`, `w` the documents' attributes after it."""

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
    "A6": Rule(conversation(4, queue="q-1"), work_item(7), "WORK_ITEM_QUEUE_REMOVED", {"queue": {"id": None}},
               changed={"queue"}),
}  # fmt: skip
B_RULES = {
    "B1": Rule(conversation(4, users=("u-1", "u-2")), work_item(7), "CONVERSATION_ASSIGNED", {"assignedTo": "u-1"},
               attributes={"status": "assigned"}, user="u-1", action=("assign", "setStatus"),
               changed={"assignedTo", "acceptedBy", "workSession", "status", "ivr", "lastRevision"}),
    "B2": Rule(conversation(4), work_item(7, status="assigned", user="u-1", session="s-1"), "CONVERSATION_UNASSIGNED",
               {"assignedTo": None, "queue": None}, attributes={"status": "ivr"}, action=("unassign", "setStatus"),
               changed={"assignedTo", "workSession", "status", "ivr"}),
    "B3": Rule(conversation(4, queue="q-1"), work_item(7, status="assigned", user="u-1", queue="q-1", session="s-1"),
               "CONVERSATION_UNASSIGNED", {"assignedTo": None}, attributes={"status": "queued", "queuedCount": 1},
               queue="q-1", action=("unassign", "setStatus", "enterQueue"),
               changed={"assignedTo", "workSession", "status", "queuedCount", "firstEnterQueueAt", "lastRevision"}),
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
ALWAYS_CHANGED = {"rev", "updatedAt"}
ENVELOPE = {
    "id", "name", "org", "partition", "data", "createdAt", "changes", "client", "isSync", "persist",
    "sourceId", "sourceType", "routingReasons"
}  # fmt: skip
AUDIT_KEYS = {
    "event", "direction", "outcome", "reasons", "suppressed", "updatedConversation", "updatedWorkItem", "command",
    "conversationRev", "workItemRev", "policy", "shadow", "trigger", "lagMs", "conversationId", "workItemId", "dd",
}  # fmt: skip
"""domain.md, *The audit record*, without what every log line has: name, hostname, pid, level, msg, time, v."""


def held(data: Json, name: str) -> Any:
    return ((data["relationships"].get(name) or {}).get("data") or {}).get("id")


def check_message(message: Json, *, side: str, rev: int, document: Any, world: World) -> Json:
    """What every announcement has; returns its event."""
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


@pytest.mark.parametrize("name", A_RULES)
async def test_rule_a(name: str) -> None:
    rule = A_RULES[name]
    world = World().put(rule.c, rule.w)
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
    reason = {"action": "SYNC_CONVERSATION", "code": rule.code, "meta": {"rule": name[:2], "policy": "legacy"}}
    assert body["routingReasons"] == [reason]
    assert changed_names(body) == rule.changed | ALWAYS_CHANGED

    audit = end.audit.as_wire()
    assert set(audit) == AUDIT_KEYS
    assert audit == {
        "event": end.event.as_audit(),
        "direction": "reverse",
        "outcome": "applied",
        "reasons": [reason],
        "suppressed": [],
        "updatedConversation": {**rule.to, "rev": 4},
        "updatedWorkItem": None,
        "command": None,
        "conversationRev": 4,
        "workItemRev": 7,
        "policy": "legacy",
        "shadow": None,
        "trigger": "work-item",
        "lagMs": 50_000,
        "conversationId": "c-1",
        "workItemId": "w-1",
        "dd": TRACE,
    }


@pytest.mark.parametrize("name", B_RULES)
async def test_rule_b(name: str) -> None:
    rule = B_RULES[name]
    world = World().put(rule.c, rule.w)
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
    reason = {"action": "SYNC_WORK_ITEM", "code": rule.code, "meta": {"rule": name[:2], "policy": "legacy"}}
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
    assert audit["command"] == {
        "engine": "composed",
        "name": "composedCommandParams",
        "actions": list(rule.action),
        "fields": sorted(rule.to, key=["queue", "assignedTo", "status", "paused"].index),
    }
    assert (audit["direction"], audit["outcome"], audit["trigger"]) == ("forward", "applied", "conversation")
    assert audit["reasons"] == [reason]
    assert (audit["conversationRev"], audit["workItemRev"]) == (4, 7)
    assert audit["updatedConversation"] is None


async def test_what_a_sync_wrote_is_read_again_as_ours_and_known() -> None:
    world = World().put(conversation(4, users=("u-1",)), work_item(7))
    await world.one(event(conversation(4, users=("u-1",))))
    other = World(own_syncs_stored=False).put(conversation(4, users=("u-1",)), work_item(7))
    end = await other.one(world.announced()[0])
    assert end.event.ours
    assert end.event.knew == 4
    assert code_of(end) == "IS_SYNC"
    assert other.w() == world.w()


async def test_all_fields_go_into_one_write_and_one_announcement() -> None:
    snapshot = conversation(4, users=("u-1",), queue="q-2", status="snoozed")
    world = World().put(snapshot, work_item(7, status="queued", queue="q-1"))
    end = await world.one(event(snapshot))
    assert {reason.meta["rule"] for reason in end.audit.reasons} == {"B1", "B4", "B8"}
    assert end.audit.updated_work_item == {"assignedTo": "u-1", "queue": {"id": "q-2"}, "paused": True, "rev": 7}
    item = world.w()
    assert (item.rev, item.status, item.queue, item.assigned_to, item.paused) == (8, "assigned", "q-2", "u-1", True)
    assert len(world.announced()) == 1


async def test_the_state_after_a_sync() -> None:
    snapshot = conversation(4, users=("u-1",))
    world = World().put(snapshot, work_item(7, queue="q-1"))
    await world.one(event(snapshot, changes=changes({"assignedUsers": ([], ["u-1"])})))
    state = world.store.state("c-1")
    assert state.version == 1
    assert state.conversation_observed == ((4, 4),)
    assert (state.work_item, state.work_item_number, state.work_item_observed) == ("w-1", 1, ((8, 8),))
    assert state.changed == {"assignee": 4}
    # They agree on all but the queue: that one stays as it was.
    assert state.known == dict.fromkeys(("assignee", "status", "ended", "paused"), 4)
    assert state.known_at == dict.fromkeys(("assignee", "status", "ended", "paused"), 8)
    assert {name: (seen.value, seen.rev) for name, seen in state.view.items()} == {
        "assignee": (["u-1"], 4),
        "queue": (None, 4),
        "status": (False, 4),
        "ended": (False, 4),
        "paused": (False, 4),
    }


async def test_the_revision_record_of_a_pass_that_changed() -> None:
    data = work_item(7, status="queued", queue="q-1", lastRevision={"enteredQueueAt": "2024-05-06T07:00:00.000Z"})
    data["relationships"]["lastRevision"] = {"data": {"type": "work_item_revision", "id": "r-1"}}
    snapshot = conversation(4, users=("u-1",), queue="q-1")
    world = World().put(snapshot, data)
    await world.one(event(snapshot))
    [record] = world.store.documents(Collection.WORK_ITEM_REVISIONS)
    now = format_instant(world.clock.now())
    assert record == {
        "_id": "w-1:8",
        "workItemId": "w-1",
        "conversationId": "c-1",
        "org": "org-1",
        "rev": 8,
        "revisionId": "r-1",
        "lastRevision": {
            "enteredQueueAt": "2024-05-06T07:00:00.000Z",
            "queueTime": 549_250,
            "queueBusinessTime": 549_250,
            "acceptedAt": now,
        },
        "updatedAt": now,
    }


async def test_an_empty_batch() -> None:
    assert await World().take() == []
