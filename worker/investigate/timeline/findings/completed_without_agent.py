"""Work-items that were completed without the agent that their conversation had: `COMPLETED_WITHOUT_AGENT`."""

from collections.abc import Iterator

from worker.investigate.timeline.entry import TimelineEntry
from worker.investigate.timeline.findings.facts import TimelineFacts
from worker.investigate.timeline.timeline import FindingKind, OpenQuestion, TimelineFinding, cite


def completed_without_agent(facts: TimelineFacts) -> Iterator[TimelineFinding | OpenQuestion]:
    """The finding of each work-item, or the question where the conversation then is not captured."""
    for item in facts.timeline.work_items:
        for place in facts.entries_of(item):
            entry = facts.entries[place]
            if _completes(entry) and entry.state is not None and not entry.state.assignees:
                yield from _judged(facts, place, entry)
                break


def _completes(entry: TimelineEntry) -> bool:
    return entry.state is not None and entry.state.closed and (entry.before is None or not entry.before.closed)


def _judged(facts: TimelineFacts, place: int, entry: TimelineEntry) -> Iterator[TimelineFinding | OpenQuestion]:
    conversation_id = facts.timeline.conversation_id
    last = facts.last_entry(conversation_id, place)
    told = None if last is None else facts.entries[last]
    compared = facts.known_rev(place)
    later = (
        None if compared is None else facts.missing_between(conversation_id, (told.rev if told else 0) + 1, compared)
    )
    if told is None or told.state is None or later is not None:
        yield OpenQuestion(
            kind=FindingKind.COMPLETED_WITHOUT_AGENT,
            text=f"{facts.named(entry)} completed the work-item unassigned: whether its conversation had an agent "
            "then, the capture does not show.",
            field="assignee",
            evidence=(cite(entry, "completed it"),),
            missing=(later or "the conversation's revisions before it",),
        )
        return
    if told.state.deleted or not told.state.assignees:
        # Of a deleted conversation the work-item is completed and nothing else (docs/rules.md, rule B9).
        return
    assigned = facts.last_change(conversation_id, "assignee", place)
    by = "" if assigned is None else f", by {facts.named(facts.entries[assigned])}"
    evidence = [cite(entry, "completed it unassigned"), cite(told, "the conversation then")]
    if assigned is not None and assigned != last:
        evidence.append(cite(facts.entries[assigned], "assigned the conversation"))
    yield TimelineFinding(
        kind=FindingKind.COMPLETED_WITHOUT_AGENT,
        text=f"{facts.named(entry)} completed the work-item unassigned, and its conversation was assigned to "
        f"{', '.join(told.state.assignees)} at {facts.label(told)}{by}: reports count the work-item to nobody.",
        field="assignee",
        since=entry.at,
        until=None,
        evidence=tuple(evidence),
    )
