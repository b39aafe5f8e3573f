"""What the answer's sync overwrote, out of the finding that says so."""

from typing import Final

from msgspec import Struct

from worker.investigate.timeline.entry import TimelineEntry
from worker.investigate.timeline.findings.facts import lapse
from worker.investigate.timeline.timeline import EntryKey, FindingKind, Timeline, TimelineFinding, key_of

_KINDS: Final = frozenset({FindingKind.UPDATE_LOST, FindingKind.STALE_COMPARISON})


class LostUpdate(Struct, frozen=True, kw_only=True):
    """`number`: of the finding, from 1, as a report numbers them. `text`: a clause that follows the answer."""

    number: int
    kind: FindingKind
    text: str


def lost_update(timeline: Timeline, sync: TimelineEntry, *, is_of_assignee: bool) -> LostUpdate | None:
    """The first finding that this sync overwrote a write that it should have kept; None: it overwrote none such.

    `is_of_assignee`: only a finding about the assignee counts.
    """
    if not sync.is_sync:
        return None
    for number, finding in enumerate(timeline.findings, start=1):
        if finding.kind not in _KINDS or (is_of_assignee and finding.field != "assignee"):
            continue
        # A finding cites the write that was overlooked first, and then the sync (findings/overwrites.py).
        overlooked, by, *_ = (
            EntryKey(side=each.side, document_id=each.document_id, rev=each.rev)
            for each in finding.evidence
            if each.side is not None and each.document_id is not None and each.rev is not None
        )
        if by == key_of(sync):
            written = next(each for each in timeline.entries if key_of(each) == overlooked)
            text = _clause(finding, written, sync)
            return LostUpdate(number=number, kind=finding.kind, text=f"{text} (finding {number})")
    return None


def _clause(finding: TimelineFinding, written: TimelineEntry, sync: TimelineEntry) -> str:
    by = f" by {written.client}" if written.client else ""
    write = f"the {_what(finding, written)}{by} ({written.label}) of {lapse(written.at, sync.at)} before"
    if written.side != sync.side:
        return f"it was decided without {write}"
    return f"it overwrote {write}, which the write that it carried did not know"


def _what(finding: TimelineFinding, written: TimelineEntry) -> str:
    if finding.field != "assignee" or written.state is None:
        return f"change of {finding.field}" if finding.field else "update"
    return "assignment" if written.state.assignees else "un-assignment"


def finding_wire(lost: LostUpdate | None) -> dict[str, object] | None:
    """The finding as data that JSON holds."""
    return None if lost is None else {"number": lost.number, "kind": lost.kind.value}
