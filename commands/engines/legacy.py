"""The legacy funnel: one command per update. The first row that matches wins; fields it does not honour are dropped.

| # | update | command | also honours | what it does |
|---|---|---|---|---|
| 1 | `queue:null` | DeQueue | – | ivr; clears queue, rule, assignedTo, session, team |
| 2 | `queue:id` | Queue | paused | from assigned the queue only; else queued, size, priority, and clears as 1 |
| 3 | `assignedTo:null` | Queue | paused | queued again where it is, or was; clears as 1; else `NO_QUEUE` |
| 4 | `routed.to` | Route | – | routed, routedTo, session; clears assignedTo |
| 5 | `accepted.by` | Assign | paused | assigned, assignedTo, acceptedBy, session if active |
| 6 | `assignedTo:id` | Assign | paused | the same |
| 7 | `routed.rejectedBy` | PutBack | – | queued (ivr without a queue), at its old place |
| 8 | `routed.timedOut` | PutBack | – | the same |
| 9 | `status:wrap-up` | WrapUp | – | the status only |
| 10 | `status:completed` | Complete | – | the status; leaves the session |
| 11 | `paused` | Pause | – | the flag |

The predecessor's flaws are kept on purpose, so that a team can compare both engines and roll back. One flaw is mended:
where the predecessor crashed in row 3, the funnel refuses the update.
Reference: docs/commands.md.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from commands.actions import change_queue
from commands.context import CommandContext
from commands.reason import Refusal, RefusalCode
from commands.timings import Calendar, enter_queue, with_timings
from commands.update import Offer, QueueChoice, Unset, Update
from commands.work_item import Status, WorkItem


class _CommandRequest(Struct, frozen=True, kw_only=True):
    """An update, and the context and time that its command uses."""

    update: Update
    context: CommandContext
    now: datetime


_FunnelCommand = Callable[[WorkItem, _CommandRequest], WorkItem | Refusal]


class FunnelRow(Struct, frozen=True, kw_only=True):
    """One row of the table. `name`: the column `update`. `honours`: the fields of the update that are not dropped."""

    name: str
    command: str
    honours: tuple[str, ...]
    execute: _FunnelCommand

    @property
    def command_name(self) -> str:
        """The name in the events' reasons: `queueCommandParams`."""
        return f"{self.command[0].lower()}{self.command[1:]}CommandParams".replace("deQueue", "dequeue")


def _de_queue(item: WorkItem, _: _CommandRequest) -> WorkItem:
    return replace(_released(item), queue=None, rule=None, status=Status.IVR)


def _queue(item: WorkItem, request: _CommandRequest) -> WorkItem | Refusal:
    choice = request.update.queue
    assert isinstance(choice, QueueChoice), "the row matches only a queue that is named"
    queue_id = request.context.queue_id(choice)
    if isinstance(queue_id, Refusal):
        return queue_id
    if item.status is Status.ASSIGNED:
        return _with_paused(change_queue(item, queue_id, choice.rule, None), request)
    queue = request.context.queue(queue_id)
    queued = replace(_released(change_queue(item, queue_id, choice.rule, queue)), status=Status.QUEUED)
    return _with_paused(enter_queue(queued, now=request.now, entered_at=choice.entered_at), request)


def _re_queue(item: WorkItem, request: _CommandRequest) -> WorkItem | Refusal:
    queue = item.queue or _queue_of_last_revision(item)
    if queue is None:
        return Refusal(
            code=RefusalCode.NO_QUEUE,
            message=f"'assignedTo' cannot be cleared: work-item {item.id}, which is {item.status.value}, has no queue "
            "to go back to: name a 'queue' (null for none) in an update of its own",
        )
    queued = replace(_released(item), queue=queue, status=Status.QUEUED)
    return _with_paused(enter_queue(queued, now=request.now, entered_at=None), request)


def _route(item: WorkItem, request: _CommandRequest) -> WorkItem:
    offer = request.update.routed
    assert isinstance(offer, Offer), "the row matches only an offer"
    session = request.context.session_id_for(offer.user, item=item.id, preferred=offer.session)
    return replace(item, status=Status.ROUTED, routed_to=offer.user, session=session, assigned_to=None)


def _accept(item: WorkItem, request: _CommandRequest) -> WorkItem:
    accepted = request.update.accepted
    assert not isinstance(accepted, Unset), "the row matches only an acceptance"
    return _assigned(item, accepted.by, accepted.session, request)


def _assign(item: WorkItem, request: _CommandRequest) -> WorkItem:
    user = request.update.assigned_to
    assert isinstance(user, str), "the row matches only a user"
    return _assigned(item, user, None, request)


def _put_back(item: WorkItem, _: _CommandRequest) -> WorkItem:
    status = Status.QUEUED if item.queue else Status.IVR
    return replace(item, status=status, routed_to=None, session=None, assigned_to=None)


def _wrap_up(item: WorkItem, _: _CommandRequest) -> WorkItem:
    return replace(item, status=Status.WRAP_UP)


def _complete(item: WorkItem, _: _CommandRequest) -> WorkItem:
    return replace(item, status=Status.COMPLETED, session=None)


def _pause(item: WorkItem, request: _CommandRequest) -> WorkItem:
    return _with_paused(item, request)


FUNNEL: Final = (
    FunnelRow(name="queue:null", command="DeQueue", honours=("queue",), execute=_de_queue),
    FunnelRow(name="queue:id", command="Queue", honours=("queue", "paused"), execute=_queue),
    FunnelRow(name="assignedTo:null", command="Queue", honours=("assignedTo", "paused"), execute=_re_queue),
    FunnelRow(name="routed.to", command="Route", honours=("routed",), execute=_route),
    FunnelRow(name="accepted.by", command="Assign", honours=("accepted", "paused"), execute=_accept),
    FunnelRow(name="assignedTo:id", command="Assign", honours=("assignedTo", "paused"), execute=_assign),
    FunnelRow(name="routed.rejectedBy", command="PutBack", honours=("routed",), execute=_put_back),
    FunnelRow(name="routed.timedOut", command="PutBack", honours=("routed",), execute=_put_back),
    FunnelRow(name="status:wrap-up", command="WrapUp", honours=("status",), execute=_wrap_up),
    FunnelRow(name="status:completed", command="Complete", honours=("status",), execute=_complete),
    FunnelRow(name="paused", command="Pause", honours=("paused",), execute=_pause),
)
"""The rows, in order. `COMPOSED_UPDATES` takes an update out of the funnel by the row's `name`."""


def row_of(update: Update) -> FunnelRow | None:
    """The first row that matches; None for an update of `resume` alone, which the predecessor does not have."""
    names = _names_of(update)
    return next((row for row in FUNNEL if row.name in names), None)


def funnel(
    item: WorkItem, update: Update, row: FunnelRow, *, context: CommandContext, now: datetime, calendar: Calendar
) -> WorkItem | Refusal:
    """The work-item after the row's command, timings included."""
    after = row.execute(item, _CommandRequest(update=update, context=context, now=now))
    return after if isinstance(after, Refusal) else with_timings(item, after, now=now, calendar=calendar)


def _names_of(update: Update) -> set[str]:
    """The names of all rows that the update's fields match."""
    names: set[str] = set()
    if not isinstance(update.queue, Unset):
        names.add("queue:null" if update.queue is None else "queue:id")
    if not isinstance(update.assigned_to, Unset):
        names.add("assignedTo:null" if update.assigned_to is None else "assignedTo:id")
    if not isinstance(update.routed, Unset):
        names.add(f"routed.{update.routed.kind}")
    if not isinstance(update.accepted, Unset):
        names.add("accepted.by")
    if not isinstance(update.status, Unset):
        names.add(f"status:{update.status.value}")
    if not isinstance(update.paused, Unset):
        names.add("paused")
    return names


def _released(item: WorkItem) -> WorkItem:
    return replace(item, assigned_to=None, session=None, team=None)


def _assigned(item: WorkItem, user: str, session: str | None, request: _CommandRequest) -> WorkItem:
    placed_on = request.context.session_id_for(user, item=item.id, preferred=session)
    assigned = replace(item, status=Status.ASSIGNED, assigned_to=user, accepted_by=user, session=placed_on)
    return _with_paused(assigned, request)


def _with_paused(item: WorkItem, request: _CommandRequest) -> WorkItem:
    return item if isinstance(request.update.paused, Unset) else replace(item, paused=request.update.paused)


def _queue_of_last_revision(item: WorkItem) -> str | None:
    """`lastRevision.queue`, an id or `{id}`; only the predecessor writes it."""
    queue: Any = item.last_revision.other.get("queue") if item.last_revision else None
    if isinstance(queue, dict):
        queue = queue.get("id")
    return queue if isinstance(queue, str) and queue else None
