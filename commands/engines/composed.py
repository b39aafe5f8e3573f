"""The composed engine: it executes an update as a sequence of small actions, chosen by update and status.

| update | ivr | queued | routed | assigned | wrap-up |
|---|---|---|---|---|---|
| `queue: null` | changeQueue | + ivr | + ivr, unroute | changeQueue | changeQueue |
| `queue: q` | changeQueue, queued | changeQueue (same: nothing) | as ivr, unroute | changeQueue | changeQueue |
| `assignedTo: null` | unassign | unassign | unassign, unroute, queued or ivr | unassign, queued or ivr | unassign |
| `assignedTo: u` | assign, assigned | the same | the same, unroute | assign (the same: a session) | assign |
| `status` | the status | the status | + unroute | the status | the status |
| `paused` | the flag | the flag | the flag | the flag | the flag |
| `resume` (B10) | – | – | – | – | assigned, else queued, else ivr |
| `routed.to: u` | `NOT_QUEUED` | route, routed | route | `NOT_QUEUED` | `NOT_QUEUED` |
| `accepted.by: u` | assign, assigned | the same | the same, unroute | assign | assign |
| `routed.rejectedBy`, `.timedOut` | `NOT_ROUTED` | the same | unroute, queued or ivr | `NOT_ROUTED` | the same |

Fields are executed in the order queue → assignedTo → status → paused. "Queued or ivr": queued where the work-item has a
queue after the update's own `queue`, else ivr. "The same: a session": if the assignee stays the same and the work-item
has no session, it takes one of theirs; nothing else changes. Where two actions set the same field, the later one wins.
Reference: docs/commands.md.
"""

from datetime import datetime
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from commands import actions
from commands.context import CommandContext
from commands.instant import format_instant
from commands.reason import Refusal, RefusalCode
from commands.timings import Calendar, enter_queue, offer_again, with_timings
from commands.update import Offer, QueueChoice, Unset, Update
from commands.work_item import Status, WorkItem

COMMAND_NAME: Final = "composedCommandParams"


class Composed(Struct, frozen=True, kw_only=True):
    """The work-item after an update, timings included.

    `actions`: the names of the actions that changed it. `ignored`: what the update asked for and the work-item, in its
    status, makes no use of; the names of fields in dotted form.
    """

    after: WorkItem
    actions: tuple[str, ...]
    ignored: tuple[str, ...]


def compose(
    item: WorkItem, update: Update, *, context: CommandContext, now: datetime, calendar: Calendar
) -> Composed | Refusal:
    """Execute the update on the work-item."""
    refusal = _refusal_of_entry(update, now)
    if refusal is not None:
        return refusal
    composition = _Composition(item, context, now)
    if not isinstance(update.routed, Unset):
        refusal = composition.offer(update.routed)
    if refusal is None and not isinstance(update.queue, Unset):
        refusal = composition.change_queue(update.queue)
    if refusal is not None:
        return refusal
    if not isinstance(update.assigned_to, Unset):
        composition.change_assignee(update.assigned_to)
    if not isinstance(update.accepted, Unset):
        composition.assign(update.accepted.by, update.accepted.session, named_by="accepted.workSession")
    if update.resume:
        composition.resume(closes=not isinstance(update.status, Unset))
    if not isinstance(update.status, Unset):
        composition.close(update.status)
    composition.enter_queue(update.queue)
    if not isinstance(update.paused, Unset):
        composition.pause(paused=update.paused)
    after = with_timings(
        item, composition.item, now=now, calendar=calendar, via_assigned=composition.passed_through_assigned()
    )
    return Composed(after=after, actions=tuple(composition.action_names), ignored=tuple(composition.ignored))


def _refusal_of_entry(update: Update, now: datetime) -> Refusal | None:
    """Refuse a place in the queue that nobody can have yet."""
    choice = update.queue
    if not isinstance(choice, QueueChoice) or choice.entered_at is None or choice.entered_at <= now:
        return None
    return Refusal(
        code=RefusalCode.INVALID_UPDATE,
        message=f"'queue.enteredAt' {format_instant(choice.entered_at)} is later than now, {format_instant(now)}: "
        "leave it out, or name the time at which the work-item entered the queue",
    )


class _Composition:
    """The execution of one update: the work-item before it, the work-item so far, and the actions that changed it."""

    def __init__(self, item: WorkItem, context: CommandContext, now: datetime) -> None:
        self.before = item
        self.item = item
        self.context = context
        self.now = now
        self.action_names: list[str] = []
        self.ignored: list[str] = []
        self.was_assigned = False
        self.became_assigned = False
        self.was_put_back = False
        self.was_unrouted = False

    def offer(self, offer: Offer) -> Refusal | None:
        """`routed`: offer the item to a user, or put it back."""
        if offer.kind == "to":
            if self.before.status not in (Status.QUEUED, Status.ROUTED):
                return self._refusal(RefusalCode.NOT_QUEUED, "routed.to", "queue it first")
            return self._route(offer)
        if self.before.status is not Status.ROUTED:
            return self._refusal(RefusalCode.NOT_ROUTED, f"routed.{offer.kind}", "only a routed one can be put back")
        if self.before.routed_to != offer.user:
            remedy = "only the user it was offered to can give it back"
            return self._refusal(RefusalCode.NOT_ROUTED_TO_USER, f"routed.{offer.kind}", remedy)
        self._unroute()
        self._set_status(self._queued_or_ivr())
        self.was_put_back = True
        return None

    def _route(self, offer: Offer) -> Refusal | None:
        session = self.context.session_for(offer.user, item=self.before.id, preferred=offer.session)
        if session is not None and not session.routable:
            return Refusal(
                code=RefusalCode.SESSION_LOCKED,
                message=f"'routed.to' cannot offer work-item {self.before.id} on session {session.id}, where work-item "
                f"{session.pending_item} is pending: wait until that offer ends, or name another session",
            )
        session_id = None if session is None else session.id
        self._note_session(offer.session, session_id, "routed.workSession")
        routed = actions.route(self.item, offer.user, session_id)
        if self.before.status is Status.ROUTED:
            routed = offer_again(routed, now=self.now)
        self._apply("route", routed)
        self._set_status(Status.ROUTED)
        return None

    def change_queue(self, choice: QueueChoice | None) -> Refusal | None:
        """`queue`: move the item to another queue, or take it out of its queue."""
        if choice is None:
            self._apply("changeQueue", actions.leave_queue(self.item))
            if self.before.status in (Status.QUEUED, Status.ROUTED):
                self._unroute()
                self._set_status(Status.IVR)
            return None
        queue_id = self.context.queue_id(choice)
        if isinstance(queue_id, Refusal):
            return queue_id
        if self.before.status is Status.QUEUED and self.before.queue == queue_id:
            # The item keeps its place in the same queue. Only a rule that the update names is set.
            self._apply("changeQueue", replace(self.item, rule=choice.rule or self.item.rule))
            return None
        queue = self.context.queue(queue_id)
        self._apply("changeQueue", actions.change_queue(self.item, queue_id, choice.rule, queue))
        if self.before.status in (Status.IVR, Status.ROUTED):
            self._unroute()
            self._set_status(Status.QUEUED)
        return None

    def change_assignee(self, user: str | None) -> None:
        """`assignedTo`: assign the item, or un-assign it."""
        if user is not None:
            if self.before.status is not Status.ASSIGNED or self.before.assigned_to != user:
                self.assign(user)
            elif self.before.session is None:
                session = self.context.session_id_for(user, item=self.before.id)
                self._apply("assign", actions.take_session(self.item, session))
            return
        self._apply("unassign", actions.unassign(self.item))
        self._unroute()
        if self.before.status in (Status.ROUTED, Status.ASSIGNED):
            self._set_status(self._queued_or_ivr())

    def assign(self, user: str, wanted: str | None = None, *, named_by: str = "") -> None:
        """Assign the item to a user; in wrap-up it stays there. The field `named_by` names the session `wanted`."""
        self._unroute()
        session = self.context.session_id_for(user, item=self.before.id, preferred=wanted)
        self._note_session(wanted, session, named_by)
        self._apply("assign", actions.assign(self.item, user, session))
        self.was_assigned = True
        if self.before.status is not Status.WRAP_UP:
            self._set_status(Status.ASSIGNED)

    def resume(self, *, closes: bool) -> None:
        """`resume`: from wrap-up back to assigned; to queued or ivr without an assignee.

        Back in assigned it stays on its session if that is still active, else it takes another of the assignee's. An
        update that also `closes` the item does not reach that.
        """
        if self.before.status is not Status.WRAP_UP:
            self.ignored.append("resume")
            return
        user = self.item.assigned_to
        self._set_status(Status.ASSIGNED if user else self._queued_or_ivr())
        if user and not closes:
            session = self.context.session_id_for(user, item=self.before.id, preferred=self.item.session)
            self.item = actions.take_session(self.item, session)

    def close(self, status: Status) -> None:
        """`status`: wrap-up or completed."""
        self._unroute()
        if status is Status.COMPLETED:
            self.item = actions.leave_session(self.item)
        self._set_status(status)

    def passed_through_assigned(self) -> bool:
        """Whether the update assigned the item and, after that, ended it or sent it to wrap-up."""
        return self.became_assigned and self.item.status in (Status.WRAP_UP, Status.COMPLETED)

    def enter_queue(self, choice: QueueChoice | Unset | None) -> None:
        """Give the item a new place in the queue, if it became queued or changed the queue while queued.

        Called once, after the status is final; a changed status is recorded as `setStatus`. An item that was put back
        keeps its old place.
        """
        before, status = self.before, self.item.status
        if status is not before.status:
            self.action_names.append("setStatus")
        requeued = status is Status.QUEUED and (before.status, before.queue) != (Status.QUEUED, self.item.queue)
        entered_at = choice.entered_at if isinstance(choice, QueueChoice) else None
        if requeued and not self.was_put_back:
            self._apply("enterQueue", enter_queue(self.item, now=self.now, entered_at=entered_at))
        elif entered_at is not None:
            self.ignored.append("queue.enteredAt")

    def pause(self, *, paused: bool) -> None:
        """`paused`: the flag."""
        self._apply("pause" if paused else "unpause", actions.pause(self.item, paused=paused))

    def _apply(self, name: str, item: WorkItem) -> None:
        """Keep an action's result, and its name if it changed the item."""
        if item != self.item:
            self.action_names.append(name)
            self.item = item

    def _set_status(self, status: Status) -> None:
        self.became_assigned = self.became_assigned or (self.was_assigned and status is Status.ASSIGNED)
        self.item = replace(self.item, status=status)

    def _note_session(self, wanted: str | None, taken: str | None, named_by: str) -> None:
        """Note a session that the update names and the user cannot take: it has ended, or is another user's."""
        if wanted not in (None, taken):
            self.ignored.append(named_by)

    def _unroute(self) -> None:
        """Clear the offer, once: a second time would clear the session of a new assignee."""
        if self.before.status is Status.ROUTED and not self.was_unrouted:
            self.was_unrouted = True
            self._apply("unroute", actions.unroute(self.item))

    def _queued_or_ivr(self) -> Status:
        return Status.QUEUED if self.item.queue else Status.IVR

    def _refusal(self, code: RefusalCode, field: str, remedy: str) -> Refusal:
        message = f"{field!r} does not fit work-item {self.before.id}, which is {self.before.status.value}: {remedy}"
        return Refusal(code=code, message=message)
