"""The outside writes of routing: un-assigning, creating, queueing. They are planned after the pair is reconciled.

Each write goes into the draft with its announcement, which is no sync. The sync state observes it as it will observe
the announcement when that comes back through the queue, which then is a duplicate.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from commands.engines.rollout import UpdateOrigin
from commands.execute import Applied, CommandRecord, execute
from commands.reason import Reason, ReasonAction, ReasonCode
from commands.update import QueueChoice, Update
from commands.work_item import Status, WorkItem
from handlers.documents.document import rev_of
from handlers.documents.document_mapping import conversation_of
from handlers.options import Options, PlanningContext, PolicyInUse
from handlers.planning.announcements import AnnouncementCause, new_announcement
from handlers.planning.drafts.pair_draft import PairDraft
from handlers.ports import Announcement, Document
from handlers.routing.creation import (
    Assignment,
    Reopening,
    assignment_of,
    created_work_item,
    is_routable,
    reopening_of,
)
from handlers.routing.queue_rules import RuleHit, first_hit
from sync.conversation import FIELDS, Conversation, ConversationStatus
from sync.decision import PairDecision
from sync.gates import Side
from sync.state.agreement import shared_values, work_item_values
from sync.state.observation import Observation, observe
from sync.state.reconciliation import next_rev
from sync.state.sync_state import SyncState


class RoutedPair(Struct, kw_only=True):
    """The outside writes of one plan, for the audit record.

    `decided`: the decision on the pair after these writes.
    `conversation_before`, `work_item_before`: the values that the written fields had; None where nothing was written,
    and for a new work-item. `work_item_rev`: the revision before the write; None for a new work-item.
    """

    reasons: tuple[Reason, ...] = ()
    conversation_fields: Mapping[str, Any] | None = None
    conversation_before: Mapping[str, Any] | None = None
    work_item_id: str | None = None
    work_item_fields: Mapping[str, Any] | None = None
    work_item_before: Mapping[str, Any] | None = None
    work_item_rev: int | None = None
    command: CommandRecord | None = None
    announcements: tuple[Announcement, ...] = ()
    decided: PairDecision | None = None


class RoutingWriter:
    """Plans the outside writes of one conversation."""

    def __init__(self, draft: PairDraft, cause: AnnouncementCause, planning: PlanningContext) -> None:
        self._draft = draft
        self._cause = cause
        self._planning = planning
        self.routed = RoutedPair()

    def create(self, state: SyncState) -> None:
        """Create the work-item of a routable conversation that has none.

        `state`: the sync state before the pair was reconciled, which says whether the conversation was re-opened. If it
        does not say yet, the creation waits, as a field does.
        """
        draft, planning = self._draft, self._planning
        conversation = draft.conversation()
        if conversation is None or not is_routable(conversation) or draft.has_active_work_item():
            return
        if draft.conversation_document is None:
            return
        assignment = assignment_of(conversation, draft.context, _reopening(state, conversation, planning.options))
        if assignment is None:
            draft.wait(queue_now=planning.queue_now)
            return
        if assignment.unassigned:
            self._unassign(conversation, assignment)
        self._create(assignment)

    def _unassign(self, conversation: Conversation, assignment: Assignment) -> None:
        draft = self._draft
        fields: dict[str, Any] = {"assignedUsers": []}
        before, after = draft.write_conversation(fields, now=self._planning.now)
        written = conversation_of(after)
        draft.state = observe(
            draft.state,
            Observation(
                side="conversation",
                rev=written.rev,
                is_sync=False,
                changed_fields=frozenset({"assignee"}),
                values=shared_values(written),
            ),
        )
        meta = {"conversationRev": conversation.rev, "users": list(assignment.unassigned)}
        reason = Reason(action=ReasonAction.UNASSIGN_CONVERSATION, code=ReasonCode.USER_UNAVAILABLE, meta=meta)
        self._announce("conversation", before, after, (reason,))
        self.routed.conversation_fields = fields
        self.routed.conversation_before = {"assignedUsers": list(conversation.assigned_users)}

    def _create(self, assignment: Assignment) -> None:
        draft, planning = self._draft, self._planning
        document = draft.conversation_document
        assert document is not None, "only a stored conversation gets a work-item"
        created = created_work_item(
            document,
            key=planning.ids.new(),
            revision_id=planning.ids.new(),
            number=draft.next_work_item_number(),
            assignee=assignment.assignee,
            queue=conversation_of(document).queue,
            context=draft.context,
            now=planning.now,
        )
        item, rev = created.item, rev_of(document)
        draft.add_work_item(item, created.document)
        draft.state = observe(
            draft.state,
            Observation(
                side="work-item",
                rev=item.rev,
                is_sync=False,
                changed_fields=frozenset(FIELDS),
                known_conversation_rev=rev,
                creation=True,
                work_item=item.id,
                work_item_number=item.number,
            ),
        )
        meta = {"conversationRev": rev}
        reason = Reason(action=ReasonAction.CREATE_WORK_ITEM, code=ReasonCode.CONVERSATION_ROUTABLE, meta=meta)
        self._announce("work-item", None, created.document, (reason,))
        self.routed.work_item_id = item.id
        self.routed.work_item_fields = _created_fields(item)

    def queue(self) -> None:
        """Queue the active work-item that is ivr and was never queued, by the org's rules. If the commands refuse, it
        stays as it is.

        A work-item that was queued and came back to ivr was taken out of its queue by somebody: rules leave it alone.
        """
        draft, planning = self._draft, self._planning
        item, conversation, document = draft.pair_item(), draft.conversation(), draft.conversation_document
        if item is None or conversation is None or document is None or not _is_unqueued(item, conversation):
            return
        rules = planning.queue_rules.get(document.get("org") or "")
        hit = None if rules is None else first_hit(rules, document["attributes"])
        if rules is None or hit is None:
            return
        update = Update(queue=QueueChoice(id=hit.queue, rule=hit.rule))
        result = execute(
            item,
            update,
            context=replace(draft.context, queues={**draft.context.queues, **rules.queues}),
            now=planning.now,
            resource_rev=rev_of(document),
            rollout=planning.options.rollout,
            origin=UpdateOrigin.ROUTER,
        )
        if isinstance(result, Applied):
            self._queued(item, result, update.as_wire(), hit, rev_of(document))

    def _queued(
        self, item: WorkItem, result: Applied, fields: Mapping[str, Any], hit: RuleHit, conversation_rev: int
    ) -> None:
        draft = self._draft
        rev = next_rev(item.rev, draft.state.work_item_observed, draft.state.work_item_floor)
        before, after = draft.write_work_item(item, replace(result.after, rev=rev))
        old, new = work_item_values(item), work_item_values(result.after)
        draft.state = observe(
            draft.state,
            Observation(
                side="work-item",
                rev=rev,
                is_sync=False,
                changed_fields=frozenset([name for name in FIELDS if old[name] != new[name]]),
                known_conversation_rev=conversation_rev,
                work_item=item.id,
                work_item_number=item.number,
            ),
        )
        code = ReasonCode.QUEUE_DEFAULT if hit.rule is None else ReasonCode.QUEUE_RULES_HIT
        meta = {"conversationRev": conversation_rev}
        reason = Reason(action=ReasonAction.QUEUE_WORK_ITEM, code=code, meta=meta)
        self._announce("work-item", before, after, (reason, result.reason))
        routed = self.routed
        if routed.work_item_id is None:
            routed.work_item_id, routed.work_item_rev = item.id, item.rev
            routed.work_item_before = {"queue": None if item.queue is None else {"id": item.queue}}
        routed.work_item_fields = {**(routed.work_item_fields or {}), **fields}
        routed.command = result.command

    def _announce(self, side: Side, before: Document | None, after: Document, reasons: tuple[Reason, ...]) -> None:
        announcement = new_announcement(
            side,
            before=before,
            after=after,
            reasons=reasons,
            cause=self._cause,
            planning=self._planning,
            is_sync=False,
        )
        self._draft.announce(announcement)
        self.routed.announcements += (announcement,)
        self.routed.reasons += reasons


def _reopening(state: SyncState, conversation: Conversation, options: Options) -> Reopening:
    if not options.unassign_on_unavailable:
        return Reopening.NO
    reopening = reopening_of(state, conversation)
    if reopening is Reopening.UNDECIDED and options.policy is not PolicyInUse.CAUSAL:
        # Under the other policies nothing waits.
        return Reopening.NO
    return reopening


def _is_unqueued(item: WorkItem, conversation: Conversation) -> bool:
    """Whether queue rules look at the work-item: ivr, of nobody, and never queued; its conversation neither done nor
    deleted."""
    is_closed = conversation.deleted or conversation.status is ConversationStatus.DONE
    return item.status is Status.IVR and item.assigned_to is None and not item.queued_count and not is_closed


def _created_fields(item: WorkItem) -> dict[str, Any]:
    fields: dict[str, Any] = {"status": item.status.value}
    if item.assigned_to is not None:
        fields["assignedTo"] = item.assigned_to
    if item.queue is not None:
        fields["queue"] = {"id": item.queue}
    return fields
