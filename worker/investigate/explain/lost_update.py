"""What the answer's sync overwrote: out of the finding that says so, else out of the audit records alone.

A finding compares whole records, and audit lines tell of a record only what its writes changed. What they do tell,
which conversation revision a work-item's write knew and on which revisions the sync was decided, is enough for the
assignee (docs/rules.md, *Who is newer*).
"""

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from worker.investigate.explain.assignees import assigned_by, unassigned_by
from worker.investigate.explain.record_source import TellingRecord
from worker.investigate.timeline.entry import TimelineEntry
from worker.investigate.timeline.findings.facts import lapse
from worker.investigate.timeline.timeline import (
    DECIDED_WITHOUT,
    OVERWROTE,
    EntryKey,
    FindingKind,
    Timeline,
    TimelineFinding,
    changed_role,
    key_of,
)

_KINDS: Final = frozenset({FindingKind.UPDATE_LOST, FindingKind.STALE_COMPARISON})
_BY_SYNC: Final = frozenset({OVERWROTE, DECIDED_WITHOUT})


class LostUpdate(Struct, frozen=True, kw_only=True):
    """`number`: of the finding, from 1, as a report numbers them; None: the audit records alone say so. `text`: a
    clause that follows the answer."""

    number: int | None
    kind: FindingKind
    text: str


def lost_update(
    timeline: Timeline, sync: TimelineEntry, record: TellingRecord | None, *, is_of_assignee: bool
) -> LostUpdate | None:
    """What this sync overwrote though it should have kept it; None: nothing such is known.

    `record`: of the sync's decision. `is_of_assignee`: only what was lost of the assignee counts.
    """
    if not sync.is_sync:
        return None
    for number, finding in enumerate(timeline.findings, start=1):
        if finding.kind not in _KINDS or (is_of_assignee and finding.field != "assignee"):
            continue
        overlooked = _overlooked(finding, key_of(sync))
        written = next((each for each in timeline.entries if key_of(each) == overlooked), None)
        if written is not None:
            text = _clause(finding.field, written, sync)
            return LostUpdate(number=number, kind=finding.kind, text=f"{text} (finding {number})")
    written = None if record is None or not is_of_assignee else _told(timeline, sync, record)
    if written is None:
        return None
    return LostUpdate(number=None, kind=FindingKind.UPDATE_LOST, text=_clause("assignee", written, sync))


def _overlooked(finding: TimelineFinding, sync: EntryKey) -> EntryKey | None:
    """The write that the finding says was overlooked by this sync."""
    roles = {
        EntryKey(side=each.side, document_id=each.document_id, rev=each.rev): each.role
        for each in finding.evidence
        if each.side is not None and each.document_id is not None and each.rev is not None
    }
    if roles.get(sync) not in _BY_SYNC:
        return None
    return next((key for key, role in roles.items() if role == changed_role(finding.field)), None)


def _told(timeline: Timeline, sync: TimelineEntry, record: TellingRecord) -> TimelineEntry | None:
    """The other service's assignment that the decision overwrote, and that was newer than what the sync carried."""
    conversation_rev, item_rev = record.conversation_rev, record.work_item_rev
    if conversation_rev is None or item_rev is None:
        return None
    item_id = record.record.get("workItemId")
    items = [
        each
        for each in timeline.entries
        if each.side == "work-item" and each.document_id == item_id and each.rev <= item_rev
    ]
    conversations = [each for each in timeline.entries if each.side == "conversation" and each.rev <= conversation_rev]
    written = _last_of_assignee(conversations if sync.side == "conversation" else items)
    if written is None or written.is_sync or not assigned_by(written):
        return None
    if sync.side == "conversation":
        return written if _is_unknown_to(items, item_rev, written) else None
    carried = _last_of_assignee(conversations)
    knew = written.known_conversation_rev
    is_newer = carried is not None and not carried.is_sync and knew is not None and knew >= carried.rev
    return written if is_newer else None


def _last_of_assignee(entries: Iterable[TimelineEntry]) -> TimelineEntry | None:
    """The latest revision that changed who is assigned."""
    changed = [each for each in entries if assigned_by(each) or unassigned_by(each)]
    return max(changed, key=lambda each: each.rev, default=None)


def _is_unknown_to(items: Iterable[TimelineEntry], item_rev: int, written: TimelineEntry) -> bool:
    """Whether no write of the work-item, up to the revision that was read, can have known the conversation's write.

    Those before it cannot. Of each one since then it must be told which revision it knew.
    """
    by_rev = {each.rev: each for each in items}
    before = (rev for rev, each in by_rev.items() if each.at and written.at and each.at <= written.at)
    begin = max(before, default=None)
    if begin is None or item_rev - begin >= len(by_rev):
        return False
    told = [by_rev.get(rev) for rev in range(begin, item_rev + 1)]
    knew = [None if each is None else each.known_conversation_rev for each in told]
    return all(each is not None and each < written.rev for each in knew)


def _clause(field: str | None, written: TimelineEntry, sync: TimelineEntry) -> str:
    by = f" by {written.client}" if written.client else ""
    write = f"the {_what(field, written)}{by} ({written.label}) of {lapse(written.at, sync.at)} before"
    if written.side != sync.side:
        return f"it was decided without {write}"
    return f"it overwrote {write}, which the write that it carried did not know"


def _what(field: str | None, written: TimelineEntry) -> str:
    if field != "assignee":
        return f"change of {field}" if field else "update"
    if written.state is not None:
        return "assignment" if written.state.assignees else "un-assignment"
    return "assignment" if assigned_by(written) else "un-assignment"


def finding_wire(lost: LostUpdate | None) -> dict[str, object] | None:
    """The finding as data that JSON holds."""
    return None if lost is None or lost.number is None else {"number": lost.number, "kind": lost.kind.value}
