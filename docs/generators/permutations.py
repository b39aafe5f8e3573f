"""The page docs/permutations.md: the result of every combination of fields in every status, from the engines."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import product
from typing import Any, Final

from commands.context import CommandContext
from commands.execute import Applied, CommandRecord, Refused, Unchanged, execute
from commands.reason import Refusal
from commands.rollout import DEFAULT_ROLLOUT, Engine, EngineRollout
from commands.session import Session, place_of
from commands.update import Update, parse_update
from commands.work_item import QueuePass, Status, WorkItem

_NOW: Final = datetime(2026, 1, 5, 9, tzinfo=UTC)
_ABSENT: Final = object()
_VALUES: Final[dict[str, tuple[Any, ...]]] = {
    "queue": (_ABSENT, None, "support"),
    "assignedTo": (_ABSENT, None, "ben"),
    "status": (_ABSENT, "wrap-up", "completed"),
    "paused": (_ABSENT, True, False),
}
_CONTEXT: Final = CommandContext(
    sessions={user: Session(id=f"{user}'s", user=user, capacity=5) for user in ("anna", "ben")}
)
_LEGACY: Final = EngineRollout(engine=Engine.LEGACY)
_INTRODUCTION: Final = """# Permutations

Every update of `queue`, `assignedTo`, `status` and `paused`, 80 combinations, in every active status: what the composed
engine does, and beside it what the legacy funnel does with the same update. **Bold** fields are those that the funnel
drops without telling the sender. `make docs` makes this page from the engines themselves.

The work-item is in the queue sales (in ivr: in none), is Anna's where an agent has it, and is not paused. A result
reads status · assignee · queue · pause · the user on whose session it has a place (`…` among the paused items, `?` as
the pending item). A refused update drops nothing: its sender gets the refusal.
"""


def updates() -> Iterator[dict[str, Any]]:
    """The 80 combinations as JSON."""
    for values in product(*_VALUES.values()):
        update = {name: value for name, value in zip(_VALUES, values, strict=True) if value is not _ABSENT}
        if update:
            yield update


def item_in(status: Status) -> WorkItem:
    """The work-item before each update."""
    held = status in (Status.ASSIGNED, Status.WRAP_UP)
    routed = status is Status.ROUTED
    return WorkItem(
        id="w",
        rev=1,
        status=status,
        queue=None if status is Status.IVR else "sales",
        assigned_to="anna" if held else None,
        accepted_by="anna" if held else None,
        routed_to="anna" if routed else None,
        session="anna's" if held or routed else None,
        last_revision=QueuePass(entered_queue_at=_NOW),
    )


def page() -> str:
    """The whole page."""
    sections = [_section(status) for status in Status if status is not Status.COMPLETED]
    return "\n".join([_INTRODUCTION, *sections])


def _section(status: Status) -> str:
    rows = [
        f"## From {status.value}",
        "",
        "| update | composed: actions | result | funnel: command | result | dropped |",
        "|---|---|---|---|---|---|",
    ]
    rows.extend(_row(item_in(status), update) for update in updates())
    return "\n".join([*rows, ""])


def _row(item: WorkItem, raw: dict[str, Any]) -> str:
    update = parse_update(raw)
    assert isinstance(update, Update), "the 80 combinations are all updates"
    command, result = _command_and_result(item, update, DEFAULT_ROLLOUT)
    old, old_result = _command_and_result(item, update, _LEGACY)
    asked = ", ".join(f"{name}: {_value(value)}" for name, value in raw.items())
    actions = ", ".join(command.actions) or "–"
    silently = () if old_result.startswith("refused") else old.dropped
    dropped = ", ".join(f"**{name}**" for name in silently) or "–"
    return f"| {asked} | {actions} | {result} | {', '.join(old.actions) or '–'} | {old_result} | {dropped} |"


def _command_and_result(item: WorkItem, update: Update, rollout: EngineRollout) -> tuple[CommandRecord, str]:
    match execute(item, update, context=_CONTEXT, now=_NOW, rollout=rollout):
        case Applied(after=after, command=command):
            return command, _state(after)
        case Unchanged(command=command):
            return command, "unchanged"
        case Refused(refusal=Refusal(code=code), command=command):
            return command, f"refused: {code.value}"


def _state(item: WorkItem) -> str:
    place = place_of(item)
    marks = {"workItems": "", "pausedWorkItems": "…", "pendingItem": "?"}
    where = f"{place.session} session{marks[place.slot.value]}" if place else "no session"
    paused = "paused" if item.paused else "not paused"
    return " · ".join([item.status.value, item.assigned_to or "nobody", item.queue or "no queue", paused, where])


def _value(value: object) -> str:
    return "null" if value is None else str(value).lower()
