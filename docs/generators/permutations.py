"""The page docs/permutations.md: the result of every combination of fields in every status, from the engines."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import product
from typing import Any, Final

from commands.context import CommandContext
from commands.engines.rollout import DEFAULT_ROLLOUT, Engine, EngineRollout
from commands.execute import Applied, CommandRecord, Refused, Unchanged, execute
from commands.reason import Refusal
from commands.session import Session, SessionEntry, place_of
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
the pending item). A refused update drops nothing: its sender gets the refusal. Anna and Ben each have a session with
room; [Sessions](#sessions) varies that.
"""
_SESSIONS_INTRODUCTION: Final = """## Sessions

The updates that put the work-item on a session, by the composed engine, while Anna and Ben each have

- none: no session,
- free: a session with room,
- full: a session whose capacity is used up,
- locked: a session on which another work-item is pending,
- ended: a session that is no longer active.

A result reads status · assignee · the user on whose session it has a place. The work-item is on Anna's session where it
is routed, assigned or in wrap-up, also where that session has ended or is none: then its place is on a session that is
gone. The funnel chooses sessions in the same way, and refuses no offer.
"""
_PAIRS_INTRODUCTION: Final = """### Two sessions of one user

Which of Ben's two sessions takes the work-item: A, whose kind stands in the first column, or B, whose kind stands in
the head. The work-item is queued before. For `assignedTo: ben`:
"""
_OFFERS_INTRODUCTION: Final = """For `routed.to: ben`:
"""
_SESSION_KINDS: Final[dict[str, dict[str, Any] | None]] = {
    "none": None,
    "free": {"capacity": 5},
    "full": {"capacity": 2, "work_items": (SessionEntry(id="other", item_size=2),)},
    "locked": {"capacity": 9, "pending_item": "another"},
    "ended": {"capacity": 9, "active": False},
}
_ON_A_SESSION: Final[tuple[dict[str, Any], ...]] = (
    {"assignedTo": "anna"},
    {"assignedTo": "ben"},
    {"assignedTo": "ben", "status": "wrap-up"},
    {"assignedTo": "ben", "status": "completed"},
    {"routed": {"to": "ben"}},
    {"accepted": {"by": "ben"}},
    {"resume": True},
)


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
    active = [status for status in Status if status is not Status.COMPLETED]
    return "\n".join(
        [
            _INTRODUCTION,
            *map(_section, active),
            _SESSIONS_INTRODUCTION,
            *map(_sessions_section, active),
            _PAIRS_INTRODUCTION,
            _pairs_table({"assignedTo": "ben"}),
            _OFFERS_INTRODUCTION,
            _pairs_table({"routed": {"to": "ben"}}),
        ]
    )


def _section(status: Status) -> str:
    rows = [
        f"## From {status.value}",
        "",
        "| update | composed: actions | result | funnel: command | result | dropped |",
        "|---|---|---|---|---|---|",
    ]
    rows.extend(_row(item_in(status), update) for update in updates())
    return "\n".join([*rows, ""])


def _sessions_section(status: Status) -> str:
    rows = [
        f"### Sessions, from {status.value}",
        "",
        f"| update | {' | '.join(_SESSION_KINDS)} |",
        f"|---{'|---' * len(_SESSION_KINDS)}|",
    ]
    for raw in _ON_A_SESSION:
        results = (_result_on(item_in(status), raw, _context({"anna": kind, "ben": kind})) for kind in _SESSION_KINDS)
        rows.append(f"| {_asked(raw)} | {' | '.join(results)} |")
    return "\n".join([*rows, ""])


def _pairs_table(raw: dict[str, Any]) -> str:
    rows = [f"| A, B | {' | '.join(_SESSION_KINDS)} |", f"|---{'|---' * len(_SESSION_KINDS)}|"]
    for first in _SESSION_KINDS:
        taken = (_taken(raw, _context({"A": first, "B": second}, user="ben")) for second in _SESSION_KINDS)
        rows.append(f"| {first} | {' | '.join(taken)} |")
    return "\n".join([*rows, ""])


def _context(kinds: dict[str, str], user: str | None = None) -> CommandContext:
    """One session for each name, of `user`, or of the user who has that name."""
    made = {(name if user else f"{name}'s"): (user or name, _SESSION_KINDS[kind]) for name, kind in kinds.items()}
    return CommandContext(
        sessions={key: Session(id=key, user=who, **kind) for key, (who, kind) in made.items() if kind is not None}
    )


def _result_on(item: WorkItem, raw: dict[str, Any], context: CommandContext) -> str:
    match _executed(item, raw, context):
        case Applied(after=after):
            return f"{after.status.value} · {after.assigned_to or 'nobody'} · {_place(after)}"
        case Unchanged():
            return "unchanged"
        case Refused(refusal=Refusal(code=code)):
            return f"refused: {code.value}"


def _taken(raw: dict[str, Any], context: CommandContext) -> str:
    match _executed(item_in(Status.QUEUED), raw, context):
        case Applied(after=after):
            return after.session or "no session"
        case Unchanged():
            return "unchanged"
        case Refused(refusal=Refusal(code=code)):
            return f"refused: {code.value}"


def _executed(item: WorkItem, raw: dict[str, Any], context: CommandContext) -> Applied | Unchanged | Refused:
    update = parse_update(raw, from_sync=True)
    assert isinstance(update, Update), "the page's updates are valid"
    return execute(item, update, context=context, now=_NOW)


def _row(item: WorkItem, raw: dict[str, Any]) -> str:
    update = parse_update(raw)
    assert isinstance(update, Update), "the 80 combinations are all updates"
    command, result = _command_and_result(item, update, DEFAULT_ROLLOUT)
    old, old_result = _command_and_result(item, update, _LEGACY)
    actions = ", ".join(command.actions) or "–"
    silently = () if old_result.startswith("refused") else old.dropped
    dropped = ", ".join(f"**{name}**" for name in silently) or "–"
    return f"| {_asked(raw)} | {actions} | {result} | {', '.join(old.actions) or '–'} | {old_result} | {dropped} |"


def _command_and_result(item: WorkItem, update: Update, rollout: EngineRollout) -> tuple[CommandRecord, str]:
    match execute(item, update, context=_CONTEXT, now=_NOW, rollout=rollout):
        case Applied(after=after, command=command):
            return command, _state(after)
        case Unchanged(command=command):
            return command, "unchanged"
        case Refused(refusal=Refusal(code=code), command=command):
            return command, f"refused: {code.value}"


def _state(item: WorkItem) -> str:
    paused = "paused" if item.paused else "not paused"
    return " · ".join([item.status.value, item.assigned_to or "nobody", item.queue or "no queue", paused, _place(item)])


def _place(item: WorkItem) -> str:
    place = place_of(item)
    marks = {"workItems": "", "pausedWorkItems": "…", "pendingItem": "?"}
    return f"{place.session} session{marks[place.slot.value]}" if place else "no session"


def _asked(raw: dict[str, Any]) -> str:
    parts = {
        f"{name}.{part}" if part else name: value
        for name, whole in raw.items()
        for part, value in (whole.items() if isinstance(whole, dict) else [("", whole)])
    }
    return ", ".join(f"{name}: {_value(value)}" for name, value in parts.items())


def _value(value: object) -> str:
    return "null" if value is None else str(value).lower()
