"""The planner of an update that a client of the API sent: one work-item's update in, one plan and its result out. Pure.

The update is an outside write. The commands execute it, and the event that announces it has `isSync` false: the worker
syncs the conversation when that event comes through the queue, as after every other service's write.
"""

from collections.abc import Mapping
from typing import Any, Final, assert_never

from msgspec import Struct
from msgspec.structs import replace

from commands.engines.rollout import UpdateOrigin
from commands.execute import Applied, Refused, Unchanged, execute
from commands.reason import Reason, ReasonAction, ReasonCode, Refusal
from commands.update import QueueChoice, Unset, Update
from commands.work_item import WorkItem
from handlers.documents.stored_forms import UnreadableDocument
from handlers.events.event import Event, Malformed, RejectionCode
from handlers.events.parser import read_message
from handlers.options import PlanningContext
from handlers.planning.announcements import AnnouncementCause, new_announcement
from handlers.planning.drafts.pair_draft import PairDraft
from handlers.planning.endings import writes_of
from handlers.planning.kept_audit import kept_records
from handlers.ports import Announcement, Document, LoadRequest, Pair, Plan
from sync.audit import AuditOutcome, AuditRecord
from sync.state.reconciliation import next_rev


class UpdateRequest(Struct, frozen=True, kw_only=True):
    """An update of one work-item, and the client that sent it.

    `queue_id`: the id of the queue whose key the update names, where that queue is stored. `trace`: the trace that the
    request's headers name.
    """

    work_item_id: str
    update: Update
    origin: UpdateOrigin
    client: str | None = None
    queue_id: str | None = None
    trace: Mapping[str, Any] | None = None

    def load_request(self, conversation_id: str, *, waiting_times: bool = False) -> LoadRequest:
        """The records that the update may need: the work-item, and the sessions and queues that it names.

        `waiting_times`: the wait that the update ends is recorded with it, so that no loss of its event loses the wait.
        """
        update = self.update
        users = {
            None if isinstance(update.assigned_to, Unset) else update.assigned_to,
            None if isinstance(update.routed, Unset) else update.routed.user,
            None if isinstance(update.accepted, Unset) else update.accepted.by,
        }
        queues = {self.queue_id, update.queue.id if isinstance(update.queue, QueueChoice) else None}
        return LoadRequest(
            conversation_id=conversation_id,
            work_item_ids=frozenset({self.work_item_id}),
            users=frozenset(user for user in users if user is not None),
            queues=frozenset(queue for queue in queues if queue is not None),
            waits=() if waiting_times else None,
        )


class UpdatedWorkItem(Struct, frozen=True, kw_only=True):
    """The update is written, or changes nothing. `document`: the work-item after it."""

    document: Document
    audit: AuditRecord
    announcements: tuple[Announcement, ...] = ()


class RefusedUpdate(Struct, frozen=True, kw_only=True):
    """The commands refuse the update; nothing is written."""

    refusal: Refusal
    audit: AuditRecord


class FailedUpdate(Struct, frozen=True, kw_only=True):
    """The update could not be handled, for a reason that is not the client's; nothing is written.

    `code`: CONFLICT if a later try may succeed, else PLAN_REJECTED or STORED_DOCUMENT_UNREADABLE.
    """

    code: ReasonCode
    detail: str
    audit: AuditRecord


class NoWorkItem(Struct, frozen=True, kw_only=True):
    """No work-item with this id is stored."""


UpdateResult = UpdatedWorkItem | RefusedUpdate | FailedUpdate | NoWorkItem


class PlannedUpdate(Struct, frozen=True, kw_only=True):
    """The plan of one update, and its result once the plan is committed."""

    plan: Plan
    result: UpdatedWorkItem | RefusedUpdate | NoWorkItem


_UNCHANGED: Final = Reason(
    action=ReasonAction.UPDATE_COMMAND, code=ReasonCode.WORK_ITEM_UPDATE_CMD, meta={"unchanged": True}
)


def plan_update(
    conversation_id: str, pair: Pair, request: UpdateRequest, *, planning: PlanningContext
) -> PlannedUpdate:
    """Plan the update on the loaded pair. Raises UnreadableDocument and UnreadableRecord."""
    draft = PairDraft(conversation_id, pair)
    item = draft.stored_work_item(request.work_item_id)
    if item is None:
        return PlannedUpdate(plan=Plan(conversation_id=conversation_id), result=NoWorkItem())
    update = request.update
    executed = execute(
        item,
        update,
        context=draft.context,
        now=planning.now,
        resource_rev=None if isinstance(update.resource_rev, Unset) else update.resource_rev,
        rollout=planning.options.rollout,
        origin=request.origin,
    )
    # Before the write: the record has the revisions and the values that the update found.
    audit = _audit(draft, item, request, executed, planning=planning)
    nothing = Plan(conversation_id=conversation_id)
    match executed:
        case Refused(refusal=refusal):
            return PlannedUpdate(plan=nothing, result=RefusedUpdate(refusal=refusal, audit=audit))
        case Unchanged():
            document = draft.work_item_document(item.id)
            return PlannedUpdate(plan=nothing, result=UpdatedWorkItem(document=document, audit=audit))
        case Applied():
            announcement = _write(draft, item, executed, request, planning)
            document = draft.work_item_document(item.id)
            audit = replace(audit, written=writes_of((announcement,)))
            result = UpdatedWorkItem(document=document, audit=audit, announcements=(announcement,))
            plan = draft.plan(now=planning.now)
            if planning.options.keeps_audit:
                plan = replace(plan, audits=kept_records(conversation_id, draft.org, [audit], planning=planning))
            # The commands refuse an offer to a locked session, and another offer may come before this one is written.
            moves = tuple(replace(move, only_if_free=True) for move in plan.moves)
            return PlannedUpdate(plan=replace(plan, moves=moves), result=result)
        case _:
            assert_never(executed)


def _write(
    draft: PairDraft, item: WorkItem, applied: Applied, request: UpdateRequest, planning: PlanningContext
) -> Announcement:
    """Write the update and observe the write; its announcement.

    The state takes in what the announcing event says, so that the event changes nothing in it when it comes back.
    Raises UnreadableDocument if the worker could not read that event.
    """
    after = applied.after
    if draft.state.work_item == item.id:
        after = replace(after, rev=next_rev(item.rev, draft.state.work_item_observed, draft.state.work_item_floor))
    old, new = draft.write_work_item(item, after)
    announcement = new_announcement(
        "work-item",
        before=old,
        after=new,
        reasons=(applied.reason,),
        cause=AnnouncementCause(conversation_id=draft.conversation_id, trace=request.trace),
        planning=planning,
        is_sync=False,
    )
    draft.announce(announcement)
    event = read_message(announcement.message)
    if isinstance(event, Event):
        draft.observe(event, store_snapshot=False)
    # The publisher sets aside what is too large.
    elif isinstance(event, Malformed) and event.code is not RejectionCode.TOO_LARGE:
        raise UnreadableDocument(f"{item.id} in the store cannot be announced: {event.reason}")
    return announcement


def failed_update(
    conversation_id: str | None, request: UpdateRequest, code: ReasonCode, detail: str, *, planning: PlanningContext
) -> FailedUpdate:
    """The result of an update that could not be handled, with its audit record."""
    audit = AuditRecord(
        event=None,
        outcome=AuditOutcome.FAILED,
        trigger="api",
        policy=planning.options.policy.applied,
        reasons=(Reason(action=ReasonAction.FAULT, code=code, meta={"detail": detail}),),
        conversation_id=conversation_id,
        work_item_id=request.work_item_id,
        client=request.client,
        trace=request.trace,
    )
    return FailedUpdate(code=code, detail=detail, audit=audit)


def _reason_of(refusal: Refusal) -> Reason:
    return Reason(action=ReasonAction.UPDATE_COMMAND, code=refusal.code, meta={"message": refusal.message})


def _audit(
    draft: PairDraft,
    item: WorkItem,
    request: UpdateRequest,
    executed: Applied | Unchanged | Refused,
    *,
    planning: PlanningContext,
) -> AuditRecord:
    """The record of an executed update. Its revisions and `before` are those before the write."""
    match executed:
        case Applied(reason=why):
            outcome, reason = AuditOutcome.APPLIED, why
        case Unchanged():
            outcome, reason = AuditOutcome.SKIPPED, _UNCHANGED
        case Refused(refusal=refusal):
            outcome, reason = AuditOutcome.REFUSED, _reason_of(refusal)
        case _:
            assert_never(executed)
    conversation = draft.conversation()
    return AuditRecord(
        event=None,
        outcome=outcome,
        trigger="api",
        policy=planning.options.policy.applied,
        reasons=(reason,),
        conversation_id=draft.conversation_id,
        work_item_id=item.id,
        updated_work_item={**request.update.as_wire(), "rev": item.rev},
        before={"conversation": None, "workItem": _values(item)} if outcome is AuditOutcome.APPLIED else None,
        command=executed.command,
        conversation_rev=None if conversation is None else conversation.rev,
        work_item_rev=item.rev,
        client=request.client,
        trace=request.trace,
    )


def _values(item: WorkItem) -> dict[str, Any]:
    """The values that the fields of an update had, under their names."""
    return {
        "status": item.status.value,
        "assignedTo": item.assigned_to,
        "queue": None if item.queue is None else {"id": item.queue},
        "paused": item.paused,
        "routedTo": item.routed_to,
    }
