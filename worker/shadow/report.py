"""The report: what was compared, the differences by kind, the worst examples, and the verdict.

| verdict | when |
|---|---|
| `unsafe` | a difference is UNEXPLAINED, or more than `waits_percent_max` of the compared events would wait |
| `not-enough-evidence` | not unsafe, and something of `missing` |
| `safe` | else |
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from commands.instant import format_instant
from worker.shadow.audit_lines import AuditLine, OtherLine, StartLine, UnreadableFile, UnreadableLine
from worker.shadow.compared import ComparedLines
from worker.shadow.differences import Difference, DifferenceKind, differences_of

_SHOWN_FAULTS: Final = 10
_DETAILS_MAX: Final = 500
_UNREADABLE_PERCENT_MAX: Final = 0.1
"""A log that was cut has one broken line at each end; more than that could hide differences."""


class Verdict(StrEnum):
    """Whether it is safe to move from `shadow` to `causal`."""

    SAFE = "safe"
    UNSAFE = "unsafe"
    NOT_ENOUGH_EVIDENCE = "not-enough-evidence"


class Demands(Struct, frozen=True, kw_only=True):
    """What a verdict takes. `hours_min`: hours of the clock in which an event was compared."""

    events_min: int = 10_000
    pairs_min: int = 500
    hours_min: int = 24
    waits_percent_max: float = 5.0
    examples: int = 3


class Example(Struct, frozen=True, kw_only=True):
    """A line that differs."""

    line: AuditLine
    differences: list[Difference]


class ShadowReport:
    """Takes the lines of logs in any order; `worker started` before the lines of its process."""

    def __init__(self, demands: Demands, *, assume_shadow: bool = False) -> None:
        self.demands = demands
        self.compared = ComparedLines(assume_shadow=assume_shadow)
        self.kinds: Counter[Difference] = Counter()
        self.events_by_kind: Counter[DifferenceKind] = Counter()
        self.audit_lines = 0
        self.lines_passed_over = 0
        self.lines_unreadable = 0
        self.failed_events = 0
        self.faults: list[UnreadableLine | UnreadableFile] = []
        self.files_unreadable = 0
        self._examples: dict[DifferenceKind, list[tuple[int, int, Example]]] = {}

    def add(self, line: AuditLine | StartLine | OtherLine | UnreadableLine | UnreadableFile) -> None:
        """Note a line."""
        match line:
            case AuditLine():
                self._add_audit(line)
            case StartLine():
                self.compared.start(line)
                self.lines_passed_over += 1
            case OtherLine():
                self.lines_passed_over += 1
            case UnreadableLine():
                self.lines_unreadable += 1
                self._add_fault(line)
            case UnreadableFile():
                self.files_unreadable += 1
                self._add_fault(line)

    def _add_fault(self, fault: UnreadableLine | UnreadableFile) -> None:
        if len(self.faults) < _SHOWN_FAULTS or isinstance(fault, UnreadableFile):
            self.faults.append(fault)

    def _add_audit(self, line: AuditLine) -> None:
        self.audit_lines += 1
        if line.outcome == "failed":
            # The message is tried again, and then has a line of its own.
            self.failed_events += 1
            return
        if line.shadow is None and line.trigger not in {"conversation", "work-item"}:
            return
        self.compared.add(line)
        if line.shadow is not None:
            differences = differences_of(line)
            self._count(differences)
            for kind in {each.kind for each in differences}:
                self.events_by_kind[kind] += 1
                self._keep_example(kind, Example(line=line, differences=differences))

    def _count(self, differences: Iterable[Difference]) -> None:
        """Count the differences. Details name values, so beyond a number they are left out."""
        for each in differences:
            known = each in self.kinds or len(self.kinds) < _DETAILS_MAX
            self.kinds[each if known else replace(each, detail=None)] += 1

    def _keep_example(self, kind: DifferenceKind, example: Example) -> None:
        """Keep those with the most differences, of the same number the first."""
        kept = self._examples.setdefault(kind, [])
        entry = (len(example.differences), -self.audit_lines, example)
        if len(kept) < self.demands.examples:
            heapq.heappush(kept, entry)
        elif kept and entry[:2] > kept[0][:2]:
            heapq.heapreplace(kept, entry)

    def examples(self, kind: DifferenceKind) -> list[Example]:
        """The worst of a kind, the worst first."""
        entries = sorted(self._examples.get(kind, []), key=lambda each: each[:2], reverse=True)
        return [example for _, _, example in entries]

    @property
    def waits_percent(self) -> float:
        """The share of the compared events that would have waited."""
        events = self.compared.evidence.events
        return 100 * self.events_by_kind[DifferenceKind.WAITS] / events if events else 0.0

    @property
    def verdict(self) -> Verdict:
        """Whether it is safe."""
        if any(True for _ in self.objections()):
            return Verdict.UNSAFE
        return Verdict.NOT_ENOUGH_EVIDENCE if any(True for _ in self.missing()) else Verdict.SAFE

    def objections(self) -> Iterator[str]:
        """What makes it unsafe."""
        unexplained = self.events_by_kind[DifferenceKind.UNEXPLAINED]
        if unexplained:
            yield f"{unexplained:,} events with a difference that docs/rules.md does not explain: report the examples"
        if self.waits_percent > self.demands.waits_percent_max and not self._few_events:
            yield (
                f"{self.waits_percent:.1f} % of the events would have waited, more than "
                f"{self.demands.waits_percent_max:g} %: events come late or not at all; run routing-sync doctor"
            )

    @property
    def _few_events(self) -> bool:
        return self.compared.evidence.events < self.demands.events_min

    def missing(self) -> Iterator[str]:
        """What a verdict lacks."""
        demands, evidence = self.demands, self.compared.evidence
        if not self.audit_lines:
            yield "no audit line: read the standard output of the workers"
        elif not evidence.events:
            yield "no line of a worker under SYNC_POLICY=shadow"
        if self._few_events:
            yield f"{evidence.events:,} events compared, at least {demands.events_min:,} wanted (--min-events)"
        if evidence.pairs.count < demands.pairs_min:
            yield f"{evidence.pairs.count:,} pairs, at least {demands.pairs_min:,} wanted (--min-pairs)"
        if evidence.hours < demands.hours_min:
            yield f"events of {evidence.hours} hours, at least {demands.hours_min} wanted (--min-hours)"
        if self.compared.unknown_policy:
            yield (
                f"{self.compared.unknown_policy:,} lines are of legacy or of shadow, the log does not say which: name "
                "the files oldest first, add the line 'worker started' of each process, or --assume-shadow if none ran "
                "legacy"
            )
        total = self.audit_lines + self.lines_unreadable
        if 100 * self.lines_unreadable > _UNREADABLE_PERCENT_MAX * total:
            yield f"{self.lines_unreadable:,} of {total:,} audit lines cannot be read: fetch the log again"
        if self.files_unreadable:
            yield f"{self.files_unreadable} files cannot be read to their end"


def example_wire(example: Example) -> dict[str, Any]:
    """An example as data: where it happened, the values before, what `legacy` wrote and what `causal` would have."""
    line, causal = example.line, example.line.shadow
    assert causal is not None, "an example differs"
    return {
        "conversationId": line.conversation_id,
        "workItemId": line.work_item_id,
        "time": format_instant(line.time),
        "event": None if line.event is None else {"id": line.event.id, "name": line.event.name, "rev": line.event.rev},
        "before": line.before,
        "legacy": {
            "outcome": line.outcome,
            "updatedConversation": line.updated_conversation,
            "updatedWorkItem": line.updated_work_item,
            "codes": [reason.code for reason in line.reasons],
        },
        "causal": {
            "outcome": causal.outcome,
            "updatedConversation": causal.updated_conversation,
            "updatedWorkItem": causal.updated_work_item,
            "codes": [reason.code for reason in causal.reasons],
            "suppressed": [f"{each.field} {each.code}" for each in causal.suppressed],
        },
        "differences": [difference_wire(each) for each in example.differences],
    }


def difference_wire(difference: Difference) -> dict[str, Any]:
    """A difference as data."""
    return {
        "kind": difference.kind.value,
        "field": difference.field,
        "direction": difference.direction,
        "legacyRule": difference.legacy_rule,
        "causalRule": difference.causal_rule,
        "code": difference.code,
        **({} if difference.detail is None else {"detail": difference.detail}),
    }


def report_wire(report: ShadowReport) -> dict[str, Any]:
    """The report as data: the verdict and the figures."""
    evidence = report.compared.evidence
    return {
        "verdict": report.verdict.value,
        "objections": list(report.objections()),
        "missing": list(report.missing()),
        "compared": {
            "events": evidence.events,
            "differing": evidence.differing_events,
            "pairs": evidence.pairs.count,
            "pairsExact": evidence.pairs.is_exact,
            "from": None if evidence.first is None else format_instant(evidence.first),
            "to": None if evidence.last is None else format_instant(evidence.last),
            "hours": evidence.hours,
            "versions": dict(evidence.versions),
            "waitsPercent": round(report.waits_percent, 2),
        },
        "lines": {
            "audit": report.audit_lines,
            "failed": report.failed_events,
            "unknownPolicy": report.compared.unknown_policy,
            "otherPolicies": dict(report.compared.other_policies),
            "unreadable": report.lines_unreadable,
            "passedOver": report.lines_passed_over,
        },
        "events": {kind.value: report.events_by_kind[kind] for kind in DifferenceKind},
    }
