"""The composed engine's table of docs/commands.md: a second reading of the text.

Written from the text alone, on plain dicts in the JSON shape of `decide` (docs/decide.md). It imports no product code.
`TABLE` is the text's table cell by cell; the functions below it carry out the words of a cell.
"""

from datetime import datetime
from itertools import pairwise

from tests.oracle.sessions_oracle import Json, active_session, place_of, session_named, without

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
        "assigned": "assign, or a session where the same user has none",
        "wrap-up": "assign",
    },
    "status: wrap-up": {
        "ivr": "wrap-up",
        "queued": "wrap-up",
        "routed": "wrap-up + unroute",
        "assigned": "wrap-up",
        # The text says "nothing": it is there already. Beside `resume` the status that the update names stands.
        "wrap-up": "wrap-up",
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
        "routed": "re-route",
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


def carry_out(before: Json, update: Json, *, queues: list[Json], sessions: list[Json], now: str) -> Json:
    """`{"refusal": code}`, or `{"workItem": …, "place": …}`; a work-item equal to `before` means nothing to write."""
    queue, _ = named_queue(update, queues)
    sessions = [without(session, before) for session in sessions]
    cells = [(row, TABLE[row][before["status"]].split(" + ")) for row in rows(update)] if is_active(before) else []
    refusal = refusal_of(before, update, cells, queues=queues, sessions=sessions, now=now)
    if refusal is not None:
        return {"refusal": refusal}
    after = dict(before)
    # `unroute` undoes the offer that existed before the update. At any place in the order it keeps the update's other
    # actions: nothing is dropped.
    if any("unroute" in cell for _, cell in cells):
        after["routedTo"] = None
        after["session"] = None
    for row, cell in cells:
        for word in cell:
            act(word, row, before, after, update=update, queue=queue, sessions=sessions)
    entered = entail(before, after, update, kept=any("place kept" in cell for _, cell in cells), now=now)
    time_statuses(way(cells, before["status"], after["status"]), before, after, now)
    if any("re-route" in cell for _, cell in cells):
        after["routedAt"] = now
    if after != before:
        after["rev"] = before["rev"] + 1
        after["updatedAt"] = now
    ignored = useless(before, after, update, entered=entered)
    return {"workItem": after, "place": place_of(after), "ignored": ignored}


def is_active(item: Json) -> bool:
    active: bool = item["status"] != "completed"
    return active


def refusal_of(
    before: Json,
    update: Json,
    cells: list[tuple[str, list[str]]],
    *,
    queues: list[Json],
    sessions: list[Json],
    now: str,
) -> str | None:
    """The refusal's code, in the order of the text."""
    entered = entered_at(update)
    words = [word for _, cell in cells for word in cell]
    offered_on = session_named(update, sessions) if "to" in update.get("routed", {}) else None
    refusals = {
        "REVISION_CONFLICT": "rev" in update and update["rev"] != before["rev"],
        "WORK_ITEM_COMPLETED": not is_active(before),
        "UNKNOWN_QUEUE": named_queue(update, queues)[1],
        "INVALID_UPDATE": entered is not None and instant(entered) > instant(now),
        "NOT_QUEUED": "NOT_QUEUED" in words,
        "NOT_ROUTED": "NOT_ROUTED" in words,
        "NOT_ROUTED_TO_USER": "place kept" in words and before["routedTo"] != put_back_by(update),
        "SESSION_LOCKED": any(each["pendingItem"] is not None for each in sessions if each["id"] == offered_on),
    }
    return next((code for code, refused in refusals.items() if refused), None)


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
        if after["status"] == "assigned" and "status" not in update:
            # It keeps its session, unless that has ended.
            after["session"] = active_session(after["assignedTo"], after["session"], sessions)
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
    elif word.startswith("assign, or") and update["assignedTo"] == before["assignedTo"]:
        if before["session"] is None:
            after["session"] = active_session(update["assignedTo"], None, sessions)
    elif word == "assign" or word.startswith("assign, or"):
        user = update["accepted"]["by"] if row == "accepted.by: u" else update["assignedTo"]
        after["assignedTo"] = after["acceptedBy"] = user
        after["session"] = active_session(user, (update.get("accepted") or {}).get("workSession"), sessions)
    elif word in ("route", "re-route"):
        after["routedTo"] = update["routed"]["to"]
        after["session"] = active_session(after["routedTo"], update["routed"].get("workSession"), sessions)
        after["assignedTo"] = after["acceptedBy"] = None
    elif word == "the flag":
        after["paused"] = update["paused"]
    else:
        assert word in ("nothing", "unroute", "place kept"), word


def change_queue(before: Json, after: Json, update: Json, queue: Json | None) -> None:
    """Queue id and rule; itemSize and priority from the queue, unchanged where the queue is not known."""
    assert queue is not None
    after["queue"] = queue["id"]
    # A rule belongs to its queue: a rule that the update names is kept, an older one goes with its queue.
    after["rule"] = asked_rule(update) or (before["rule"] if before["queue"] == queue["id"] else None)
    for field in ("itemSize", "priority"):
        if queue.get(field) is not None:
            after[field] = queue[field]


def entail(before: Json, after: Json, update: Json, *, kept: bool, now: str) -> bool:
    """`enterQueue`: when the status becomes queued, or the queue changes while queued; not when the place is kept.

    Returns whether a queue was entered."""
    becomes = after["status"] == "queued" and before["status"] != "queued"
    changes = after["status"] == "queued" and before["status"] == "queued" and after["queue"] != before["queue"]
    if (becomes or changes) and not kept:
        entered = entered_at(update) or now
        after.update(dict.fromkeys(PASS))
        after["enteredQueueAt"] = entered
        after["queuedCount"] = before["queuedCount"] + 1
        after["firstEnterQueueAt"] = before["firstEnterQueueAt"] or entered
        return True
    return False


def way(cells: list[tuple[str, list[str]]], before: str, after: str) -> list[str]:
    """The statuses on the way. An update that assigns and ends in wrap-up or completed has passed through assigned."""
    assigns = {"assignedTo: u", "accepted.by: u"} & {row for row, _ in cells}
    goes_there = any(word.startswith("assigned") for _, cell in cells for word in cell)
    passes = assigns and goes_there and after in ("wrap-up", "completed") and after != before
    return [before, "assigned", after] if passes else [before, after]


PASS = ("enteredQueueAt", "queueTime", "queueBusinessTime", "routedAt", "acceptedAt")
"""The parts of `lastRevision`."""


def time_statuses(statuses: list[str], before: Json, after: Json, now: str) -> None:
    """The table of timings, for each change of status on the way. A question about the status alone has none."""
    if "handleTime" not in before:
        return
    for old, new in pairwise(statuses):
        if old != new:
            leave(old, new, before, after, now)
            become(old, new, after, now)


def leave(old: str, new: str, before: Json, after: Json, now: str) -> None:
    if old == "queued":
        # The pass that ends is the one that the work-item was in, whatever the update does to the queue.
        after["queueTime"] = after["queueBusinessTime"] = since(before["enteredQueueAt"], now)
    if old == "ivr":
        for name in ("ivrTime", "ivrBusinessTime"):
            after[name] = (after[name] or 0) + since(after["ivrEnteredAt"], now)
        after["ivrEnteredAt"] = None
    if old == "wrap-up":
        after["wrapUpTime"] = (after["wrapUpTime"] or 0) + since(after["wrapUpEnteredAt"], now)
    if old == "assigned" and new != "routed":
        # By the acceptance that it had when it left: a new pass may have begun since.
        accepted = before["acceptedAt"] if before["status"] == "assigned" else after["acceptedAt"]
        started = max((text for text in (accepted, after["resumedAt"]) if text), default=None)
        after["handleTime"] = (after["handleTime"] or 0) + since(started, now)


def become(old: str, new: str, after: Json, now: str) -> None:
    first = {"queued": "firstQueueTime", "routed": "firstRouteTime", "assigned": "firstAssignTime"}.get(new)
    if first is not None and after[first] is None and after["createdAt"] is not None:
        after[first] = since(after["createdAt"], now)
    if new == "queued":
        after.update(dict.fromkeys(name for name in PASS if name != "enteredQueueAt"))
    elif new == "ivr":
        after["ivrEnteredAt"] = now
    elif new == "routed":
        after["routedAt"] = now
    elif new == "wrap-up":
        after["wrapUpEnteredAt"] = now
    elif new == "completed":
        after["completedAt"] = now
    elif old == "wrap-up":
        # Resumed: `acceptedAt` is kept, and the handle time goes on from now.
        after["acceptedAt"] = after["acceptedAt"] or now
        after["resumedAt"] = now
    else:
        after["acceptedAt"] = now


def instant(text: str | None) -> datetime:
    assert text is not None
    return datetime.fromisoformat(text)


def since(start: str | None, now: str) -> int:
    """Milliseconds; 0 where the start is not known."""
    return 0 if start is None else max(round((instant(now) - instant(start)).total_seconds() * 1000), 0)


def useless(before: Json, after: Json, update: Json, *, entered: bool) -> list[str]:
    """What the update asks and the status makes no use of."""
    ignored = []
    if update.get("resume") and before["status"] != "wrap-up":
        ignored.append("resume")
    for field in ("routed", "accepted"):
        wanted = update.get(field, {}).get("workSession")
        if wanted is not None and wanted != after["session"]:
            ignored.append(f"{field}.workSession")
    if entered_at(update) is not None and not entered:
        ignored.append("queue.enteredAt")
    return ignored


def entered_at(update: Json) -> str | None:
    """The place in the queue that an update keeps."""
    asked = update.get("queue")
    text: str | None = asked.get("enteredAt") if isinstance(asked, dict) else None
    return text


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
