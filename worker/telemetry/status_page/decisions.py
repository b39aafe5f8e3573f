"""The last decisions of this process, the last drifts that its sweep found, and how many messages it gave up, kept in
memory for the worker's report (worker/sweeps/status_report.py).

An event costs one look at its audit record's outcome. The part that is shown is taken from the record only when a
report is made, and only of the records that are kept.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from commands.reason import ReasonCode
from handlers.drift import Drift, is_settled
from handlers.ports import Clock
from sync.audit import AuditOutcome, AuditRecord
from worker.ports.status import DECISIONS_MAX, DecisionReason, FoundDrift, RecentDecision
from worker.telemetry.status_page.dead_letter_counts import DeadLetterCounts


class RecentDecisions:
    """The last decisions that wrote, were refused, failed, or wait for an event."""

    def __init__(self, clock: Clock) -> None:
        """None yet. `dead_letters`: the counts of messages that were given up."""
        self.dead_letters = DeadLetterCounts(clock)
        self._clock = clock
        self._kept: deque[tuple[datetime, AuditRecord]] = deque(maxlen=DECISIONS_MAX)
        self._drifts: deque[tuple[datetime, Drift]] = deque(maxlen=DECISIONS_MAX)

    def note(self, records: Iterable[AuditRecord]) -> None:
        """Keep those of the records that a person would look for."""
        now = self._clock.now()
        self._kept.extend((now, record) for record in records if is_worth_showing(record))

    def note_drifts(self, drifts: Iterable[Drift]) -> None:
        """Keep these drifts."""
        now = self._clock.now()
        self._drifts.extend((now, drift) for drift in drifts)

    def drifts(self) -> tuple[FoundDrift, ...]:
        """The kept drifts, oldest first."""
        return tuple(_found_drift(at, drift) for at, drift in self._drifts)

    def decisions(self) -> tuple[RecentDecision, ...]:
        """The kept decisions, oldest first."""
        return tuple(_decision(at, record) for at, record in self._kept)


def is_worth_showing(record: AuditRecord) -> bool:
    """Whether the decision wrote, was refused, failed, or waits. Most events end with nothing to do."""
    # Most records end at the second condition.
    return record.outcome is not AuditOutcome.SKIPPED or (bool(record.suppressed) and bool(_waiting_fields(record)))


def _decision(at: datetime, record: AuditRecord) -> RecentDecision:
    event = record.event or {}
    return RecentDecision(
        at=at,
        conversation_id=record.conversation_id,
        work_item_id=record.work_item_id,
        outcome=record.outcome.value,
        direction=record.direction,
        trigger=record.trigger,
        reasons=tuple(
            DecisionReason(action=reason.action.value, code=reason.code.value, rule=_text(reason.meta.get("rule")))
            for reason in record.reasons
        ),
        conversation_fields=_field_names(record.updated_conversation),
        work_item_fields=_field_names(record.updated_work_item),
        waiting_fields=_waiting_fields(record),
        event=_text(event.get("name")),
        event_rev=rev if isinstance(rev := event.get("rev"), int) else None,
    )


def _found_drift(at: datetime, drift: Drift) -> FoundDrift:
    return FoundDrift(
        at=at,
        drift=drift.kind.value,
        end=drift.end.value,
        settled=is_settled(drift.end),
        conversation_id=drift.conversation_id,
        work_item_id=drift.work_item_id,
        since=drift.since,
        fields=tuple(field.field for field in drift.fields),
        detail=drift.detail,
    )


def _field_names(written: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The fields of a write; `rev` is the revision that it was written against."""
    return tuple(name for name in written or () if name != "rev")


def _waiting_fields(record: AuditRecord) -> tuple[str, ...]:
    return tuple(each.field for each in record.suppressed if each.code is ReasonCode.FIELD_WAITS)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
