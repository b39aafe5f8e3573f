"""The composed engine: actions chosen by the update and the status, strung together, resolved into one result.

| update | ivr | queued | routed | assigned | wrap-up |
|---|---|---|---|---|---|
| `queue: null` | changeQueue | + ivr | + ivr, unroute | changeQueue | changeQueue |
| `queue: q` | changeQueue, queued | changeQueue (same: nothing) | as ivr, unroute | changeQueue | changeQueue |
| `assignedTo: null` | unassign | unassign | unassign, unroute, queued or ivr | unassign, queued or ivr | unassign |
| `assignedTo: u` | assign, assigned | the same | the same, unroute | assign (the same: nothing) | assign |
| `status` | the status | the status | + unroute | the status | the status |
| `paused` | the flag | the flag | the flag | the flag | the flag |
| `resume` (B10) | – | – | – | – | assigned, else queued, else ivr |
| `routed.to: u` | `NOT_QUEUED` | route, routed | route | `NOT_QUEUED` | `NOT_QUEUED` |
| `accepted.by: u` | assign, assigned | the same | the same, unroute | assign | assign |
| `routed.rejectedBy`, `.timedOut` | `NOT_ROUTED` | the same | unroute, queued or ivr | `NOT_ROUTED` | the same |

Order: queue → assignedTo → status → paused; "queued or ivr" asks for the queue after the update's own. Where two
actions set the same field the later one stands. Source: commands.md, *The composed engine*.
"""

from datetime import datetime
from typing import Final

from msgspec.structs import replace

from commands import actions
from commands.context import CommandContext
from commands.refusal import Refusal, RefusalCode
from commands.timings import Calendar, enter_queue, with_timings
from commands.update import Offer, QueueChoice, Unset, Update
from commands.work_item import Status, WorkItem

COMMAND_NAME: Final = "composedCommandParams"


def compose(
    item: WorkItem, update: Update, *, context: CommandContext, now: datetime, calendar: Calendar
) -> tuple[WorkItem, tuple[str, ...]] | Refusal:
    """The work-item after the update, timings included, and the names of the actions that changed something."""
    work = _Work(item, context)
    refusal = work.offer(update.routed) if not isinstance(update.routed, Unset) else None
    if refusal is None and not isinstance(update.queue, Unset):
        refusal = work.queue(update.queue)
    if refusal is not None:
        return refusal
    if not isinstance(update.assigned_to, Unset):
        work.assignee(update.assigned_to)
    if not isinstance(update.accepted, Unset):
        work.accept(update.accepted.by, update.accepted.session)
    if update.resume:
        work.resume()
    if not isinstance(update.status, Unset):
        work.close(update.status)
    work.resolve(update, now)
    if not isinstance(update.paused, Unset) and update.paused is not item.paused:
        work.do("pause" if update.paused else "unpause", actions.pause(work.item, paused=update.paused))
    return with_timings(item, work.item, now=now, calendar=calendar), tuple(work.done)


class _Work:
    """One update being carried out: the item so far, and what was done to it."""

    def __init__(self, item: WorkItem, context: CommandContext) -> None:
        self.before = item
        self.item = item
        self.context = context
        self.done: list[str] = []
        self.put_back = False
        self.unrouted = False

    def do(self, name: str, item: WorkItem) -> None:
        """Take an action's result; an action that changed nothing is not told of."""
        if item != self.item:
            self.done.append(name)
            self.item = item

    def become(self, status: Status) -> None:
        self.item = replace(self.item, status=status)

    def unroute(self) -> None:
        """Off the offer, once: a second time would take an assignee's new session away."""
        if self.before.status is Status.ROUTED and not self.unrouted:
            self.unrouted = True
            self.do("unroute", actions.unroute(self.item))

    def queue(self, choice: QueueChoice | None) -> Refusal | None:
        if choice is None:
            self.do("changeQueue", actions.leave_queue(self.item))
            if self.before.status in (Status.QUEUED, Status.ROUTED):
                self.unroute()
                self.become(Status.IVR)
            return None
        queue = self.context.chosen_queue(choice)
        if isinstance(queue, Refusal):
            return queue
        if self.before.status is Status.QUEUED and self.before.queue == queue:
            # The same queue is no new place in it; a rule that the update names is taken all the same.
            self.do("changeQueue", replace(self.item, rule=choice.rule or self.item.rule))
            return None
        known = self.context.queues.get(queue)
        self.do("changeQueue", actions.change_queue(self.item, queue, choice.rule, known))
        if self.before.status in (Status.IVR, Status.ROUTED):
            self.unroute()
            self.become(Status.QUEUED)
        return None

    def assignee(self, user: str | None) -> None:
        if user is not None:
            if self.before.status is not Status.ASSIGNED or self.before.assigned_to != user:
                self._assign(user, None)
            return
        self.do("unassign", actions.unassign(self.item))
        self.unroute()
        if self.before.status in (Status.ROUTED, Status.ASSIGNED):
            self.become(self._waiting())

    def accept(self, user: str, session: str | None) -> None:
        self._assign(user, session)

    def offer(self, offer: Offer) -> Refusal | None:
        if offer.kind == "to":
            if self.before.status not in (Status.QUEUED, Status.ROUTED):
                return self._refused(RefusalCode.NOT_QUEUED, "routed.to", "queue it first")
            self.do("route", actions.route(self.item, offer.user, self.context.session_for(offer.user, offer.session)))
            self.become(Status.ROUTED)
            return None
        if self.before.status is not Status.ROUTED:
            return self._refused(RefusalCode.NOT_ROUTED, f"routed.{offer.kind}", "only a routed one can be put back")
        if self.before.routed_to != offer.user:
            remedy = "only the user it was offered to can give it back"
            return self._refused(RefusalCode.NOT_ROUTED_TO_USER, f"routed.{offer.kind}", remedy)
        self.unroute()
        self.become(self._waiting())
        self.put_back = True
        return None

    def resume(self) -> None:
        if self.before.status is Status.WRAP_UP:
            self.become(Status.ASSIGNED if self.item.assigned_to else self._waiting())

    def close(self, status: Status) -> None:
        self.unroute()
        if status is Status.COMPLETED:
            self.item = actions.leave_session(self.item)
        self.become(status)

    def resolve(self, update: Update, now: datetime) -> None:
        """What status and queue, from before to after, entail for the place in the queue: once."""
        before, status = self.before, self.item.status
        if status is not before.status:
            self.done.append("setStatus")
        requeued = status is Status.QUEUED and (before.status, before.queue) != (Status.QUEUED, self.item.queue)
        if requeued and not self.put_back:
            choice = update.queue
            entered_at = choice.entered_at if isinstance(choice, QueueChoice) else None
            self.do("enterQueue", enter_queue(self.item, now=now, entered_at=entered_at))

    def _assign(self, user: str, session: str | None) -> None:
        self.unroute()
        self.do("assign", actions.assign(self.item, user, self.context.session_for(user, session)))
        if self.before.status is not Status.WRAP_UP:
            self.become(Status.ASSIGNED)

    def _waiting(self) -> Status:
        return Status.QUEUED if self.item.queue else Status.IVR

    def _refused(self, code: RefusalCode, field: str, remedy: str) -> Refusal:
        message = f"{field!r} does not fit work-item {self.before.id}, which is {self.before.status.value}: {remedy}"
        return Refusal(code=code, message=message)
