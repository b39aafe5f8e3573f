"""All findings of a timeline, in the order of a report."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from msgspec.structs import replace

from worker.investigate.timeline.findings.assigned_without_queue import assigned_without_queue
from worker.investigate.timeline.findings.bounces import bounces
from worker.investigate.timeline.findings.completed_without_agent import completed_without_agent
from worker.investigate.timeline.findings.dropped_fields import dropped_fields
from worker.investigate.timeline.findings.facts import TimelineFacts
from worker.investigate.timeline.findings.out_of_step import out_of_step
from worker.investigate.timeline.findings.overwrites import overwrites
from worker.investigate.timeline.timeline import (
    FindingKind,
    OpenQuestion,
    Timeline,
    TimelineFinding,
    TimelineLimits,
)

_KINDS: Final = list(FindingKind)
_LATEST: Final = datetime.max.replace(tzinfo=UTC)


def with_findings(timeline: Timeline, limits: TimelineLimits) -> Timeline:
    """The timeline with its findings and its open questions: by kind, and of a kind by time."""
    facts = TimelineFacts(timeline)
    found: Iterable[TimelineFinding | OpenQuestion] = (
        *overwrites(facts, limits),
        *out_of_step(facts, limits),
        *assigned_without_queue(facts),
        *completed_without_agent(facts),
        *dropped_fields(facts),
        *bounces(facts, limits),
    )
    findings = [each for each in found if isinstance(each, TimelineFinding)]
    findings.sort(key=lambda each: (_KINDS.index(each.kind), each.since or _LATEST))
    questions = [each for each in found if isinstance(each, OpenQuestion)]
    questions.sort(key=lambda each: _KINDS.index(each.kind))
    return replace(timeline, findings=tuple(findings), questions=tuple(questions))
