"""The last decisions that a worker remembers for the status page."""

import json
from typing import Any

from commands.reason import Reason, ReasonAction, ReasonCode
from handlers.drift import Drift, DriftClass, DriftEnd, FieldDrift
from sync.audit import AuditOutcome, AuditRecord
from sync.decision import SuppressedField
from sync.gates import Policy
from tests.worker.stand_ins.fake_clock import T0, FakeClock
from worker.ports.status import DECISIONS_MAX, DecisionReason, RecentDecision, WorkerReport
from worker.store.status_documents import report_fields, report_of
from worker.telemetry.status_page.decisions import RecentDecisions

WAITS = SuppressedField(field="assignee", code=ReasonCode.FIELD_WAITS, conversation_rev=3, known_rev=1)
NEWER = SuppressedField(field="queue", code=ReasonCode.CONVERSATION_IS_NEWER, conversation_rev=3, known_rev=1)


def record(outcome: AuditOutcome, key: str = "c1", **fields: Any) -> AuditRecord:
    reasons = (Reason(action=ReasonAction.SKIP_SYNC, code=ReasonCode.IN_SYNC),)
    given: dict[str, Any] = {"event": None, "trigger": "gap", "policy": Policy.CAUSAL, "reasons": reasons}
    return AuditRecord(outcome=outcome, conversation_id=key, **{**given, **fields})


async def test_what_a_person_would_look_for_is_kept() -> None:
    decisions = RecentDecisions(FakeClock())
    decisions.note(
        [
            record(AuditOutcome.APPLIED, "applied"),
            record(AuditOutcome.SKIPPED, "nothing to do"),
            record(AuditOutcome.SKIPPED, "other side newer", suppressed=(NEWER,)),
            record(AuditOutcome.SKIPPED, "waits", suppressed=(NEWER, WAITS)),
            record(AuditOutcome.REFUSED, "refused"),
            record(AuditOutcome.FAILED, "failed"),
        ]
    )
    kept = [each.conversation_id for each in decisions.decisions()]
    assert kept == ["applied", "waits", "refused", "failed"]
    assert [each.waiting_fields for each in decisions.decisions()] == [(), ("assignee",), (), ()]


async def test_a_decision_has_codes_and_names_of_fields_and_no_values() -> None:
    decisions = RecentDecisions(FakeClock())
    reason = Reason(
        action=ReasonAction.SYNC_WORK_ITEM,
        code=ReasonCode.CONVERSATION_ASSIGNED,
        meta={"rule": "B1", "policy": "causal", "message": "secret"},
    )
    decisions.note(
        [
            record(
                AuditOutcome.APPLIED,
                work_item_id="w1",
                direction="forward",
                trigger="conversation",
                reasons=(reason,),
                updated_work_item={"assignedTo": "secret", "rev": 4},
                updated_conversation={"queue": {"id": "secret"}, "rev": 9},
                before={"workItem": {"assignedTo": "secret"}},
                event={"id": "e1", "name": "kustomer.conversation.update", "rev": 9, "client": "secret"},
            )
        ]
    )
    (kept,) = decisions.decisions()
    assert kept == RecentDecision(
        at=T0,
        conversation_id="c1",
        work_item_id="w1",
        outcome="applied",
        direction="forward",
        trigger="conversation",
        reasons=(DecisionReason(action="SYNC_WORK_ITEM", code="CONVERSATION_ASSIGNED", rule="B1"),),
        conversation_fields=("queue",),
        work_item_fields=("assignedTo",),
        event="kustomer.conversation.update",
        event_rev=9,
    )
    assert "secret" not in repr(kept)


async def test_the_last_ones_are_kept() -> None:
    decisions = RecentDecisions(FakeClock())
    decisions.note(record(AuditOutcome.APPLIED, f"c{number}") for number in range(DECISIONS_MAX + 5))
    kept = decisions.decisions()
    assert [each.conversation_id for each in kept] == [f"c{number}" for number in range(5, DECISIONS_MAX + 5)]


def test_a_report_of_another_form_is_passed_over() -> None:
    assert report_of({}) is None
    assert report_of({"report": {"worker": 7}}) is None
    assert report_of({"report": {"worker": "w", "intervalS": 5, "laterField": {"x": 1}}}) is not None


def test_a_full_report_is_small() -> None:
    """It is one document a worker, which the page reads every two seconds while it is looked at."""
    decisions = RecentDecisions(FakeClock())
    reason = Reason(action=ReasonAction.SYNC_WORK_ITEM, code=ReasonCode.CONVERSATION_QUEUE_CHANGED, meta={"rule": "B8"})
    decisions.note(
        record(AuditOutcome.APPLIED, "c" * 24, work_item_id="w" * 24, reasons=(reason,) * 3)
        for _ in range(DECISIONS_MAX)
    )
    fields = report_fields(WorkerReport(worker="w" * 60, interval_s=5, decisions=decisions.decisions()))
    assert len(json.dumps(fields, default=str)) < 16_000


def test_the_last_drifts_are_kept_with_what_became_of_them() -> None:
    decisions = RecentDecisions(FakeClock())
    field = FieldDrift(
        field="assignee",
        conversation=["u-1"],
        work_item=None,
        winner=ReasonCode.CONVERSATION_IS_NEWER,
        changed_rev=2,
        known_rev=1,
    )
    drift = Drift(
        kind=DriftClass.OUT_OF_STEP, end=DriftEnd.REFUSED, conversation_id="c-1", work_item_id="w-1", fields=(field,)
    )
    decisions.note_drifts([drift] * (DECISIONS_MAX + 1))
    kept = decisions.drifts()
    assert len(kept) == DECISIONS_MAX
    assert (kept[0].at, kept[0].drift, kept[0].end, kept[0].settled) == (T0, "OUT_OF_STEP", "refused", False)
    assert (kept[0].conversation_id, kept[0].work_item_id, kept[0].fields) == ("c-1", "w-1", ("assignee",))
