"""Commands that did not carry out their whole update: `FIELDS_DROPPED`.

The reason `UPDATE_COMMAND` holds the update (`meta.data`), and the event the work-item after it. The legacy funnel
executes one command for an update and drops every field that the command does not honour (docs/commands.md).
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from commands.reason import ReasonAction
from commands.work_item import STATUS_ALIASES, Status
from sync.conversation import Field
from worker.investigate.timeline.entry import EntryReason, RecordState, TimelineEntry
from worker.investigate.timeline.findings.facts import TimelineFacts
from worker.investigate.timeline.timeline import FindingKind, TimelineFinding, cite

_COMMANDS_BY_OFFER: Final = {
    "routed": frozenset({"routeCommandParams", "putBackCommandParams"}),
    "accepted": frozenset({"assignCommandParams"}),
}
_FIELD_BY_NAME: Final[Mapping[str, Field]] = {"assignedTo": "assignee", "queue": "queue", "paused": "paused"}


def dropped_fields(facts: TimelineFacts) -> Iterator[TimelineFinding]:
    """The finding of each work-item's write whose update it does not show."""
    for entry in facts.entries:
        if entry.side != "work-item" or entry.state is None:
            continue
        for reason in entry.reasons:
            update = reason.meta.get("data")
            if reason.action == ReasonAction.UPDATE_COMMAND and isinstance(update, Mapping):
                dropped = list(_dropped(reason, update, entry.state))
                if dropped:
                    yield _finding(facts, entry, reason, dropped)


def _finding(
    facts: TimelineFacts, entry: TimelineEntry, reason: EntryReason, dropped: list[tuple[str, str]]
) -> TimelineFinding:
    names = [name for name, _ in dropped]
    command = reason.meta.get("commandName")
    said = "; ".join(text for _, text in dropped)
    return TimelineFinding(
        kind=FindingKind.FIELDS_DROPPED,
        text=f"{facts.named(entry)}: the command {command if isinstance(command, str) else 'of its update'} dropped "
        f"{' and '.join(names)}: {said}.",
        field=_FIELD_BY_NAME.get(names[0]),
        since=entry.at,
        until=entry.at,
        evidence=(cite(entry, "the work-item after the command"),),
    )


def _dropped(reason: EntryReason, update: Mapping[str, Any], after: RecordState) -> Iterator[tuple[str, str]]:
    """The fields of the update that the work-item does not have, each with both values. A value of another form than
    documented is passed over."""
    assigned = next(iter(after.assignees), None)
    if "assignedTo" in update and _is_id(update["assignedTo"]) and update["assignedTo"] != assigned:
        yield "assignedTo", _said("assignedTo", update["assignedTo"], assigned)
    queues = [queue for queue in _queues(update) if _is_id(queue)]
    if queues and queues[0] != after.queue:
        yield "queue", _said("queue", queues[0], after.queue)
    wanted = update.get("status")
    status = STATUS_ALIASES.get(wanted) if isinstance(wanted, str) else None
    if status in (Status.WRAP_UP, Status.COMPLETED) and status.value != after.status:
        yield "status", _said("status", status.value, after.status)
    paused = update.get("paused")
    if isinstance(paused, bool) and paused is not after.paused:
        yield "paused", _said("paused", paused, after.paused)
    command = reason.meta.get("commandName")
    for name, commands in _COMMANDS_BY_OFFER.items():
        if isinstance(update.get(name), Mapping) and isinstance(command, str) and command not in commands:
            yield name, f"{name} was asked for"


def _queues(update: Mapping[str, Any]) -> Iterator[object]:
    """The queue's id that the update names. A queue that is named by its key alone cannot be compared."""
    if "queue.id" in update:
        yield update["queue.id"]
    if "queue" in update:
        queue = update["queue"]
        if isinstance(queue, Mapping):
            if "id" in queue:
                yield queue["id"]
        else:
            yield queue


def _is_id(value: object) -> bool:
    return value is None or isinstance(value, str)


def _said(name: str, asked: object, is_now: object) -> str:
    return f"{name} should be {_word(asked)}, is {_word(is_now)}"


def _word(value: object) -> str:
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
