"""The composed engine's table of docs/commands.md: a second reading of the text.

Written from the text alone, on plain dicts in the JSON shape of `decide` (docs/decide.md). It imports no product code.
`TABLE` is the text's table cell by cell; the functions below it carry out the words of a cell.
"""

from typing import Any

Json = dict[str, Any]
"""A JSON object."""

STATUSES = ("ivr", "queued", "routed", "assigned", "wrap-up")

TABLE = {
    "queue: null": {
        "ivr": "changeQueue(null)",
        "queued": "changeQueue(null) + ivr",
        "routed": "changeQueue(null) + ivr + unroute",
        "assigned": "changeQueue(null)",
        "wrap-up": "changeQueue(null)",
    },
    "queue: q": {
        "ivr": "changeQueue + queued",
        "queued": "changeQueue unless the same",
        "routed": "changeQueue + queued + unroute",
        "assigned": "changeQueue",
        "wrap-up": "changeQueue",
    },
    "assignedTo: null": {
        "ivr": "unassign",
        "queued": "unassign",
        "routed": "unassign + unroute + queued if it has a queue, else ivr",
        "assigned": "unassign + queued if it has a queue, else ivr",
        "wrap-up": "unassign",
    },
    "assignedTo: u": {
        "ivr": "assign + assigned",
        "queued": "assign + assigned",
        "routed": "assign + assigned + unroute",
        "assigned": "assign unless the same",
        "wrap-up": "assign",
    },
    "status: wrap-up": {
        "ivr": "wrap-up",
        "queued": "wrap-up",
        "routed": "wrap-up + unroute",
        "assigned": "wrap-up",
        "wrap-up": "nothing",
    },
    "status: completed": {
        "ivr": "completed",
        "queued": "completed",
        "routed": "completed + unroute",
        "assigned": "completed",
        "wrap-up": "completed",
    },
    "paused": dict.fromkeys(STATUSES, "the flag"),
    "resume": {
        "ivr": "nothing",
        "queued": "nothing",
        "routed": "nothing",
        "assigned": "nothing",
        "wrap-up": "assigned if it has an assignee after this update, else queued if it has a queue, else ivr",
    },
    "routed.to: u": {
        "ivr": "NOT_QUEUED",
        "queued": "route + routed",
        "routed": "route",
        "assigned": "NOT_QUEUED",
        "wrap-up": "NOT_QUEUED",
    },
    "accepted.by: u": {
        "ivr": "assign + assigned",
        "queued": "assign + assigned",
        "routed": "assign + assigned + unroute",
        "assigned": "assign",
        "wrap-up": "assign",
    },
    "routed.rejectedBy / timedOut: u": {
        "ivr": "NOT_ROUTED",
        "queued": "NOT_ROUTED",
        "routed": "unroute + queued if it has a queue, else ivr + place kept",
        "assigned": "NOT_ROUTED",
        "wrap-up": "NOT_ROUTED",
    },
}


def rows(update: Json) -> list[str]:
    """The rows that an update names, in the order queue → assignedTo → status → paused."""
    named: list[str] = []
    if "routed" in update:
        named.append("routed.to: u" if "to" in update["routed"] else "routed.rejectedBy / timedOut: u")
    if "queue" in update:
        leaves = update["queue"] is None or (isinstance(update["queue"], dict) and asked_queue(update) == (None, None))
        named.append("queue: null" if leaves else "queue: q")
    if "assignedTo" in update:
        named.append("assignedTo: null" if update["assignedTo"] is None else "assignedTo: u")
    if "accepted" in update:
        named.append("accepted.by: u")
    if update.get("resume"):
        named.append("resume")
    if "status" in update:
        named.append(f"status: {update['status']}")
    if "paused" in update:
        named.append("paused")
    return named


def carry_out(  # noqa: C901 – refusals in the order of the text, then the cells
    before: Json, update: Json, *, queues: list[Json], sessions: list[Json], now: str
) -> Json:
    """`{"refusal": code}`, or `{"workItem": …, "place": …}`; a work-item equal to `before` means nothing to write."""
    if "rev" in update and update["rev"] != before["rev"]:
        return {"refusal": "REVISION_CONFLICT"}
    if before["status"] == "completed":
        return {"refusal": "WORK_ITEM_COMPLETED"}
    queue, unknown = named_queue(update, queues)
    if unknown:
        return {"refusal": "UNKNOWN_QUEUE"}
    cells = [(row, TABLE[row][before["status"]].split(" + ")) for row in rows(update)]
    for _, cell in cells:
        if cell[0] in ("NOT_QUEUED", "NOT_ROUTED"):
            return {"refusal": cell[0]}
    if "place kept" in [word for _, cell in cells for word in cell] and before["routedTo"] != put_back_by(update):
        return {"refusal": "NOT_ROUTED_TO_USER"}

    after = dict(before)
    # `unroute` undoes the offer that existed before the update. At any place in the order it keeps the update's other
    # actions: nothing is dropped.
    if any("unroute" in cell for _, cell in cells):
        after["routedTo"] = None
        after["session"] = None
    for row, cell in cells:
        for word in cell:
            act(word, row, before, after, update=update, queue=queue, sessions=sessions)
    entail(before, after, update, kept=any("place kept" in cell for _, cell in cells), now=now)
    if after != before:
        after["rev"] = before["rev"] + 1
        after["updatedAt"] = now
    return {"workItem": after, "place": place_of(after)}


def act(  # noqa: C901, PLR0912 – one branch a word of the table
    word: str, row: str, before: Json, after: Json, *, update: Json, queue: Json | None, sessions: list[Json]
) -> None:
    """One action of a cell."""
    if word in ("ivr", "queued", "routed", "assigned", "wrap-up"):
        after["status"] = word
    elif word == "completed":
        after["status"] = "completed"
        after["session"] = None
    elif word == "queued if it has a queue, else ivr":
        after["status"] = "queued" if after["queue"] is not None else "ivr"
    elif word == "assigned if it has an assignee after this update, else queued if it has a queue, else ivr":
        if after["assignedTo"] is not None:
            after["status"] = "assigned"
        else:
            after["status"] = "queued" if after["queue"] is not None else "ivr"
    elif word == "changeQueue(null)":
        after["queue"] = None
        after["rule"] = None
    elif word == "changeQueue" or (word == "changeQueue unless the same" and queue and queue["id"] != before["queue"]):
        change_queue(before, after, update, queue)
    elif word == "changeQueue unless the same":
        # No action, but for a rule that the update names, which would otherwise be dropped.
        after["rule"] = asked_rule(update) or after["rule"]
    elif word == "unassign":
        for field in ("assignedTo", "acceptedBy", "session", "team"):
            after[field] = None
    elif word == "assign" or (word == "assign unless the same" and update["assignedTo"] != before["assignedTo"]):
        user = update["accepted"]["by"] if row == "accepted.by: u" else update["assignedTo"]
        after["assignedTo"] = after["acceptedBy"] = user
        after["session"] = active_session(user, (update.get("accepted") or {}).get("workSession"), sessions)
    elif word == "route":
        after["routedTo"] = update["routed"]["to"]
        after["session"] = active_session(after["routedTo"], update["routed"].get("workSession"), sessions)
        after["assignedTo"] = after["acceptedBy"] = None
    elif word == "the flag":
        after["paused"] = update["paused"]
    else:
        assert word in ("nothing", "unroute", "place kept", "assign unless the same"), word


def change_queue(before: Json, after: Json, update: Json, queue: Json | None) -> None:
    """Queue id and rule; itemSize and priority from the queue, unchanged where the queue is not known."""
    assert queue is not None
    after["queue"] = queue["id"]
    # A rule belongs to its queue: a rule that the update names is kept, an older one goes with its queue.
    after["rule"] = asked_rule(update) or (before["rule"] if before["queue"] == queue["id"] else None)
    for field in ("itemSize", "priority"):
        if queue.get(field) is not None:
            after[field] = queue[field]


def entail(before: Json, after: Json, update: Json, *, kept: bool, now: str) -> None:
    """`enterQueue`: when the status becomes queued, or the queue changes while queued; not when the place is kept."""
    becomes = after["status"] == "queued" and before["status"] != "queued"
    changes = after["status"] == "queued" and before["status"] == "queued" and after["queue"] != before["queue"]
    if (becomes or changes) and not kept:
        asked = update.get("queue")
        entered = (asked.get("enteredAt") if isinstance(asked, dict) else None) or now
        after["enteredQueueAt"] = entered
        after["queuedCount"] = before["queuedCount"] + 1
        after["firstEnterQueueAt"] = before["firstEnterQueueAt"] or entered


def asked_queue(update: Json) -> tuple[str | None, str | None]:
    """Id and key of the queue that an update names."""
    asked = update["queue"]
    return (asked, None) if isinstance(asked, str) else (asked.get("id"), asked.get("key"))


def asked_rule(update: Json) -> str | None:
    """The rule that an update names."""
    asked = update.get("queue")
    rule: str | None = asked.get("rule") if isinstance(asked, dict) else None
    return rule


def named_queue(update: Json, queues: list[Json]) -> tuple[Json | None, bool]:
    """The queue that an update names, and whether its key is unknown; an unknown id is kept, without attributes."""
    if update.get("queue") is None:
        return None, False
    queue_id, key = asked_queue(update)
    if queue_id is not None:
        return next((queue for queue in queues if queue["id"] == queue_id), {"id": queue_id}), False
    if key is None:
        return None, False
    by_key = next((queue for queue in queues if queue["key"] == key), None)
    return by_key, by_key is None


def put_back_by(update: Json) -> str:
    """The user who gives an offer back."""
    user: str = update["routed"].get("rejectedBy") or update["routed"]["timedOut"]
    return user


def active_session(user: str, wanted: str | None, sessions: list[Json]) -> str | None:
    """A user's active session, the requested one before others, or none."""
    theirs = sorted(session["id"] for session in sessions if session["user"] == user and session["active"])
    return wanted if wanted in theirs else theirs[0] if theirs else None


def place_of(item: Json) -> tuple[str, str] | None:
    """`(session, list)`: a function of the work-item."""
    if item["session"] is None:
        return None
    if item["status"] in ("assigned", "wrap-up"):
        return item["session"], "pausedWorkItems" if item["paused"] else "workItems"
    if item["status"] == "routed":
        return item["session"], "pendingItem"
    return None


def sessions_with(item: Json, sessions: list[Json]) -> list[Json]:
    """The sessions with the item at its place and nowhere else, capacity derived; other entries untouched."""
    place = place_of(item)
    size = 1 if item["itemSize"] is None else item["itemSize"]
    result = []
    for session in sessions:
        seen = dict(session)
        for name in ("workItems", "pausedWorkItems"):
            seen[name] = [held for held in session[name] if held["id"] != item["id"]]
            if place == (session["id"], name):
                seen[name] = [*seen[name], {"id": item["id"], "itemSize": size}]
        if place == (session["id"], "pendingItem"):
            seen["pendingItem"] = item["id"]
        elif seen["pendingItem"] == item["id"]:
            seen["pendingItem"] = None
        used = sum(held["itemSize"] for held in seen["workItems"])
        seen["used"] = used
        seen["free"] = min(max(session["capacity"] - used, 0), session["capacity"])
        seen["routable"] = session["active"] and seen["pendingItem"] is None
        result.append(seen)
    return result
