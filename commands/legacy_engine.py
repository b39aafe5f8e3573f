"""The legacy funnel: one command an update, the first row that matches wins, and what it does not honour is dropped.

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

Its flaws are kept on purpose, to be compared with and rolled back to; but for the crash in 3, which is a refusal here.
Source: commands.md, *The legacy funnel*.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from commands.actions import change_queue
from commands.context import CommandContext
from commands.refusal import Refusal, RefusalCode
from commands.timings import Calendar, enter_queue, with_timings
from commands.update import Offer, QueueChoice, Unset, Update
from commands.work_item import Status, WorkItem


class _CommandRequest(Struct, frozen=True, kw_only=True):
    """What a command may look at."""

    update: Update
    context: CommandContext
    now: datetime


_Command = Callable[[WorkItem, _CommandRequest], WorkItem | Refusal]


class FunnelRow(Struct, frozen=True, kw_only=True):
    """One row of the table. `honours`: the fields of the update that are not dropped."""

    update: str
    command: str
    honours: tuple[str, ...]
    carry_out: _Command

    @property
    def command_name(self) -> str:
        """The name in the events' reasons: `queueCommandParams`."""
        return f"{self.command[0].lower()}{self.command[1:]}CommandParams".replace("deQueue", "dequeue")


def _de_queue(item: WorkItem, _: _CommandRequest) -> WorkItem:
    return replace(_released(item), queue=None, rule=None, status=Status.IVR)


def _queue(item: WorkItem, asked: _CommandRequest) -> WorkItem | Refusal:
    choice = asked.update.queue
    assert isinstance(choice, QueueChoice), "the row matches only a queue that is named"
    queue = asked.context.chosen_queue(choice)
    if isinstance(queue, Refusal):
        return queue
    known = asked.context.queues.get(queue)
    if item.status is Status.ASSIGNED:
        return _honouring_paused(change_queue(item, queue, choice.rule, None), asked)
    queued = replace(_released(change_queue(item, queue, choice.rule, known)), status=Status.QUEUED)
    return _honouring_paused(enter_queue(queued, now=asked.now, entered_at=choice.entered_at), asked)


def _re_queue(item: WorkItem, asked: _CommandRequest) -> WorkItem | Refusal:
    queue = item.queue or _queue_of_last_revision(item)
    if queue is None:
        return Refusal(
            code=RefusalCode.NO_QUEUE,
            message=f"'assignedTo' cannot be cleared: work-item {item.id}, which is {item.status.value}, has no queue "
            "to go back to: name a 'queue' (null for none) in an update of its own",
        )
    queued = replace(_released(item), queue=queue, status=Status.QUEUED)
    return _honouring_paused(enter_queue(queued, now=asked.now, entered_at=None), asked)


def _route(item: WorkItem, asked: _CommandRequest) -> WorkItem:
    offer = asked.update.routed
    assert isinstance(offer, Offer), "the row matches only an offer"
    session = asked.context.session_for(offer.user, offer.session)
    return replace(item, status=Status.ROUTED, routed_to=offer.user, session=session, assigned_to=None)


def _accept(item: WorkItem, asked: _CommandRequest) -> WorkItem:
    accepted = asked.update.accepted
    assert not isinstance(accepted, Unset), "the row matches only an acceptance"
    return _assigned(item, accepted.by, accepted.session, asked)


def _assign(item: WorkItem, asked: _CommandRequest) -> WorkItem:
    user = asked.update.assigned_to
    assert isinstance(user, str), "the row matches only a user"
    return _assigned(item, user, None, asked)


def _put_back(item: WorkItem, _: _CommandRequest) -> WorkItem:
    status = Status.QUEUED if item.queue else Status.IVR
    return replace(item, status=status, routed_to=None, session=None, assigned_to=None)


def _wrap_up(item: WorkItem, _: _CommandRequest) -> WorkItem:
    return replace(item, status=Status.WRAP_UP)


def _complete(item: WorkItem, _: _CommandRequest) -> WorkItem:
    return replace(item, status=Status.COMPLETED, session=None)


def _pause(item: WorkItem, asked: _CommandRequest) -> WorkItem:
    return _honouring_paused(item, asked)


FUNNEL: Final = (
    FunnelRow(update="queue:null", command="DeQueue", honours=("queue",), carry_out=_de_queue),
    FunnelRow(update="queue:id", command="Queue", honours=("queue", "paused"), carry_out=_queue),
    FunnelRow(update="assignedTo:null", command="Queue", honours=("assignedTo", "paused"), carry_out=_re_queue),
    FunnelRow(update="routed.to", command="Route", honours=("routed",), carry_out=_route),
    FunnelRow(update="accepted.by", command="Assign", honours=("accepted", "paused"), carry_out=_accept),
    FunnelRow(update="assignedTo:id", command="Assign", honours=("assignedTo", "paused"), carry_out=_assign),
    FunnelRow(update="routed.rejectedBy", command="PutBack", honours=("routed",), carry_out=_put_back),
    FunnelRow(update="routed.timedOut", command="PutBack", honours=("routed",), carry_out=_put_back),
    FunnelRow(update="status:wrap-up", command="WrapUp", honours=("status",), carry_out=_wrap_up),
    FunnelRow(update="status:completed", command="Complete", honours=("status",), carry_out=_complete),
    FunnelRow(update="paused", command="Pause", honours=("paused",), carry_out=_pause),
)
"""The rows, in order; `update` is also the name by which `COMPOSED_UPDATES` takes an update out of the funnel."""


def row_of(update: Update) -> FunnelRow | None:
    """The first row that matches; None for an update of `resume` alone, which the funnel never knew."""
    says = _said(update)
    return next((row for row in FUNNEL if row.update in says), None)


def funnel(
    item: WorkItem, update: Update, row: FunnelRow, *, context: CommandContext, now: datetime, calendar: Calendar
) -> WorkItem | Refusal:
    """The work-item after the row's command, timings included."""
    after = row.carry_out(item, _CommandRequest(update=update, context=context, now=now))
    return after if isinstance(after, Refusal) else with_timings(item, after, now=now, calendar=calendar)


def _said(update: Update) -> set[str]:
    says: set[str] = set()
    if not isinstance(update.queue, Unset):
        says.add("queue:null" if update.queue is None else "queue:id")
    if not isinstance(update.assigned_to, Unset):
        says.add("assignedTo:null" if update.assigned_to is None else "assignedTo:id")
    if not isinstance(update.routed, Unset):
        says.add(f"routed.{update.routed.kind}")
    if not isinstance(update.accepted, Unset):
        says.add("accepted.by")
    if not isinstance(update.status, Unset):
        says.add(f"status:{update.status.value}")
    if not isinstance(update.paused, Unset):
        says.add("paused")
    return says


def _released(item: WorkItem) -> WorkItem:
    return replace(item, assigned_to=None, session=None, team=None)


def _assigned(item: WorkItem, user: str, session: str | None, asked: _CommandRequest) -> WorkItem:
    placed = asked.context.session_for(user, session)
    assigned = replace(item, status=Status.ASSIGNED, assigned_to=user, accepted_by=user, session=placed)
    return _honouring_paused(assigned, asked)


def _honouring_paused(item: WorkItem, asked: _CommandRequest) -> WorkItem:
    return item if isinstance(asked.update.paused, Unset) else replace(item, paused=asked.update.paused)


def _queue_of_last_revision(item: WorkItem) -> str | None:
    """`lastRevision.queue`, an id or `{id}`, where the old system noted it."""
    named: Any = item.last_revision.other.get("queue") if item.last_revision else None
    if isinstance(named, dict):
        named = named.get("id")
    return named if isinstance(named, str) and named else None
