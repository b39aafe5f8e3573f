"""Policy `causal` of docs/rules.md, steps 2 and 3, and its gates: a second reading of the text.

Written from the text alone, on plain dicts in the JSON shape of `decide` (docs/decide.md). It imports no product code:
the tables are those of rules_oracle.py, the work-item after the command is that of commands_oracle.py.
"""

from typing import Any

from tests.oracle import commands_oracle
from tests.oracle.rules_oracle import Json, queue_id, reason, skipped, table_a, table_b

FIELDS = ("assignee", "queue", "status", "ended", "paused")

FIELD_OF = {
    "A1": "status", "A2": "assignee", "A3": "assignee", "A4": "ended", "A5": "queue", "A6": "queue",
    "B1": "assignee", "B2": "assignee", "B3": "assignee", "B4": "paused", "B5": "paused", "B6": "status",
    "B7": "ended", "B8": "queue", "B9": "status", "B10": "ended",
}  # fmt: skip
"""The second column of the tables."""

SUPPRESSED_AS = {
    "conversation": "CONVERSATION_IS_NEWER",
    "work-item": "WORK_ITEM_IS_NEWER",
    "undecided": "FIELD_WAITS",
}

Fired = list[tuple[str, Json]]


def decide(question: Json) -> Json:
    """The answer to `{"kind": "sync", "policy": "causal", …}`: every revision of both sides has been observed."""
    c, w = question["conversation"], question["workItem"]
    gate = closed_gate(c, w)
    if gate is not None:
        return skipped(gate)
    state = question["state"]
    if state is not None:
        changed, known = state.get("changed", {}), state.get("known", {})
    elif question["trigger"] == "conversation":
        changed, known = dict.fromkeys(FIELDS, c["rev"]), {}
    else:
        changed, known = {}, dict.fromkeys(FIELDS, c["rev"])
    return reconcile(c, w, who_is_newer(changed, known), changed, known)


def closed_gate(c: Json | None, w: Json | None) -> str | None:
    """The gates that apply to a question without an event. Both tables apply to either side's event, so
    a completion that the conversation lacks passes on either side."""
    if c is None:
        return "NO_CONVERSATION"
    if w is None:
        return "NO_ACTIVE_WORK_ITEM"
    if w["status"] == "completed" and table_a(c, w, "causal") == []:
        return "NO_ACTIVE_WORK_ITEM"
    return None


def who_is_newer(changed: dict[str, int], known: dict[str, int]) -> dict[str, str]:
    """Step 2, where every revision has been observed: nothing waits."""
    return {field: "conversation" if changed.get(field, 0) > known.get(field, 0) else "work-item" for field in FIELDS}


def reconcile(c: Json, w: Json, newer: dict[str, str], changed: dict[str, int], known: dict[str, int]) -> Json:
    """Step 3."""
    # Neither `paused` nor B9 ever waits: both are always the conversation's.
    newer = {**newer, "paused": "conversation"}
    if c["deleted"]:
        newer["status"] = "conversation"
    asked_b, asked_a = table_b(c, w, "causal"), table_a(c, w, "causal")
    written_b = [one for one in asked_b if newer[FIELD_OF[one[0]]] == "conversation"]
    update = together(written_b)
    after = as_it_will_be(w, update) if written_b else w
    written_a = [one for one in table_a(c, after, "causal") if newer[FIELD_OF[one[0]]] == "work-item"]
    closed = [one for one in asked_b if one not in written_b]
    closed += [one for one in asked_a if newer[FIELD_OF[one[0]]] != "work-item"]
    refused = {FIELD_OF[rule] for rule, _ in closed}
    suppressed = [
        {
            "field": field,
            "code": SUPPRESSED_AS[newer[field]],
            "conversationRev": changed.get(field, 0),
            "knownRev": known.get(field, 0),
        }
        for field in FIELDS
        if field in refused
    ]
    if not written_a and not written_b:
        differing = {FIELD_OF[rule] for rule, _ in (*asked_a, *asked_b)}
        all_wait = bool(differing) and all(newer[field] == "undecided" for field in differing)
        return skipped("AWAITING_EARLIER_EVENT" if all_wait else "IN_SYNC", suppressed)
    return {
        "outcome": "applied",
        "direction": "both" if written_a and written_b else "forward" if written_b else "reverse",
        "updatedConversation": together(written_a) if written_a else None,
        "updatedWorkItem": update if written_b else None,
        "reasons": [reason(rule, fields, "causal") for rule, fields in (*written_b, *written_a)],
        "suppressed": suppressed,
    }


def together(fired: Fired) -> Json:
    """All fields in one update."""
    update: Json = {}
    for _, fields in fired:
        update.update(fields)
    return update


def as_it_will_be(w: Json, update: Json) -> Json:
    """The work-item after the composed actions, in the fields that table A compares."""
    before: dict[str, Any] = {
        "rev": w["rev"],
        "status": w["status"],
        "assignedTo": w["assignedTo"],
        "acceptedBy": None,
        "queue": queue_id(w),
        "rule": None,
        "paused": w["paused"],
        "routedTo": None,
        "session": None,
        "team": None,
        "queuedCount": 0,
        "firstEnterQueueAt": None,
        "enteredQueueAt": None,
    }
    end = commands_oracle.carry_out(before, update, queues=[], sessions=[], now="now")
    assert "refusal" not in end, f"rules B ask for nothing that the commands refuse: {update} of {w}: {end}"
    after: Json = end["workItem"]
    return {**w, **after, "queue": None if after["queue"] is None else {"id": after["queue"]}}


def in_order_of_the_tables(answer: Json) -> Json:
    """The answer with its reasons sorted within each table, B before A: the text gives no order within a table, nor one
    to suppressed fields."""
    reasons: list[Json] = answer["reasons"]
    in_place = [each["action"] for each in reasons]
    reasons = sorted(reasons, key=lambda each: (in_place.index(each["action"]), repr(each)))
    return {
        **answer,
        "reasons": reasons,
        "actions": in_place,
        "suppressed": sorted(answer["suppressed"], key=lambda each: FIELDS.index(each["field"])),
    }
