"""Tables A and B of docs/rules.md, and the gates for policy `legacy`: a second reading of the text.

Policy `causal` is in causal_oracle.py. Written from the text alone, on plain dicts in the JSON shape of `decide`
(docs/decide.md). It imports no product code and is laid out so that each line can be held against a row of the text;
neither speed nor elegance matters.
"""

from typing import Any

Json = dict[str, Any]
"""A JSON object."""

CODES = {
    "A1": ("SYNC_CONVERSATION", "WORK_ITEM_COMPLETED"),
    "A2": ("SYNC_CONVERSATION", "WORK_ITEM_ASSIGNED"),
    "A3": ("SYNC_CONVERSATION", "WORK_ITEM_QUEUED_UNASSIGNED"),
    "A4": ("SYNC_CONVERSATION", "WORK_ITEM_WRAP_UP"),
    "A5": ("SYNC_CONVERSATION", "WORK_ITEM_QUEUE_CHANGED"),
    "A6": ("SYNC_CONVERSATION", "WORK_ITEM_QUEUE_REMOVED"),
    "A7": ("SYNC_CONVERSATION", "NEWER_WORK_ITEM_ACTIVE"),
    "B1": ("SYNC_WORK_ITEM", "CONVERSATION_ASSIGNED"),
    "B2": ("SYNC_WORK_ITEM", "CONVERSATION_UNASSIGNED"),
    "B3": ("SYNC_WORK_ITEM", "CONVERSATION_UNASSIGNED"),
    "B4": ("SYNC_WORK_ITEM", "CONVERSATION_SNOOZED"),
    "B5": ("SYNC_WORK_ITEM", "CONVERSATION_UNSNOOZED"),
    "B6": ("SYNC_WORK_ITEM", "CONVERSATION_DONE"),
    "B7": ("SYNC_WORK_ITEM", "CONVERSATION_ENDED"),
    "B8": ("SYNC_WORK_ITEM", None),
    "B9": ("SYNC_WORK_ITEM", "CONVERSATION_DELETED"),
    "B10": ("SYNC_WORK_ITEM", "CONVERSATION_RESUMED"),
}
"""Action and code of every rule (docs/events.md, *Reason codes*); B8 has two codes."""


def table_a(c: Json, w: Json, policy: str = "legacy") -> list[tuple[str, Json]]:
    """The rules A1 to A6 that fire, with what each writes to the conversation. A7 is in causal_oracle.py."""
    causal = policy == "causal"
    if c["deleted"]:
        return []
    if w["status"] == "completed":
        return [("A1", {"status": "done"})] if c["status"] != "done" else []
    fired: list[tuple[str, Json]] = []
    u = w["assignedTo"]
    if u is not None and (u not in c["assignedUsers"] if causal else c["assignedUsers"] == []):
        fired.append(("A2", {"assignedUsers": [w["assignedTo"]]}))
    waits_for_an_agent = w["status"] == "queued" or (causal and w["status"] == "routed")
    if waits_for_an_agent and w["assignedTo"] is None and c["assignedUsers"] != []:
        fired.append(("A3", {"assignedUsers": []}))
    if w["status"] == "wrap-up" and c["ended"] is False:
        fired.append(("A4", {"ended": True}))
    if w["queue"] is not None and (c["queue"] is None or c["queue"]["id"] != w["queue"]["id"]):
        fired.append(("A5", {"queue": {"id": w["queue"]["id"]}}))
    never_queued = w["status"] == "ivr" and w.get("queuedCount") in (None, 0)
    if w["queue"] is None and not (causal and never_queued) and c["queue"] is not None:
        fired.append(("A6", {"queue": {"id": None}}))
    return fired


def table_b(  # noqa: C901 – one `if` a row
    c: Json, w: Json, policy: str = "legacy", *, has_an_assignee: bool = True
) -> list[tuple[str, Json]]:
    """The rules of B that fire, with what each adds to the work-item's update.

    `has_an_assignee`: of B7 (causal), whether the work-item has an assignee after this update.
    """
    causal = policy == "causal"
    if w["status"] == "completed":
        return []
    if c["deleted"]:
        return [("B9", {"status": "completed"})]
    fired: list[tuple[str, Json]] = []
    unassigned = c["assignedUsers"] == []
    # "B2 and B3 (causal), on the wrap-up of an ended conversation, also write `resume: true`".
    resume = {"resume": True} if causal and w["status"] == "wrap-up" and c["ended"] else {}
    if not unassigned and w["assignedTo"] not in c["assignedUsers"]:
        fired.append(("B1", {"assignedTo": c["assignedUsers"][0]}))
    if unassigned and c["queue"] is None and w["assignedTo"] is not None and w["queue"] is None:
        fired.append(("B2", {"assignedTo": None, "queue": None, **resume}))
    if unassigned and (c["queue"] is not None or w["queue"] is not None) and w["assignedTo"] is not None:
        fired.append(("B3", {"assignedTo": None, **resume}))
    if c["status"] == "snoozed" and not w["paused"]:
        fired.append(("B4", {"paused": True}))
    if c["status"] == "open" and w["paused"]:
        fired.append(("B5", {"paused": False}))
    if c["ended"] and c["status"] == "open" and w["status"] != "wrap-up" and (not causal or has_an_assignee):
        fired.append(("B7", {"status": "wrap-up"}))
    if queue_id(c) != queue_id(w) and (causal or w["status"] in ("queued", "assigned")):
        fired.append(("B8", {"queue": None if c["queue"] is None else {"id": c["queue"]["id"]}}))
    if causal and c["status"] == "open" and not c["ended"] and w["status"] == "wrap-up":
        fired.append(("B10", {"resume": True}))
    if c["status"] == "done":
        fired.append(("B6", {"status": "completed"}))
    return fired


def queue_id(document: Json) -> str | None:
    """The queue of either document; a work-item's may name a rule besides, which is no shared field."""
    return None if document["queue"] is None else document["queue"]["id"]


def decide(question: Json) -> Json:
    """The answer to `{"kind": "sync", "policy": "legacy", …}`.

    The question's `event` is `{"rev", "isSync", "supported"}`, which `decide` does not have.
    """
    gate = closed_gate(question)
    if gate is not None:
        return skipped(gate)
    c, w = question["conversation"], question["workItem"]
    forward = question["trigger"] == "conversation"
    fired = table_b(c, w) if forward else table_a(c, w)
    if not fired:
        return skipped("IN_SYNC")
    written: Json = {}
    for _, fields in fired:
        written.update(fields)
    return {
        "outcome": "applied",
        "direction": "forward" if forward else "reverse",
        "updatedConversation": None if forward else written,
        "updatedWorkItem": written if forward else None,
        "reasons": [reason(rule, fields) for rule, fields in fired],
        "suppressed": [],
    }


def closed_gate(question: Json) -> str | None:
    """The first closed gate. `IN_SYNC` comes last, after the tables."""
    event = question.get("event") or {}
    c, w = question["conversation"], question["workItem"]
    if event.get("supported") is False:
        return "UNSUPPORTED_EVENT"
    if event.get("isSync") is True:
        return "IS_SYNC"
    if c is None:
        return "NO_CONVERSATION"
    if w is None:
        return "NO_ACTIVE_WORK_ITEM"
    if w["status"] == "completed":
        # "None whose completion is still to be taken in". Legacy takes one in on the work-item's own event only.
        still_to_be_taken_in = question["trigger"] == "work-item" and table_a(c, w) != []
        if not still_to_be_taken_in:
            return "NO_ACTIVE_WORK_ITEM"
    stored = c if question["trigger"] == "conversation" else w
    if event.get("rev") is not None and stored["rev"] > event["rev"]:
        return "STALE_REV"
    return None


def skipped(code: str, suppressed: list[Json] | None = None) -> Json:
    """An answer that writes nothing."""
    return {
        "outcome": "skipped",
        "direction": None,
        "updatedConversation": None,
        "updatedWorkItem": None,
        "reasons": [{"action": "SKIP_SYNC", "code": code, "meta": {}}],
        "suppressed": suppressed or [],
    }


def reason(rule: str, fields: Json, policy: str = "legacy") -> Json:
    """The reason of a rule."""
    action, code = CODES[rule]
    if code is None:
        code = "CONVERSATION_QUEUE_REMOVED" if fields["queue"] is None else "CONVERSATION_QUEUE_CHANGED"
    return {"action": action, "code": code, "meta": {"rule": rule, "policy": policy}}
