"""The legacy funnel's table of docs/commands.md: a second reading of the text.

Written from the text alone, on plain dicts in the JSON shape of `decide` (docs/decide.md). It imports no product code;
the meaning of a queue, a session and a place comes from the other oracle.
`TABLE` is the text's table, row by row; the functions below it carry out the words of a row.
"""

from typing import NamedTuple

from tests.oracle.commands_oracle import PASS, asked_rule, entered_at, named_queue, time_statuses
from tests.oracle.sessions_oracle import Json, active_session, place_of, without


class Row(NamedTuple):
    """One line of the text's table. The first whose `has` matches wins."""

    has: str
    command_name: str
    also_honours: tuple[str, ...]
    does: str
    from_assigned: str | None = None


ENTERS = "status queued; enteredAt"
CLEARS = "clears assignedTo, session, team"
ASSIGNS = "status assigned; assignedTo, acceptedBy, session if active"
PUTS_BACK = "back to queued (ivr without a queue) at its old place"

TABLE = (
    Row("queue null", "dequeueCommandParams", (), f"status ivr; clears queue, rule; {CLEARS}"),
    Row("queue set", "queueCommandParams", ("paused",), f"queue; size and priority; {ENTERS}; {CLEARS}", "queue"),
    Row("assignedTo null", "queueCommandParams", ("paused",), f"its queue, else lastRevision's; {ENTERS}; {CLEARS}"),
    Row("routed.to", "routeCommandParams", (), "status routed; routedTo, session; clears assignedTo"),
    Row("accepted.by", "assignCommandParams", ("paused",), ASSIGNS),
    Row("assignedTo user", "assignCommandParams", ("paused",), ASSIGNS),
    Row("routed.rejectedBy", "putBackCommandParams", (), PUTS_BACK),
    Row("routed.timedOut", "putBackCommandParams", (), PUTS_BACK),
    Row("status wrap-up", "wrapUpCommandParams", (), "status wrap-up"),
    Row("status completed", "completeCommandParams", (), "status completed; leaves the session"),
    Row("paused", "pauseCommandParams", (), "the flag"),
)  # fmt: skip


def said(update: Json) -> list[str]:
    """The update's features, in the words of the table."""
    words: list[str] = []
    if "queue" in update:
        asked = update["queue"]
        null = asked is None or (isinstance(asked, dict) and asked.get("id") is None and asked.get("key") is None)
        words.append("queue null" if null else "queue set")
    if "assignedTo" in update:
        words.append("assignedTo null" if update["assignedTo"] is None else "assignedTo user")
    words += [f"routed.{kind}" for kind in ("to", "rejectedBy", "timedOut") if kind in update.get("routed", {})]
    words += ["accepted.by"] if "accepted" in update else []
    words += [f"status {update['status']}"] if "status" in update else []
    words += ["paused"] if "paused" in update else []
    return words


def winner(update: Json) -> Row:
    """The first row that matches."""
    words = said(update)
    return next(row for row in TABLE if row.has in words)


def dropped(update: Json) -> list[str]:
    """The fields that the winning command does not honour."""
    row = winner(update)
    own = row.has.replace(".", " ").split()[0]
    order = ("queue", "assignedTo", "status", "paused", "routed", "accepted", "resume")
    return [name for name in order if name in update and name != own and name not in row.also_honours]


def carry_out(before: Json, update: Json, *, queues: list[Json], sessions: list[Json], now: str) -> Json:
    """`{"refusal": code}`, or `{"workItem": …, "place": …}`; with the command's name and what it drops."""
    row = winner(update)
    answer: Json = {"name": row.command_name, "dropped": dropped(update)}
    refusal = refusal_of(before, update, queues)
    if refusal is not None:
        return {**answer, "refusal": refusal}
    after = dict(before)
    sessions = [without(session, before) for session in sessions]
    does = row.from_assigned if row.from_assigned and before["status"] == "assigned" else row.does
    for words in does.split("; "):
        act(words, after, update, queues=queues, sessions=sessions, now=now)
    if "paused" in update and "paused" in (row.has, *row.also_honours):
        after["paused"] = update["paused"]
    time_statuses([before["status"], after["status"]], before, after, now)
    if after != before:
        after["rev"] = before["rev"] + 1
        after["updatedAt"] = now
    return {**answer, "workItem": after, "place": place_of(after)}


def refusal_of(before: Json, update: Json, queues: list[Json]) -> str | None:
    """The updates that the funnel refuses."""
    if "rev" in update and update["rev"] != before["rev"]:
        return "REVISION_CONFLICT"
    if before["status"] == "completed":
        return "WORK_ITEM_COMPLETED"
    if named_queue(update, queues)[1]:
        return "UNKNOWN_QUEUE"
    if winner(update).has == "assignedTo null" and queue_to_go_back_to(before) is None:
        return "NO_QUEUE"
    return None


def queue_to_go_back_to(before: Json) -> str | None:
    """The work-item's queue, else the one that `lastRevision` names."""
    queue: str | None = before["queue"] or (before.get("lastRevision") or {}).get("queue")
    return queue


def act(  # noqa: C901 – one branch a clause
    words: str, after: Json, update: Json, *, queues: list[Json], sessions: list[Json], now: str
) -> None:
    """One clause of a row."""
    verb, _, rest = words.partition(" ")
    queue, _ = named_queue(update, queues)
    if verb == "status":
        after["status"] = rest
    elif verb == "clears":
        after.update(dict.fromkeys(rest.split(", ")))
    elif words == "queue" and queue is not None:
        # A rule belongs to its queue: a rule that the update names is kept, an older one goes with its queue.
        after["rule"] = asked_rule(update) or (after["rule"] if after["queue"] == queue["id"] else None)
        after["queue"] = queue["id"]
    elif words == "size and priority" and queue is not None:
        after.update({name: queue[name] for name in ("itemSize", "priority") if queue.get(name) is not None})
    elif words == "enteredAt":
        enter(after, update, now)
    elif words == "its queue, else lastRevision's":
        after["queue"] = queue_to_go_back_to(after)
    elif words == "routedTo, session":
        after["routedTo"] = update["routed"]["to"]
        after["session"] = active_session(after["routedTo"], update["routed"].get("workSession"), sessions)
    elif words == "assignedTo, acceptedBy, session if active":
        accepted: Json = update.get("accepted") or {"by": update.get("assignedTo")}
        after["assignedTo"] = after["acceptedBy"] = accepted["by"]
        after["session"] = active_session(accepted["by"], accepted.get("workSession"), sessions)
    elif words == PUTS_BACK:
        after["status"] = "queued" if after["queue"] is not None else "ivr"
        # An offer ends with everything that it set; routing had cleared the assignee already.
        after.update(routedTo=None, session=None, assignedTo=None)
    elif words == "leaves the session":
        after["session"] = None
    else:
        assert words == "the flag", words


def enter(after: Json, update: Json, now: str) -> None:
    """A new place in the queue, or the one that the update keeps."""
    entered = entered_at(update) or now
    after.update(dict.fromkeys(PASS))
    after["enteredQueueAt"] = entered
    after["queuedCount"] += 1
    after["firstEnterQueueAt"] = after["firstEnterQueueAt"] or entered
