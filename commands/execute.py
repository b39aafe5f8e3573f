"""Executing an update on a work-item: the one entry to the commands.

An update is refused, changes nothing, or is applied. Only an applied update has a new revision, a reason and a move.
"""

from datetime import datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from commands.context import CommandContext
from commands.engines.composed import COMMAND_NAME, Composed, compose
from commands.engines.legacy import FunnelRow, funnel
from commands.engines.rollout import DEFAULT_ROLLOUT, Engine, EngineRollout, UpdateOrigin
from commands.reason import Reason, ReasonAction, ReasonCode, Refusal, RefusalCode
from commands.session import SessionMove, move_between
from commands.timings import Calendar, always_open
from commands.update import Unset, Update
from commands.work_item import WorkItem


class CommandRecord(Struct, frozen=True, kw_only=True):
    """How an update was executed: the audit line's `command`.

    `dropped`: the fields that the legacy funnel does not honour. `ignored`: the fields, in dotted form, that the
    composed engine had no use for in the work-item's status.
    """

    engine: Engine
    name: str
    actions: tuple[str, ...]
    fields: tuple[str, ...]
    composed: bool
    origin: UpdateOrigin = UpdateOrigin.SYNC
    dropped: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


class Applied(Struct, frozen=True, kw_only=True):
    """An update that changed the work-item. `after` has the next revision; `reason` goes into the write's event."""

    after: WorkItem
    command: CommandRecord
    reason: Reason
    move: SessionMove | None


class Unchanged(Struct, frozen=True, kw_only=True):
    """An update whose values the work-item already has: no write, no revision, no event."""

    command: CommandRecord


class Refused(Struct, frozen=True, kw_only=True):
    """An update that must not be written."""

    command: CommandRecord
    refusal: Refusal


def execute(
    item: WorkItem,
    update: Update,
    *,
    context: CommandContext,
    now: datetime,
    resource_rev: int | None = None,
    calendar: Calendar = always_open,
    rollout: EngineRollout = DEFAULT_ROLLOUT,
    origin: UpdateOrigin = UpdateOrigin.SYNC,
) -> Applied | Unchanged | Refused:
    """The result of `update` on `item` at `now`. Nothing is written, and both arguments stay as they are.

    `resource_rev` is the revision of the work-item's conversation that the sender knew. It goes into the reason as
    `meta.data.resource.rev`, where the readers of the event find it (docs/events.md, *Who knew what*).
    """
    update_json = update.as_wire()
    fields = tuple(update_json)
    row = rollout.row_for(update)
    refusal = _refusal_before(item, update, fields, rollout, origin)
    result = refusal or _execute_by_row(item, update, row, context=context, now=now, calendar=calendar)
    if isinstance(result, Refusal):
        return Refused(command=_command(row, (), fields, origin), refusal=result)
    if result.after == item:
        return Unchanged(command=_command(row, (), fields, origin, result.ignored))
    command = _command(row, result.actions, fields, origin, result.ignored)
    after = replace(result.after, rev=item.rev + 1, updated_at=now)
    reason = _reason(update_json, item.rev, resource_rev, command)
    return Applied(after=after, command=command, reason=reason, move=move_between(item, after))


def not_executed(origin: UpdateOrigin = UpdateOrigin.SYNC) -> CommandRecord:
    """The record of an update that was refused while it was parsed."""
    return _command(None, (), (), origin)


def _execute_by_row(
    item: WorkItem, update: Update, row: FunnelRow | None, *, context: CommandContext, now: datetime, calendar: Calendar
) -> Composed | Refusal:
    if row is None:
        return compose(item, update, context=context, now=now, calendar=calendar)
    after = funnel(item, update, row, context=context, now=now, calendar=calendar)
    return after if isinstance(after, Refusal) else Composed(after=after, actions=(row.command,), ignored=())


def _refusal_before(
    item: WorkItem, update: Update, fields: tuple[str, ...], rollout: EngineRollout, origin: UpdateOrigin
) -> Refusal | None:
    fields_max = rollout.fields_max.get(origin)
    if fields_max is not None and len(fields) > fields_max:
        return Refusal(
            code=RefusalCode.TOO_MANY_FIELDS,
            message=f"an update from {origin.value!r} may have {fields_max} fields, this one has {len(fields)} "
            f"({', '.join(fields)}): send them as several updates",
        )
    if not isinstance(update.rev, Unset) and update.rev != item.rev:
        return Refusal(
            code=RefusalCode.REVISION_CONFLICT,
            message=f"'rev' is {update.rev}, but work-item {item.id} is at revision {item.rev}: read it again",
        )
    if not item.active:
        return Refusal(
            code=RefusalCode.WORK_ITEM_COMPLETED,
            message=f"work-item {item.id} is completed and takes no {', '.join(fields)}: "
            "only a new work-item can be worked on",
        )
    return None


def _command(
    row: FunnelRow | None,
    actions: tuple[str, ...],
    fields: tuple[str, ...],
    origin: UpdateOrigin,
    ignored: tuple[str, ...] = (),
) -> CommandRecord:
    return CommandRecord(
        engine=Engine.COMPOSED if row is None else Engine.LEGACY,
        name=COMMAND_NAME if row is None else row.command_name,
        actions=actions,
        fields=fields,
        composed=row is None,
        origin=origin,
        dropped=() if row is None else tuple(name for name in fields if name not in row.honours),
        ignored=ignored,
    )


def _reason(update_json: dict[str, Any], rev: int, resource_rev: int | None, command: CommandRecord) -> Reason:
    data = {**update_json, "rev": rev}
    if resource_rev is not None:
        data["resource"] = {"rev": resource_rev}
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
