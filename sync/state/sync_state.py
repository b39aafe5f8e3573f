"""The sync state of one pair: the observed revisions, and for each field the last write and what that write knew.
Pure.

Observing is idempotent and commutes: events in any order, each any number of times, lead to the same state. The one
exception is a document with more than `RUNS_MAX` runs of observed revisions: its lowest gap is closed, and which gap
that is depends on the order (`revision_runs.py`). Policy `legacy` keeps the state without using it, so that a team can
switch policies at any time (docs/rules.md, *The sync state*).
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from commands.work_item import WorkItem
from sync.conversation import Field
from sync.state.revision_runs import RevisionRuns


class ViewedValue(Struct, frozen=True, kw_only=True):
    """A value of a conversation's field, and the revision at which the conversation had it."""

    value: Any
    rev: int


class DoneBy(Struct, frozen=True, kw_only=True):
    """The work-item whose completion rule A1 took in, by its number, and the conversation revision of that write."""

    number: int
    rev: int


class Waiting(Struct, frozen=True, kw_only=True):
    """Since when a field waits, by SQS's clock, and the stored revisions of both documents at that moment.

    `work_item_rev` is 0 once a new work-item has started a new history. `values`: the conversation's values at its
    noted revision; empty in a state of an older worker.
    """

    since: datetime
    conversation_rev: int
    work_item_rev: int
    values: Mapping[Field, Any] = field(default_factory=dict)


class RecordedWait(Struct, frozen=True, kw_only=True):
    """A wait in a queue whose record is stored: the record's id, and the revision that it was recorded of."""

    id: str
    rev: int


class SyncState(Struct, frozen=True, kw_only=True):
    """One document of `sync_states`; `version` 0: not stored yet. A field missing in a mapping counts as 0.

    - `…_observed`: the revisions whose events were observed, or that this worker wrote.
    - `…_rev`: the highest revision known to have been stored; a lower one in the store means a restored database.
    - `conversation_inserted`: the worker stored the conversation's document, from an event.
    - `…_floor`: the highest revision that is known and neither stored nor noted as observed: from before the database
      was restored, or of an event that does not say what it changed. A write takes a higher one.
    - `view`: the last known value of each field of the conversation.
    - `changed`: the conversation revision that last changed the field.
    - `known`: the conversation revision that the work-item's last write of the field knew; `known_at`: that write's
      revision.
    - `touched`: the latest work-item revision that changed the field without saying what it knew.
    - `done_by`: the completion that rule A1 took in last; None if it took in none.
    - `waiting`: None if no field waits for an event.
    - `recorded_wait`: the latest wait in a queue whose record is stored; None while none is known to be.
    - `deleted_rev`: the revision at which the conversation was deleted.
    - `finished_at`: when the pair was first seen finished (`with_stored_revisions`); None while it is not.
    """

    version: int = 0
    conversation_observed: RevisionRuns = ()
    conversation_rev: int = 0
    conversation_floor: int = 0
    conversation_inserted: bool = False
    work_item: str | None = None
    work_item_number: int = 0
    work_item_observed: RevisionRuns = ()
    work_item_rev: int = 0
    work_item_floor: int = 0
    view: Mapping[Field, ViewedValue] = field(default_factory=dict)
    changed: Mapping[Field, int] = field(default_factory=dict)
    known: Mapping[Field, int] = field(default_factory=dict)
    known_at: Mapping[Field, int] = field(default_factory=dict)
    touched: Mapping[Field, int] = field(default_factory=dict)
    done_by: DoneBy | None = None
    waiting: Waiting | None = None
    recorded_wait: RecordedWait | None = None
    deleted_rev: int | None = None
    finished_at: datetime | None = None


def for_pair(state: SyncState, item: WorkItem) -> SyncState:
    """The state of the pair with `item`: a work-item that is new to the state starts a new history."""
    if state.work_item == item.id or item.number < state.work_item_number:
        return state
    return new_history(state, item.id, item.number)


def new_history(state: SyncState, work_item: str | None, number: int) -> SyncState:
    """The state of the pair with a new work-item: nothing is known of the work-item yet."""
    return replace(
        state,
        work_item=work_item,
        work_item_number=number,
        work_item_observed=(),
        work_item_rev=0,
        work_item_floor=0,
        known={},
        known_at={},
        touched={},
        waiting=state.waiting and replace(state.waiting, work_item_rev=0),
        finished_at=None,
    )


def raised_revisions(revs: Mapping[Field, int], names: Collection[Field], rev: int) -> Mapping[Field, int]:
    """The revisions, those of `names` raised to `rev` where they are lower."""
    return {**revs, **{name: max(revs.get(name, 0), rev) for name in names}} if names else revs


def with_views(view: Mapping[Field, ViewedValue], values: Mapping[Field, Any], rev: int) -> Mapping[Field, ViewedValue]:
    """The views with these values at `rev`; of two views of a field the one with the higher revision is kept."""
    newer = {}
    for name, value in values.items():
        known = view.get(name)
        if known is None or rev > known.rev:
            newer[name] = ViewedValue(value=value, rev=rev)
    return {**view, **newer} if newer else view


def with_changes(state: SyncState, **changes: Any) -> SyncState:
    """The state with these changes; the very same object where they change nothing."""
    for name, value in changes.items():
        if getattr(state, name) != value:
            return replace(state, **changes)
    return state
