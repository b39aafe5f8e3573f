"""A pair as its page shows it: both records side by side, who is newer, what waits for which revision, and what the
rules would write now. Pure: the evidence and the decision are those of policy `causal` on the pair as it is stored.
"""

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from commands.context import UnreadableRecord
from commands.work_item import WorkItem
from handlers.documents.document_mapping import conversation_of, work_item_of
from handlers.documents.stored_forms import UnreadableDocument
from handlers.ports import Document, Pair
from sync.conversation import FIELDS, Conversation, Field
from sync.decision import Decision
from sync.evidence import Evidence, NewerSide, evidence_of
from sync.gates import Policy, Side, first_closed_gate
from sync.policy_causal import decide_causal
from sync.state.agreement import agreed_fields, shared_values, work_item_values
from sync.state.revision_runs import RevisionRuns
from sync.state.sync_state import SyncState


class Standing(StrEnum):
    """How a pair stands. The first that holds, in this order."""

    NOT_STORED = "not stored"
    """Neither record is stored, and there is no sync state."""
    UNREADABLE = "unreadable"
    WAITS = "waits"
    """A field waits for an event. The gap poll decides it once the watermark has passed."""
    OUT_OF_STEP = "out of step"
    """An open rule would write, and nothing waits: an event is on its way, or was lost."""
    ALONE = "no active pair"
    """One of both records is missing, or no work-item is active: there is nothing to keep in step."""
    IN_STEP = "in step"


class FieldRow(Struct, frozen=True, kw_only=True):
    """A shared field of both records; None: the record is not stored.

    `agrees` None: nothing is kept in step. `newer` None: nobody need know, both agree.
    """

    name: Field
    conversation: str | None
    work_item: str | None
    agrees: bool | None = None
    newer: NewerSide | None = None
    changed_rev: int = 0
    known_rev: int = 0


class MissingRevisions(Struct, frozen=True, kw_only=True):
    """The revisions of a record whose events were not observed, and for which `fields` wait."""

    side: Side
    runs: RevisionRuns
    fields: tuple[Field, ...]


class PairReport(Struct, frozen=True, kw_only=True):
    """Everything that a pair's page shows of the store. `unreadable`: which document cannot be read, and why."""

    conversation_id: str
    standing: Standing
    conversation: Conversation | None = None
    item: WorkItem | None = None
    state: SyncState | None = None
    unreadable: str | None = None
    fields: tuple[FieldRow, ...] = ()
    missing: tuple[MissingRevisions, ...] = ()
    decision: Decision | None = None

    @property
    def waiting_since(self) -> datetime | None:
        """Since when a field waits, by SQS's clock."""
        return None if self.state is None or self.state.waiting is None else self.state.waiting.since

    @property
    def out_of_step(self) -> tuple[Field, ...]:
        """The fields on which both records differ."""
        return tuple(row.name for row in self.fields if row.agrees is False)


def pair_report(conversation_id: str, pair: Pair, *, now: datetime) -> PairReport:
    """The report of a pair as `Store.load` returned it."""
    if pair.unreadable is not None:
        return _unreadable(conversation_id, pair, pair.unreadable)
    try:
        conversation = None if pair.conversation is None else conversation_of(pair.conversation)
        document = _work_item_of(pair)
        item = None if document is None else work_item_of(document)
        return _report(conversation_id, pair, conversation, item, now)
    except (UnreadableDocument, UnreadableRecord) as fault:
        return _unreadable(conversation_id, pair, str(fault))


def _unreadable(conversation_id: str, pair: Pair, reason: str) -> PairReport:
    return PairReport(
        conversation_id=conversation_id, standing=Standing.UNREADABLE, unreadable=reason, state=_stored(pair.state)
    )


def _work_item_of(pair: Pair) -> Document | None:
    """The pair's work-item: the active one, else the one that the state names."""
    for document in pair.work_items:
        if document.get("active") is True:
            return document
    return next((each for each in pair.work_items if each["_id"] == pair.state.work_item), None)


def _report(
    conversation_id: str, pair: Pair, conversation: Conversation | None, item: WorkItem | None, now: datetime
) -> PairReport:
    state = _stored(pair.state)
    if conversation is None and item is None and state is None:
        return PairReport(conversation_id=conversation_id, standing=Standing.NOT_STORED)
    closed = first_closed_gate(
        supported=True,
        is_sync=False,
        side="conversation",
        rev=None,
        conversation=conversation,
        item=item,
        policy=Policy.CAUSAL,
    )
    if closed is not None or conversation is None or item is None:
        waits = pair.state.waiting is not None
        rows = _rows(conversation, item, None)
        return PairReport(
            conversation_id=conversation_id,
            standing=Standing.WAITS if waits else Standing.ALONE,
            conversation=conversation,
            item=item,
            state=state,
            # What is not kept in step need not agree.
            fields=tuple(row if waits or row.agrees else replace(row, agrees=None) for row in rows),
        )
    evidence = evidence_of(pair.state, conversation, item)
    decided = decide_causal(evidence, context=pair.context, now=now, queue_now=now)
    decision = decided.audited
    return PairReport(
        conversation_id=conversation_id,
        standing=_standing(pair.state, decision),
        conversation=conversation,
        item=item,
        state=state,
        fields=tuple(_rows(conversation, item, evidence)),
        missing=tuple(_missing(evidence)),
        decision=decision,
    )


def _stored(state: SyncState) -> SyncState | None:
    return state if state.version else None


def _standing(state: SyncState, decision: Decision) -> Standing:
    if state.waiting is not None:
        return Standing.WAITS
    return Standing.OUT_OF_STEP if decision.applies else Standing.IN_STEP


def _rows(conversation: Conversation | None, item: WorkItem | None, evidence: Evidence | None) -> Iterator[FieldRow]:
    ours = {} if conversation is None else shared_values(conversation)
    theirs = {} if item is None else work_item_values(item)
    agreed = frozenset[Field]() if conversation is None or item is None else agreed_fields(conversation, item)
    for name in FIELDS:
        agrees = None if conversation is None or item is None else name in agreed
        yield FieldRow(
            name=name,
            conversation=_text(name, ours[name], "done", "ended", "snoozed") if ours else None,
            work_item=_text(name, theirs[name], "completed", "wrap-up", "paused") if theirs else None,
            agrees=agrees,
            newer=evidence.newer_side(name) if evidence is not None and agrees is False else None,
            changed_rev=0 if evidence is None else evidence.basis.changed.get(name, 0),
            known_rev=0 if evidence is None else evidence.basis.known.get(name, 0),
        )


_UNSET: Final = "none"


def _text(name: Field, value: object, closed: str, ended: str, paused: str) -> str:
    """A shared value in the words of its record."""
    match name, value:
        case "status", "deleted":
            return "deleted"
        case "status", _:
            return closed if value else "not " + closed
        case "ended", _:
            return ended if value else "not " + ended
        case "paused", _:
            return paused if value else "not " + paused
        case _, list() | tuple():
            return ", ".join(str(each) for each in value) or _UNSET
        case _:
            return _UNSET if value is None else str(value)


def _missing(evidence: Evidence) -> Iterator[MissingRevisions]:
    """For each record the unobserved revisions for which a field waits that the records do not share."""
    agreed = agreed_fields(evidence.conversation, evidence.item)
    waiting = [name for name in FIELDS if name not in agreed and evidence.newer_side(name) is NewerSide.UNDECIDED]
    basis = evidence.basis
    after_item = {name: basis.known_at.get(name, 0) for name in waiting}
    after_conversation = {name: basis.known.get(name, 0) for name in waiting}
    sides: tuple[tuple[Side, dict[Field, int], RevisionRuns, int], ...] = (
        ("conversation", after_conversation, basis.conversation_observed, evidence.conversation.rev),
        ("work-item", after_item, basis.work_item_observed, evidence.item.rev),
    )
    for side, after, observed, last in sides:
        gaps = {name: gaps_of(observed, rev + 1, last) for name, rev in after.items()}
        fields = tuple(name for name, runs in gaps.items() if runs)
        if fields:
            lowest = min(after[name] for name in fields) + 1
            yield MissingRevisions(side=side, runs=gaps_of(observed, lowest, last), fields=fields)


def gaps_of(observed: RevisionRuns, first: int, last: int) -> RevisionRuns:
    """The runs of revisions from `first` to `last` that were not observed."""
    gaps: list[tuple[int, int]] = []
    for start, end in observed:
        if start > last:
            break
        if start > first:
            gaps.append((first, start - 1))
        first = max(first, end + 1)
    if first <= last:
        gaps.append((first, last))
    return tuple(gaps)
