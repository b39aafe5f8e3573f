"""An update, carried out: the one door to the commands.

Refused, unchanged or applied; only an applied one has a new revision, a reason and session moves.
"""

from datetime import datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from commands.composed_engine import COMMAND_NAME, compose
from commands.context import CommandContext
from commands.legacy_engine import FunnelRow, funnel
from commands.reason import Reason, ReasonAction, ReasonCode
from commands.refusal import Refusal, RefusalCode
from commands.rollout import COMPOSED, Engine, EngineRollout, UpdateOrigin
from commands.session import SessionMove, move_between
from commands.timings import Calendar, always_open
from commands.update import Unset, Update
from commands.work_item import WorkItem


class CommandRecord(Struct, frozen=True, kw_only=True):
    """Which way an update took: the audit's `command`. `dropped`: fields that the funnel did not honour."""

    engine: Engine
    name: str
    actions: tuple[str, ...]
    fields: tuple[str, ...]
    composed: bool
    origin: UpdateOrigin = UpdateOrigin.SYNC
    dropped: tuple[str, ...] = ()


class Applied(Struct, frozen=True, kw_only=True):
    """The work-item after, one revision on; `reason` says what was asked, `move` what the sessions see of it."""

    after: WorkItem
    command: CommandRecord
    reason: Reason
    move: SessionMove | None


class Unchanged(Struct, frozen=True, kw_only=True):
    """The update asks for what is so already: nothing to write, no revision, no event."""

    command: CommandRecord


class Refused(Struct, frozen=True, kw_only=True):
    """Nothing may be written."""

    command: CommandRecord
    refusal: Refusal


def execute(
    item: WorkItem,
    update: Update,
    *,
    context: CommandContext,
    now: datetime,
    knew: int | None = None,
    calendar: Calendar = always_open,
    rollout: EngineRollout = COMPOSED,
    origin: UpdateOrigin = UpdateOrigin.SYNC,
) -> Applied | Unchanged | Refused:
    """Carry out `update` on `item` at `now`.

    `knew` is the conversation revision the asker knew: it goes into the reason as `meta.data.resource.rev`, where the
    causal policy of whoever reads the event finds it. Refusal codes: `RefusalCode`.
    """
    asked = update.as_wire()
    row = rollout.row_for(update)
    refusal = _refusal_before(item, update, tuple(asked), rollout, origin)
    result = refusal or _carry_out(item, update, row, context=context, now=now, calendar=calendar)
    if isinstance(result, Refusal):
        return Refused(command=_command(row, (), tuple(asked), origin), refusal=result)
    after, actions = result
    if after == item:
        return Unchanged(command=_command(row, (), tuple(asked), origin))
    command = _command(row, actions, tuple(asked), origin)
    after = replace(after, rev=item.rev + 1, updated_at=now)
    reason = _reason(asked, item.rev, knew, command)
    return Applied(after=after, command=command, reason=reason, move=move_between(item, after))


def not_executed(origin: UpdateOrigin = UpdateOrigin.SYNC) -> CommandRecord:
    """The command of an update that could not even be read."""
    return _command(None, (), (), origin)


def _carry_out(
    item: WorkItem, update: Update, row: FunnelRow | None, *, context: CommandContext, now: datetime, calendar: Calendar
) -> tuple[WorkItem, tuple[str, ...]] | Refusal:
    if row is None:
        return compose(item, update, context=context, now=now, calendar=calendar)
    after = funnel(item, update, row, context=context, now=now, calendar=calendar)
    return after if isinstance(after, Refusal) else (after, (row.command,))


def _refusal_before(
    item: WorkItem, update: Update, names: tuple[str, ...], rollout: EngineRollout, origin: UpdateOrigin
) -> Refusal | None:
    most = rollout.fields_max.get(origin)
    if most is not None and len(names) > most:
        return Refusal(
            code=RefusalCode.TOO_MANY_FIELDS,
            message=f"an update from {origin.value!r} may have {most} fields, this one has {len(names)} "
            f"({', '.join(names)}): send them as several updates",
        )
    if not isinstance(update.rev, Unset) and update.rev != item.rev:
        return Refusal(
            code=RefusalCode.REVISION_CONFLICT,
            message=f"'rev' is {update.rev}, but work-item {item.id} is at revision {item.rev}: read it again",
        )
    if not item.active:
        return Refusal(
            code=RefusalCode.WORK_ITEM_COMPLETED,
            message=f"work-item {item.id} is completed and takes no {', '.join(names)}: "
            "only a new work-item can be worked on",
        )
    return None


def _command(
    row: FunnelRow | None, actions: tuple[str, ...], fields: tuple[str, ...], origin: UpdateOrigin
) -> CommandRecord:
    return CommandRecord(
        engine=Engine.COMPOSED if row is None else Engine.LEGACY,
        name=COMMAND_NAME if row is None else row.command_name,
        actions=actions,
        fields=fields,
        composed=row is None,
        origin=origin,
        dropped=() if row is None else tuple(name for name in fields if name not in row.honours),
    )


def _reason(asked: dict[str, Any], rev: int, knew: int | None, command: CommandRecord) -> Reason:
    data = {**asked, "rev": rev} if knew is None else {**asked, "rev": rev, "resource": {"rev": knew}}
    return Reason(
        action=ReasonAction.UPDATE_COMMAND,
        code=ReasonCode.WORK_ITEM_UPDATE_CMD,
        meta={
            "data": data,
            "commandName": command.name,
            "composed": command.composed,
            "actions": list(command.actions),
        },
    )
