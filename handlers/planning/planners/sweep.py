"""The planner of the sweep: a pair as it is stored in, its drift and the plan of the repair out. Pure.

The sweep looks at a pair whose documents were last written before the watermark: every event of them was delivered or
lost. It repairs through the reconcile of policy `causal`, as the gap poll does. Source: docs/rules.md, *The sweep*.

The times of writing come from the clocks of other services. What was written a short time ago is therefore not repaired
at once: where an event may be missing, the pair waits for it from now on, by SQS's clock.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from commands.session import SessionMove, apply_moves
from commands.work_item import Status, WorkItem
from handlers.documents.stored_forms import UnreadableDocument
from handlers.drift import Drift, DriftClass, DriftEnd, FieldDrift, LeftAlone, SweepLimits, SweptPair, told_drift
from handlers.options import PlanningContext, PolicyInUse
from handlers.planning.announcements import AnnouncementCause
from handlers.planning.drafts.swept_draft import SweptDraft
from handlers.planning.endings import PairAsRead, eventless_audit, outcome_of, routed_audit
from handlers.planning.field_drifts import field_drifts
from handlers.planning.kept_audit import kept_records
from handlers.planning.pair_view import PairView
from handlers.planning.routing_step import route_pair
from handlers.planning.routing_writes import RoutedPair
from handlers.planning.session_places import Placements, moves_to_places, placements_of
from handlers.ports import Announcement, Pair, Plan
from handlers.routing.creation import is_routable
from sync.audit import AuditOutcome, AuditRecord
from sync.conversation import Conversation, ConversationStatus
from sync.decision import PairDecision
from sync.state.agreement import all_agree
from sync.state.stored_pair import fields_changed_by_hand, is_stored_pair_observed
from sync.state.sync_state import SyncState

_OF_ROUTING: Final = (DriftClass.NO_WORK_ITEM, DriftClass.NEVER_QUEUED)


class PlannedSweep(Struct, frozen=True, kw_only=True):
    """A pair's plan, and its drift as it is once the plan is committed; None: there is none, and the plan is empty.

    `left_alone`: why a pair that differs was not judged; None: it was judged, or its records agree.
    """

    plan: Plan
    swept: SweptPair | None = None
    left_alone: LeftAlone | None = None


def plan_sweep(
    conversation_id: str, pair: Pair, *, limits: SweepLimits, placements: Placements, planning: PlanningContext
) -> PlannedSweep:
    """Look for drift in a loaded pair and plan its repair.

    A pair that waits is left to the gap poll: one that waits since the watermark or later, and under `causal` any that
    was written a short time ago. One that was written since the watermark is left to a later sweep.
    `placements`: of the sessions in the pair's context. Raises UnreadableDocument.
    """
    if pair.unreadable is not None:
        raise UnreadableDocument(pair.unreadable)
    return _SweepPlanner(conversation_id, pair, limits, placements, planning).plan()


class _SweepPlanner:
    def __init__(
        self,
        conversation_id: str,
        pair: Pair,
        limits: SweepLimits,
        placements: Placements,
        planning: PlanningContext,
    ) -> None:
        self._id = conversation_id
        self._pair = pair
        self._before: SyncState = pair.state
        self._draft = SweptDraft(conversation_id, pair)
        if pair.latest_work_item is not None:
            self._draft.drop_latest_unless_in_flight(planning)
        self._limits = limits
        self._counted = pair.state
        self._placements = placements
        self._planning = planning

    def plan(self) -> PlannedSweep:
        why = self._why_left_alone()
        judged = self._judged()
        if why is None or judged.swept is None:
            return judged
        return self._left_alone(judged.swept.drift.kind, why)

    def _left_alone(self, kind: DriftClass, why: LeftAlone) -> PlannedSweep:
        # Where the records agree, an event in flight is as usual, and nothing is left to say.
        differs = kind is not DriftClass.UNOBSERVED
        return PlannedSweep(plan=Plan(conversation_id=self._id), left_alone=why if differs else None)

    def _why_left_alone(self) -> LeftAlone | None:
        """Why an event of the pair may be in flight; None: every one was delivered or lost."""
        waiting, watermark = self._before.waiting, self._limits.watermark
        if waiting is not None and waiting.since >= watermark:
            return LeftAlone.WAITS
        times = map(self._time_of_writing, (self._draft.conversation(), *self._draft.work_items()))
        return LeftAlone.WRITTEN if any(time is not None and time >= watermark for time in times) else None

    def _judged(self) -> PlannedSweep:
        draft = self._draft
        conversation, item = draft.conversation(), draft.latest_item()
        if conversation is None:
            if item is None or not item.active:
                return self._nothing()
            conversation = draft.note_conversation_removed()
            if conversation is None:
                detail = "the store never had its conversation"
                told = told_drift(
                    DriftClass.NO_CONVERSATION, self._id, work_item_id=item.id, since=item.updated_at, detail=detail
                )
                return PlannedSweep(plan=Plan(conversation_id=self._id), swept=told)
        return self._reconciled(conversation, item)

    def _reconciled(self, conversation: Conversation, item: WorkItem | None) -> PlannedSweep:
        draft = self._draft
        by_hand = bool(fields_changed_by_hand(draft.state, conversation))
        observed = self._is_observed(conversation, item)
        if observed and not by_hand and not draft.is_restored and _is_in_step(conversation, item):
            # Most pairs end here.
            return self._placed(conversation, item)
        decided = self._decided(conversation, item)
        applies = decided is not None and decided.decision.applies
        kind = self._kind(conversation, by_hand=by_hand, observed=observed, applies=applies)
        return self._placed(conversation, item) if kind is None else self._drifted(kind, conversation, item, decided)

    def _decided(self, conversation: Conversation, item: WorkItem | None) -> PairDecision | None:
        """The decision on the pair with every stored revision observed; None: there is no pair."""
        draft = self._draft
        draft.count_stored_as_observed(conversation, item, self._limits.watermark)
        self._counted = draft.state
        view = replace(PairView.of(draft, before=self._before, planning=self._planning), item=item)
        if view.closed_gate(None) is None:
            return view.decide(None, ())
        draft.note_no_pair()
        return None

    @property
    def _cause(self) -> AnnouncementCause:
        return AnnouncementCause(conversation_id=self._id)

    def _is_observed(self, conversation: Conversation, item: WorkItem | None) -> bool:
        """Whether the stored revisions were observed, and nothing waits. A pair without a state has no history."""
        before = self._before
        if before.waiting is not None:
            return False
        return before.version == 0 or is_stored_pair_observed(before, conversation, item)

    def _drifted(
        self,
        kind: DriftClass,
        conversation: Conversation,
        item: WorkItem | None,
        decided: PairDecision | None,
    ) -> PlannedSweep:
        """The drift with the plan of its repair. `decided` None: there is no pair to decide."""
        if self._may_be_in_flight(conversation, item):
            return self._waiting(kind, conversation, item, decided)
        draft, planning = self._draft, self._planning
        drift = Drift(
            kind=kind,
            end=DriftEnd.REPAIRED,
            conversation_id=self._id,
            work_item_id=None if item is None else item.id,
            since=_since((conversation, item)),
        )
        audit: AuditRecord | None = None
        announcements: tuple[Announcement, ...] = ()
        pair = PairAsRead(conversation=conversation, item=item)
        if decided is not None and item is not None:
            refused = outcome_of(decided) is AuditOutcome.REFUSED
            drift = replace(
                drift,
                end=DriftEnd.REFUSED if refused else DriftEnd.REPAIRED,
                fields=field_drifts(draft.state, conversation, item, decided),
                conversation_fields=decided.decision.conversation_fields,
                work_item_fields=decided.decision.work_item_fields,
                detail=decided.audited.reasons[-1].code if refused else None,
            )
            announcements = draft.apply(decided, item, self._cause, planning)
            audit = eventless_audit(
                self._id, decided, announcements, trigger="sweep", options=planning.options, pair=pair
            )
        routed = None if drift.end is DriftEnd.REFUSED else self._routed(draft.conversation())
        if routed is not None:
            drift = drift.also_writing(
                routed.conversation_fields,
                routed.work_item_fields,
                routed.work_item_id,
                creates=routed.work_item_id is not None and routed.work_item_rev is None,
            )
            announcements = (*announcements, *routed.announcements)
            audit = routed_audit(self._id, audit, routed, trigger="sweep", options=planning.options, pair=pair)
        elif kind in _OF_ROUTING:
            # Nothing was written: no rule names a queue.
            swept = SweptPair(drift=replace(drift, end=DriftEnd.TOLD))
            return PlannedSweep(plan=Plan(conversation_id=self._id), swept=swept)
        plan, moves = self._with_places(draft.plan(now=planning.now))
        if planning.options.keeps_audit and audit is not None and not plan.empty:
            plan = replace(plan, audits=kept_records(self._id, draft.org, [audit], planning=planning))
        swept = SweptPair(drift=replace(drift, moves=moves), audit=audit, announcements=announcements)
        return PlannedSweep(plan=plan, swept=swept)

    def _routed(self, conversation: Conversation | None) -> RoutedPair | None:
        """Routing's writes for a pair that is reconciled, as an event would cause them; None: there are none."""
        draft = self._draft
        if conversation is None or draft.state.waiting is not None:
            return None

        def decide_again() -> tuple[PairDecision, WorkItem | None]:
            after = PairView.of(draft, before=self._before, planning=self._planning)
            return after.decide(None, ()), after.item

        return route_pair(draft, self._cause, state=self._counted, planning=self._planning, decide_again=decide_again)

    def _may_be_in_flight(self, conversation: Conversation, item: WorkItem | None) -> bool:
        """Whether the event of an unobserved revision may be in flight, if the clock of its writer is wrong or tells
        no time."""
        before, limits = self._before, self._limits
        if limits.certain_before >= limits.watermark:
            # The caller says that nothing is in flight.
            return False
        if before.version > 0 and is_stored_pair_observed(before, conversation, item):
            return False
        stored = (conversation if self._draft.conversation_document is not None else None, item)
        times = [self._time_of_writing(record) for record in stored if record is not None]
        return any(time is None or time >= limits.certain_before for time in times)

    def _time_of_writing(self, record: Conversation | WorkItem | None) -> datetime | None:
        """The record's time of writing; None where it is unknown. A time far ahead is none, for a pair would be left
        alone until then."""
        time, limits = None if record is None else record.updated_at, self._limits
        latest = max(limits.watermark, self._planning.queue_now) + (limits.watermark - limits.certain_before)
        return None if time is None or time > latest else time

    def _waiting(
        self, kind: DriftClass, conversation: Conversation, item: WorkItem | None, decided: PairDecision | None
    ) -> PlannedSweep:
        """The drift of a pair that waits for its events from now on, by SQS's clock; none of one that waits already."""
        waiting = SweptDraft(self._id, self._pair)
        if waiting.state.waiting is not None and self._planning.options.policy is PolicyInUse.CAUSAL:
            # The gap poll has not come by yet. It lets the pair wait anew for what was written meanwhile.
            return self._left_alone(kind, LeftAlone.WAITS)
        waiting.wait_for_stored(conversation, item, self._planning.queue_now)
        fields: tuple[FieldDrift, ...] = ()
        if decided is not None and item is not None:
            fields = field_drifts(self._draft.state, conversation, item, decided)
        drift = Drift(
            kind=kind,
            end=DriftEnd.WAITS,
            conversation_id=self._id,
            work_item_id=None if item is None else item.id,
            since=_since((conversation, item)),
            fields=fields,
        )
        return PlannedSweep(plan=waiting.plan(now=self._planning.now), swept=SweptPair(drift=drift))

    def _placed(self, conversation: Conversation, item: WorkItem | None) -> PlannedSweep:
        """A pair in step: its work-items' places on sessions, and how long it has been in ivr."""
        plan, moves = self._with_places(Plan(conversation_id=self._id))
        if not moves:
            return self._left_out(conversation, item)
        if self._before.version == 0:
            # The plan writes a state, which then has to know what is stored.
            return self._drifted(DriftClass.SESSION_PLACE, conversation, item, self._decided(conversation, item))
        drift = Drift(
            kind=DriftClass.SESSION_PLACE,
            end=DriftEnd.REPAIRED,
            conversation_id=self._id,
            work_item_id=moves[0].work_item,
            since=_since((conversation, item)),
            moves=moves,
        )
        return PlannedSweep(plan=plan, swept=SweptPair(drift=drift))

    def _with_places(self, plan: Plan) -> tuple[Plan, tuple[SessionMove, ...]]:
        """The plan with the moves of the pair's work-items to the places that they say they have; the moves. A plan
        with moves writes the state, whose version keeps other writers of the pair away."""
        draft = self._draft
        sessions, placements = draft.context.sessions, self._placements
        if plan.moves:
            sessions = {**sessions, **apply_moves(sessions, plan.moves)}
            placements = placements_of(sessions.values())
        moves = moves_to_places(draft.work_items(), placements, sessions)
        if not moves:
            return plan, ()
        state = plan.state or replace(self._before, version=self._before.version + 1)
        return replace(plan, moves=(*plan.moves, *moves), state=state), moves

    def _kind(self, conversation: Conversation, *, by_hand: bool, observed: bool, applies: bool) -> DriftClass | None:
        if self._draft.is_restored:
            return DriftClass.RESTORED
        if applies and (conversation.deleted or conversation.status is ConversationStatus.DONE):
            return DriftClass.CLOSED_CONVERSATION
        if by_hand:
            return DriftClass.CHANGED_BY_HAND
        if applies:
            return DriftClass.OUT_OF_STEP
        return None if observed else DriftClass.UNOBSERVED

    def _unrouted(self, conversation: Conversation, item: WorkItem | None) -> DriftClass | None:
        """The drift of a pair in step that routing has left out."""
        options = self._planning.options
        if is_routable(conversation) and not self._draft.has_active_work_item():
            is_stored = self._draft.conversation_document is not None
            return DriftClass.NO_WORK_ITEM if options.create_work_items and is_stored else None
        is_open = conversation.status is ConversationStatus.OPEN and not conversation.deleted
        if item is None or not is_open or item.status is not Status.IVR or item.queued_count or item.paused:
            return None
        # By its time of writing, so that the sweep meets the work-item once, when its time in ivr is over.
        deadline = self._limits.watermark - timedelta(seconds=options.ivr_seconds)
        is_young = item.updated_at is not None and item.updated_at >= deadline
        return None if is_young else DriftClass.NEVER_QUEUED

    def _left_out(self, conversation: Conversation, item: WorkItem | None) -> PlannedSweep:
        """A pair in step: what routing has left out, or nothing."""
        kind = self._unrouted(conversation, item)
        if kind is None:
            return self._nothing()
        if self._planning.options.routes:
            return self._drifted(kind, conversation, item, self._decided(conversation, item))
        entered_at = item.ivr.entered_at if item is not None and item.ivr is not None else None
        since = entered_at or _since((item,))
        told = told_drift(kind, self._id, work_item_id=None if item is None else item.id, since=since)
        return PlannedSweep(plan=Plan(conversation_id=self._id), swept=told)

    def _nothing(self) -> PlannedSweep:
        return PlannedSweep(plan=Plan(conversation_id=self._id))


def _is_in_step(conversation: Conversation, item: WorkItem | None) -> bool:
    """Whether both records agree on every field, or are no pair."""
    if item is None:
        return True
    if item.active:
        return not conversation.deleted and all_agree(conversation, item)
    return conversation.deleted or conversation.status is ConversationStatus.DONE


def _since(records: Iterable[Conversation | WorkItem | None]) -> datetime | None:
    times = (record.updated_at for record in records if record is not None)
    return max((time for time in times if time is not None), default=None)
