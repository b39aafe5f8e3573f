"""A timeline in words, for the terminal and for a ticket. The words hold ids and texts as they were captured: whoever
prints them makes them harmless for its medium."""

import json
from collections import deque
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import PurePath
from typing import Any, Final

from commands.instant import format_instant
from sync.gates import Side
from worker.investigate.timeline.entry import AuditEntry, EntryReason, TimelineEntry
from worker.investigate.timeline.findings.facts import duration_text
from worker.investigate.timeline.timeline import (
    AnswerBasis,
    Citation,
    EntryKey,
    RevisionGap,
    StatusStay,
    SyncAnswer,
    Timeline,
    key_of,
)

_TIMINGS: Final = frozenset({
    "createdAt", "modifiedAt", "firstEnterQueueAt", "lastRevision", "ivr", "wrapUp", "handle", "resourceFirstQueueTime",
    "resourceFirstRouteTime", "resourceFirstAssignTime", "completedAt", "queuedCount", "acceptedAt", "endedAt",
})  # fmt: skip
"""The changes that are named without their values: they follow from the others."""
_VALUE_CHARACTERS_MAX: Final = 200
_BASES: Final[Mapping[AnswerBasis, str]] = {
    AnswerBasis.AUDIT: "by its audit line",
    AnswerBasis.TRACE: "by its trace id",
    AnswerBasis.INFERRED: "inferred: the last write with that value",
}


class EntryWords:
    """The entries of one timeline in words."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._several_items = len(timeline.work_items) > 1
        self._answers = {answer.sync: answer for answer in timeline.answers}
        self._answered_by: dict[EntryKey, list[EntryKey]] = {}
        for answer in timeline.answers:
            if answer.cause is not None:
                self._answered_by.setdefault(answer.cause, []).append(answer.sync)

    def revision(self, key: EntryKey) -> str:
        """`conversation 7`, `work-item 2`; with the work-item's id where the pair has several."""
        return f"{key.side} {key.rev}{self._of_item(key.side, key.document_id)}"

    def _of_item(self, side: Side, document_id: str) -> str:
        return f" of {document_id}" if side == "work-item" and self._several_items else ""

    def lines(self, entry: TimelineEntry) -> Iterator[str]:
        """What the write changed, why, what it knew, and what it answers, a line each."""
        yield from _change_lines(entry)
        for reason in entry.reasons:
            yield _reason_text(reason)
        if entry.known_conversation_rev is not None:
            yield f"knew conversation {entry.known_conversation_rev}"
        key = key_of(entry)
        if entry.is_sync:
            yield self._answer_text(key, self._answers.get(key))
        elif key in self._answered_by:
            yield f"answered by {', '.join(self.revision(each) for each in self._answered_by[key])}"

    def citation(self, citation: Citation) -> str:
        """A piece of evidence: the revision, what it did, when, and where it stands."""
        side, document_id = citation.side, citation.document_id
        subject = citation.role
        if side is not None and document_id is not None:
            subject = f"{side} {citation.rev}{self._of_item(side, document_id)}: {citation.role}"
        event = f", event {citation.event_id}" if citation.event_id else ""
        at = f", {format_instant(citation.at)}" if citation.at is not None else ""
        place = f", {PurePath(citation.file).name}:{citation.line}" if citation.file else ""
        return f"{subject}{event}{at}{place}"

    def stay(self, stay: StatusStay) -> str:
        """How long a record was in a status."""
        captured_until = self._timeline.captured_until
        revs = (
            f"revision {stay.first_rev}" if stay.first_rev == stay.last_rev else f"{stay.first_rev} to {stay.last_rev}"
        )
        if stay.ms is not None:
            lasted = f"{'' if stay.exact else 'about '}{duration_text(timedelta(milliseconds=stay.ms))}"
        elif stay.left_at is None and stay.entered_at is not None and captured_until is not None:
            lasted = f"{duration_text(captured_until - stay.entered_at)} to the end of the capture"
        else:
            lasted = "unknown: its begin is not captured" if stay.entered_at is None else "unknown"
        return f"{stay.status}: {lasted} ({revs}{self._of_item(stay.side, stay.document_id)})"

    def _answer_text(self, sync: EntryKey, answer: SyncAnswer | None) -> str:
        if answer is None or answer.cause is None:
            return "answers a write that is not captured"
        item = self._of_item("work-item", (sync if sync.side == "work-item" else answer.cause).document_id)
        compared = [
            f"{side} {rev}{of}"
            for side, rev, of in (
                ("conversation", answer.conversation_rev, ""),
                ("work-item", answer.work_item_rev, item),
            )
            if rev is not None
        ]
        on = f", decided on {' and '.join(compared)}" if compared else ""
        basis = "" if answer.basis is None else f" ({_BASES[answer.basis]}{on})"
        return f"answers {self.revision(answer.cause)}{basis}"


def _change_lines(entry: TimelineEntry) -> Iterator[str]:
    if entry.deletion:
        yield "deleted"
    if entry.changes is None:
        yield "does not say what it changed, and the revision before it is not captured"
        return
    if entry.creation:
        yield "created"
    shown = [change for change in entry.changes if change.name not in _TIMINGS]
    for change in shown:
        before = "" if entry.creation else f"{value_text(change.before)} → "
        yield f"{change.name}: {before}{value_text(change.after)}"
    others = [*(each.name for each in entry.changes if each.name in _TIMINGS), *entry.other_changes]
    if others:
        yield f"also changed: {', '.join(others)}"
    elif not shown and not entry.creation and not entry.deletion:
        yield "no change"


def value_text(value: object) -> str:
    """A captured value in a few words: an id as it is, a list of ids with commas, an empty value as `none`."""
    if value is None or value in ([], {}, ""):
        return "none"
    if isinstance(value, str):
        text = value
    elif isinstance(value, list) and all(isinstance(each, str) for each in value):
        text = ", ".join(value)
    else:
        text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _VALUE_CHARACTERS_MAX else f"{text[:_VALUE_CHARACTERS_MAX]}…"


def _reason_text(reason: EntryReason) -> str:
    meta = reason.meta
    parts = [str(meta[name]) for name in ("rule", "policy", "commandName") if isinstance(meta.get(name), str)]
    if isinstance(meta.get("data"), Mapping):
        parts.append(value_text(meta["data"]))
    said = f": {' '.join(parts)}" if parts else ""
    return f"{reason.action or '?'} {reason.code or '?'}{said}"


def audit_lines(audit: AuditEntry) -> Iterator[str]:
    """An audit line in words, the predecessor's or this worker's."""
    if audit.is_own:
        trigger = f" of {audit.trigger}" if audit.trigger else ""
        rev = f" {audit.event_rev}" if audit.event_rev is not None else ""
        policy = f" ({audit.policy})" if audit.policy else ""
        yield f"{audit.outcome or 'no outcome'}{trigger}{rev}{policy}"
    else:
        yield "the predecessor's"
    for side, updated in (("conversation", audit.updated_conversation), ("work-item", audit.updated_work_item)):
        if updated is not None:
            yield f"wrote {side}{_against(updated)}: {_fields_text(updated)}"
    for reason in audit.reasons:
        yield _reason_text(reason)
    for each in audit.suppressed:
        yield f"held back {value_text(each.get('field'))}: {value_text(each.get('code'))}"


def _against(updated: Mapping[str, Any]) -> str:
    return f" against revision {updated['rev']}" if isinstance(updated.get("rev"), int) else ""


def _fields_text(updated: Mapping[str, Any]) -> str:
    fields = {name: value for name, value in updated.items() if name != "rev"}
    return ", ".join(f"{name} {value_text(value)}" for name, value in fields.items()) or "nothing"


def gap_text(gap: RevisionGap) -> str:
    """The missing revisions of a record."""
    runs = f"{gap.first}" if gap.first == gap.last else f"{gap.first} to {gap.last}"
    return f"{gap.side} {gap.document_id}: {runs}{' (before the first captured one)' if gap.leading else ''}"


def counted(number: int, thing: str) -> str:
    """`1 revision`, `2 revisions`."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


NOT_LOOKED_FOR: Final = (
    "Not looked for: of this pair there are audit lines alone, and no event. `routing-sync explain ID FILE` reads its "
    "revisions out of this worker's audit lines."
)
"""What a report says in the place of findings where no revision is captured: "none" would be a verdict."""


def in_order_with_audits(timeline: Timeline) -> Iterator[TimelineEntry | AuditEntry]:
    """The entries in their order. An audit line stands after the sync that it records, else after the last entry that
    is not later."""
    recorded: dict[EntryKey, list[int]] = {}
    for answer in timeline.answers:
        recorded[answer.sync] = list(answer.audits)
    placed = {place for places in recorded.values() for place in places}
    others = deque(place for place in range(len(timeline.audits)) if place not in placed)
    for entry in timeline.entries:
        while others and _is_earlier(timeline.audits[others[0]], entry):
            yield timeline.audits[others.popleft()]
        yield entry
        for place in recorded.get(key_of(entry), ()):
            yield timeline.audits[place]
    yield from (timeline.audits[place] for place in others)


def _is_earlier(audit: AuditEntry, entry: TimelineEntry) -> bool:
    return audit.at is not None and entry.at is not None and audit.at < entry.at
