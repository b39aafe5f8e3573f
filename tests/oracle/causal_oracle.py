"""Policy `causal` of docs/rules.md, steps 2 and 3, and its gates: a second reading of the text.

Written from the text alone, on plain dicts in the JSON shape of `decide` (docs/decide.md). It imports no product code:
the tables are those of rules_oracle.py, the work-item after the command is that of commands_oracle.py.
"""

from typing import Any

from tests.oracle import commands_oracle
from tests.oracle.rules_oracle import Json, queue_id, reason, skipped, table_a, table_b

FIELDS = ("assignee", "queue", "status", "ended", "paused")

FIELD_OF = {
    "A1": "status", "A2": "assignee", "A3": "assignee", "A4": "ended", "A5": "queue", "A6": "queue", "A7": "status",
    "B1": "assignee", "B2": "assignee", "B3": "assignee", "B4": "paused", "B5": "paused", "B6": "status",
    "B7": "ended", "B8": "queue", "B9": "status", "B10": "ended",
}  # fmt: skip
"""The second column of the tables."""

SUPPRESSED_AS = {
    "conversation": "CONVERSATION_IS_NEWER",
    "work-item": "WORK_ITEM_IS_NEWER",
    "waits": "FIELD_WAITS",
}

Fired = list[tuple[str, Json]]


def decide(question: Json) -> Json:
    """The answer to `{"kind": "sync", "policy": "causal", …}`."""
    c, w = question["conversation"], question["workItem"]
    gate = closed_gate(c, w)
    if gate is not None:
        return skipped(gate)
    state = question.get("state")
    if state is None:
        state = first_sight(question["trigger"], c)
    return reconcile(c, w, state)


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


def first_sight(trigger: str, c: Json) -> Json:
    """The trigger's own way: "conversation: it is newer in every field; work-item: likewise, but for `paused`"."""
    of_all = dict.fromkeys(FIELDS, c["rev"])
    return {"changed": of_all} if trigger == "conversation" else {"known": of_all}


def reconcile(c: Json, w: Json, state: Json) -> Json:
    """Step 3."""
    changed, known = state.get("changed", {}), state.get("known", {})
    newer = {field: who_is_newer(field, c, w, state) for field in FIELDS}
    a7 = rule_a7(c, w, state)
    if a7 == "fires":
        newer["status"] = "work-item"
    if a7 == "waits":
        newer["status"] = "waits"
    asks_a7: Fired = [("A7", {"status": "open"})] if a7 else []

    # B7: "and has an assignee, after this update". Where that is not known yet, both ends are possible.
    ends = {"conversation": [by_b(c, w)], "work-item": [w["assignedTo"]], "waits": [by_b(c, w), w["assignedTo"]]}
    has_an_assignee = any(user is not None for user in ends[newer["assignee"]])

    asked_b = table_b(c, w, "causal", has_an_assignee=has_an_assignee)
    asked_a = asks_a7 + table_a(c, w, "causal")
    asked = {FIELD_OF[rule] for rule, _ in asked_b + asked_a}
    waiting = {field for field in asked if newer[field] == "waits"}
    rules_b = [rule for rule, _ in asked_b]
    if "B7" in rules_b and newer["ended"] == "conversation" and "assignee" in waiting:
        newer["ended"] = "waits"
    if "B6" in rules_b and newer["status"] == "conversation" and ("assignee" in waiting or "queue" in waiting):
        newer["status"] = "waits"

    # "B is asked about the conversation as A7 leaves it."
    left_by_a7 = {**c, "status": "open"} if a7 == "fires" else c
    fired_b = table_b(left_by_a7, w, "causal", has_an_assignee=has_an_assignee)
    written_b = [one for one in fired_b if newer[FIELD_OF[one[0]]] == "conversation"]
    if a7 == "fires" and "assignee" in waiting:
        # B7 of the re-opened conversation "waits while the assignee waits".
        written_b = [one for one in written_b if one[0] != "B7"]
    update = together(written_b)
    after = as_it_will_be(w, update) if written_b else w
    fired_a = asks_a7 + table_a(c, after, "causal")
    written_a = [one for one in fired_a if newer[FIELD_OF[one[0]]] == "work-item"]

    closed = [one for one in asked_b if newer[FIELD_OF[one[0]]] != "conversation"]
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
        all_wait = bool(asked) and all(newer[field] == "waits" for field in asked)
        return skipped("AWAITING_EARLIER_EVENT" if all_wait else "IN_SYNC", suppressed)
    return {
        "outcome": "applied",
        "direction": "both" if written_a and written_b else "forward" if written_b else "reverse",
        "updatedConversation": together(written_a) if written_a else None,
        "updatedWorkItem": update if written_b else None,
        "reasons": [reason(rule, fields, "causal") for rule, fields in (*written_b, *written_a)],
        "suppressed": suppressed,
    }


def who_is_newer(field: str, c: Json, w: Json, state: Json) -> str:
    """Step 2, but for A7."""
    if field == "paused":
        return "conversation"
    if field == "status" and (c["status"] == "done" or c["deleted"]) and w["status"] != "completed":
        return "conversation"
    changed, known = state.get("changed", {}).get(field, 0), state.get("known", {}).get(field, 0)
    known_at = state.get("knownAt", {}).get(field, 0)
    if not all(is_observed(state, "workItem", rev) for rev in range(known_at + 1, w["rev"] + 1)):
        return "waits"
    if changed > known:
        return "conversation"
    if all(is_observed(state, "conversation", rev) for rev in range(known + 1, c["rev"] + 1)):
        return "work-item"
    return "waits"


def rule_a7(c: Json, w: Json, state: Json) -> str | None:
    """Whether rule A7 "fires" or "waits"; None where it does not ask."""
    done_by = state.get("doneBy")
    if done_by is None or c["deleted"] or c["status"] != "done" or w["status"] == "completed":
        return None
    if not w.get("workItemNumber", 0) > done_by["number"]:
        return None
    # "Where the create itself was lost: its maker knew the stored work-item's `resourceRev`".
    known = state.get("known", {}).get("status", w.get("resourceRev", 0))
    if not (known < done_by["rev"] and state.get("changed", {}).get("status", 0) < done_by["rev"]):
        return None
    unobserved = [rev for rev in range(done_by["rev"] + 1, c["rev"] + 1) if not is_observed(state, "conversation", rev)]
    return "waits" if unobserved else "fires"


def is_observed(state: Json, side: str, rev: int) -> bool:
    """Every revision is, unless the state says which are."""
    observed = state.get("observed")
    return observed is None or any(first <= rev <= last for first, last in observed.get(side, []))


def by_b(c: Json, w: Json) -> str | None:
    """The work-item's assignee after B1, B2 or B3."""
    users: list[str] = c["assignedUsers"]
    if w["assignedTo"] in users:
        assigned: str = w["assignedTo"]
        return assigned
    return users[0] if users else None


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
        "queuedCount": w.get("queuedCount", 0),
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
