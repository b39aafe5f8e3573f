"""The timeline of one pair as data: what `routing-sync timeline` prints, and what a page draws.

Everything is frozen. `build_timeline` (`builder.py`) makes it from entries and audit lines. `timeline_wire`
(`wire.py`) is its JSON, which docs/timeline.md documents.
"""

from datetime import datetime
from enum import StrEnum
from typing import Final

from msgspec import Struct

from sync.conversation import Field
from sync.gates import Side
from worker.investigate.timeline.entry import AuditEntry, TimelineEntry

WIRE_VERSION: Final = 1
"""The version of the JSON shape. It grows when a key changes its meaning or goes; a new key is no new version."""


OVERWROTE: Final = "overwrote it"
"""The role of the sync in the evidence of a lost update; the lost write is the first of the evidence."""
DECIDED_WITHOUT: Final = "was decided without it"
"""The role of the sync in the evidence of a stale comparison that overwrote nothing."""


def changed_role(field: str | None) -> str:
    """The role of the write that was lost, or overlooked, in the evidence of either."""
    return f"changed {field}"


class EntryKey(Struct, frozen=True, kw_only=True, gc=False):
    """The revision of a record: which entry of the timeline something speaks of."""

    side: Side
    document_id: str
    rev: int


class Citation(Struct, frozen=True, kw_only=True, gc=False):
    """An entry or an audit line on which a finding rests.

    `role`: what it did, in a few words ("overwrote it"). `rev` and `event_id` are None for an audit line that names
    none.
    """

    role: str
    side: Side | None
    document_id: str | None
    rev: int | None
    event_id: str | None
    at: datetime | None
    file: str = ""
    line: int = 0


class FindingKind(StrEnum):
    """What a finding says, in the order of a report: what went wrong before what follows from it.

    | kind | it says |
    |---|---|
    | `UPDATE_LOST` | a sync overwrote an outside write that the write it carried did not know; nothing restored it |
    | `STALE_COMPARISON` | a sync was decided on a revision of the other record that was out of date for the field |
    | `ASSIGNED_WITHOUT_QUEUE` | a work-item is assigned and has no queue to go back to |
    | `FIELDS_DROPPED` | a command did not carry out a field of its update |
    | `COMPLETED_WITHOUT_AGENT` | a work-item is completed unassigned, and the conversation had an agent then |
    | `OUT_OF_STEP` | the records differed for longer than the limit, or still differ at the end of the capture |
    | `BOUNCE` | a shared field changed away and back |
    """

    UPDATE_LOST = "UPDATE_LOST"
    STALE_COMPARISON = "STALE_COMPARISON"
    ASSIGNED_WITHOUT_QUEUE = "ASSIGNED_WITHOUT_QUEUE"
    FIELDS_DROPPED = "FIELDS_DROPPED"
    COMPLETED_WITHOUT_AGENT = "COMPLETED_WITHOUT_AGENT"
    OUT_OF_STEP = "OUT_OF_STEP"
    BOUNCE = "BOUNCE"


class TimelineFinding(Struct, frozen=True, kw_only=True, gc=False):
    """A finding with its evidence.

    `text`: one or two sentences that name the revisions, the values and the times. `field`: the shared field, if it is
    about one. `since` and `until`: the time that it spans; `until` None where it lasts to the end of the capture.
    `evidence`: the entries on which it rests, the cause first. `missing`: what the capture lacks to say more; the
    finding holds without it.
    """

    kind: FindingKind
    text: str
    field: Field | None
    since: datetime | None
    until: datetime | None
    evidence: tuple[Citation, ...]
    missing: tuple[str, ...] = ()


class OpenQuestion(Struct, frozen=True, kw_only=True, gc=False):
    """A finding that the capture neither shows nor excludes: no verdict. `missing`: what would decide it."""

    kind: FindingKind
    text: str
    field: Field | None
    evidence: tuple[Citation, ...]
    missing: tuple[str, ...]


class AnswerBasis(StrEnum):
    """How a sync and the write that it answers were put together, the strongest first."""

    AUDIT = "audit"
    """An audit line names the event, and the revision that the sync was written against."""
    TRACE = "trace"
    """Both events carry one trace id."""
    INFERRED = "inferred"
    """It is the last outside write before the sync after which the other record had the value that the sync wrote."""


class SyncAnswer(Struct, frozen=True, kw_only=True, gc=False):
    """A sync, and the write of the other record that it answers.

    `cause` None: that write is not in the capture, or cannot be told. `conversation_rev` and `work_item_rev`: the
    revisions that were compared, where the sync's reasons or its audit line name them. `audits`: the places in
    `Timeline.audits` of the lines that record the sync.
    """

    sync: EntryKey
    cause: EntryKey | None
    basis: AnswerBasis | None
    conversation_rev: int | None = None
    work_item_rev: int | None = None
    audits: tuple[int, ...] = ()


class StatusStay(Struct, frozen=True, kw_only=True, gc=False):
    """How long a record was in one status without a break.

    `entered_at` None: before the first captured revision. `left_at` None: it still was at the end of the capture. `ms`:
    the duration, None where an end of it is not captured. `exact` False: revisions are missing at an end of the stay or
    within it, so `ms` is what the captured revisions show.
    """

    side: Side
    document_id: str
    status: str
    first_rev: int
    last_rev: int
    entered_at: datetime | None
    left_at: datetime | None
    ms: int | None
    exact: bool


class RevisionGap(Struct, frozen=True, kw_only=True, gc=False):
    """Revisions of a record, from `first` to `last`, that are not in the capture.

    `leading`: they are before the first captured one, so they may simply be older than the capture.
    """

    side: Side
    document_id: str
    first: int
    last: int
    leading: bool


class Timeline(Struct, frozen=True, kw_only=True):
    """One pair: a conversation and its work-items.

    `entries`: both records' revisions; of one record in the order of revisions, of both in the order of their times,
    and never before a revision that they knew. `audits`: by time. `answers`: one for each sync, in that order.
    `captured_until`: the latest time in the whole capture, which may hold other pairs. `duplicates`: how many entries
    were left out because the same revision was there. `contradictions`: what the capture says in two ways.
    """

    conversation_id: str
    entries: tuple[TimelineEntry, ...]
    audits: tuple[AuditEntry, ...] = ()
    answers: tuple[SyncAnswer, ...] = ()
    stays: tuple[StatusStay, ...] = ()
    gaps: tuple[RevisionGap, ...] = ()
    findings: tuple[TimelineFinding, ...] = ()
    questions: tuple[OpenQuestion, ...] = ()
    captured_until: datetime | None = None
    duplicates: int = 0
    contradictions: tuple[str, ...] = ()

    @property
    def work_items(self) -> tuple[str, ...]:
        """The ids of the work-items, in the order of their first entry."""
        return tuple(dict.fromkeys(each.document_id for each in self.entries if each.side == "work-item"))


class TimelineLimits(Struct, frozen=True, kw_only=True):
    """From when on a finding is one. `out_of_step_s`: a pair that is in step again sooner was only waiting for its
    sync. `bounce_s`: a field that comes back later than that has not bounced."""

    out_of_step_s: float = 10.0
    bounce_s: float = 60.0


DEFAULT_TIMELINE_LIMITS: Final = TimelineLimits()


def key_of(entry: TimelineEntry) -> EntryKey:
    """The entry's key."""
    return EntryKey(side=entry.side, document_id=entry.document_id, rev=entry.rev)


def cite(entry: TimelineEntry, role: str) -> Citation:
    """The entry as evidence."""
    return Citation(
        role=role,
        side=entry.side,
        document_id=entry.document_id,
        rev=entry.rev,
        event_id=entry.event_id,
        at=entry.at,
        file=entry.file,
        line=entry.line,
    )
