"""The sync state of one pair: the observed revisions, and for each field the last write and what that write knew.
Pure.

Observing is idempotent and commutes: events in any order, each any number of times, lead to the same state. The one
exception is a document with more than `RUNS_MAX` runs of observed revisions: its lowest gap is closed, and which gap
that is depends on the order (`revision_runs.py`). Policy `legacy` keeps the state without using it, so that a team can
switch policies at any time (docs/rules.md, *The sync state*).
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Final

from msgspec import Struct, field
from msgspec.structs import replace

from commands.work_item import Status, WorkItem
from sync.conversation import FIELDS, Conversation, ConversationStatus, Field
from sync.gates import Side
from sync.revision_runs import RevisionRuns, with_revision


class ViewedValue(Struct, frozen=True, kw_only=True):
    """A value of a conversation's field, and the revision at which the conversation had it."""

    value: Any
    rev: int


class SyncState(Struct, frozen=True, kw_only=True):
    """One document of `sync_states`; `version` 0: not stored yet. A field missing in a mapping counts as 0.

    - `…_observed`: the revisions whose events were observed, or that this worker wrote.
    - `…_rev`: the highest revision known to have been stored; a lower one in the store means a restored database.
    - `reconciled`: this pair was decided before.
    - `view`: the last known value of each field of the conversation.
    - `changed`: the conversation revision that last changed the field.
    - `known`: the conversation revision that the work-item's last write of the field knew; `known_at`: that write's
      revision.
    - `waiting_since`: since when a field waits for an event; None if no field waits.
    - `deleted_rev`: the revision at which the conversation was deleted.
    - `finished_at`: when the pair was first seen finished (`with_stored_revisions`); None while it is not.
    """

    version: int = 0
    conversation_observed: RevisionRuns = ()
    conversation_rev: int = 0
    work_item: str | None = None
    work_item_number: int = 0
    work_item_observed: RevisionRuns = ()
    work_item_rev: int = 0
    reconciled: bool = False
    view: Mapping[Field, ViewedValue] = field(default_factory=dict)
    changed: Mapping[Field, int] = field(default_factory=dict)
    known: Mapping[Field, int] = field(default_factory=dict)
    known_at: Mapping[Field, int] = field(default_factory=dict)
    waiting_since: datetime | None = None
    deleted_rev: int | None = None
    finished_at: datetime | None = None


class Observation(Struct, frozen=True, kw_only=True):
    """The part of an event that the sync state keeps.

    - `changed_fields`: the shared fields that the write changed.
    - `known_conversation_rev`: the conversation revision that a work-item's write knew; None if the event does not say.
    - `values`: a conversation's shared values after the write.
    - `creation`: the write created the document, so every value is viewed, although no field was changed.
    - `deletion`: the conversation was deleted.
    """

    side: Side
    rev: int
    is_sync: bool
    changed_fields: frozenset[Field] = frozenset()
    known_conversation_rev: int | None = None
    values: Mapping[Field, Any] = field(default_factory=dict)
    creation: bool = False
    deletion: bool = False
    work_item: str | None = None
    work_item_number: int = 0


def observe(state: SyncState, event: Observation) -> SyncState:
    """The state after the event; the very same object where the event adds nothing."""
    return _observe_conversation(state, event) if event.side == "conversation" else _observe_work_item(state, event)


def _observe_conversation(state: SyncState, event: Observation) -> SyncState:
    deleted = max(state.deleted_rev or 0, event.rev) if event.deletion else state.deleted_rev
    changed = state.changed if event.is_sync else _raised(state.changed, event.changed_fields, event.rev)
    values = {name: value for name, value in event.values.items() if event.creation or name in event.changed_fields}
    return _with(
        state,
        conversation_observed=with_revision(state.conversation_observed, event.rev),
        view=_viewed(state.view, values, event.rev),
        changed=changed,
        deleted_rev=deleted,
    )


def _observe_work_item(state: SyncState, event: Observation) -> SyncState:
    state = _for_work_item(state, event.work_item, event.work_item_number)
    if state.work_item != event.work_item:
        return state
    known, known_at = dict(state.known), dict(state.known_at)
    if not event.is_sync and event.known_conversation_rev is not None:
        for name in event.changed_fields:
            if event.rev > known_at.get(name, 0):
                known[name], known_at[name] = event.known_conversation_rev, event.rev
    observed = with_revision(state.work_item_observed, event.rev)
    return _with(state, work_item_observed=observed, known=known, known_at=known_at)


def after_reconcile(
    state: SyncState,
    conversation: Conversation,
    item: WorkItem,
    *,
    now: datetime,
    wrote: Collection[Side] = (),
    fired: frozenset[Field] = frozenset(),
    undecided: frozenset[Field] = frozenset(),
) -> SyncState:
    """The state after a decision that wrote the sides `wrote` and left the pair as given.

    `fired`: the fields for which a rule fired. `undecided`: the fields whose newer side is not known.

    - A revision that the sync wrote counts as observed. A revision that was only read does not: its event has not
      arrived.
    - Where both sides agree on a field, the work-item knows the conversation's revision. Where they differ, `known` and
      `changed` stay, so the newer side stays the newer one.
    - An undecided field for which a rule fired waits while the sides differ.
    - An undecided field on which the sides differ is not viewed: an unobserved write may have changed its value.
    - A work-item older than the state's changes nothing.
    """
    state = for_pair(state, item)
    if state.work_item != item.id:
        return state
    known, known_at = dict(state.known), dict(state.known_at)
    agreed = agreed_fields(conversation, item)
    for name in agreed:
        known[name], known_at[name] = conversation.rev, item.rev
    conversation_observed, work_item_observed = state.conversation_observed, state.work_item_observed
    if "conversation" in wrote:
        conversation_observed = with_revision(conversation_observed, conversation.rev)
    if "work-item" in wrote:
        work_item_observed = with_revision(work_item_observed, item.rev)
    unsettled = undecided - agreed
    views = shared_values(conversation)
    for name in unsettled:
        del views[name]
    return _with(
        state,
        conversation_observed=conversation_observed,
        work_item_observed=work_item_observed,
        reconciled=True,
        view=_viewed(state.view, views, conversation.rev),
        known=known,
        known_at=known_at,
        waiting_since=(state.waiting_since or now) if fired & unsettled else None,
    )


def with_stored_revisions(
    state: SyncState, conversation: Conversation | None, item: WorkItem | None, *, now: datetime
) -> SyncState:
    """The state with the revisions that the store holds, and with the time at which the pair was first seen finished.

    A pair is finished when the conversation is closed and the work-item is completed; one of the two may be missing.
    """
    of_pair = item is not None and item.id == state.work_item
    # A re-opened conversation is not closed: its state still says that the re-opening is newer than the completion.
    closed = conversation is None or conversation.deleted or conversation.status is ConversationStatus.DONE
    any_stored = conversation is not None or item is not None
    finished = any_stored and closed and (item is None or (of_pair and not item.active))
    return _with(
        state,
        conversation_rev=max(state.conversation_rev, conversation.rev if conversation else 0),
        work_item_rev=max(state.work_item_rev, item.rev) if item and of_pair else state.work_item_rev,
        finished_at=(state.finished_at or now) if finished else None,
    )


def reset_if_restored(state: SyncState, *, conversation_rev: int | None, work_item_rev: int | None) -> SyncState:
    """The state; an empty one where a stored revision is below one stored before: a restored database (docs/rules.md,
    *A restored database*).

    The revisions are those of the stored conversation and of the stored work-item that the state names, None where it
    is missing.
    """
    conversation_fell = conversation_rev is not None and conversation_rev < state.conversation_rev
    work_item_fell = work_item_rev is not None and work_item_rev < state.work_item_rev
    return SyncState(version=state.version) if conversation_fell or work_item_fell else state


def all_agree(conversation: Conversation, item: WorkItem) -> bool:
    """True where both records agree on every shared field."""
    return agreed_fields(conversation, item) is _EVERY


def agreed_fields(conversation: Conversation, item: WorkItem) -> frozenset[Field]:
    """The shared fields on which both records agree (docs/rules.md, *The sync state*)."""
    users, user, status = conversation.assigned_users, item.assigned_to, conversation.status
    assignee = user in users if user is not None else not users
    queue = conversation.queue == item.queue
    closed = (status is ConversationStatus.DONE) is (item.status is Status.COMPLETED)
    ended = conversation.ended is (item.status is Status.WRAP_UP)
    paused = (status is ConversationStatus.SNOOZED) is item.paused
    agrees = (assignee, queue, closed, ended, paused)
    if agrees == _ALL_AGREE:
        return _EVERY
    return frozenset([name for name, same in zip(FIELDS, agrees, strict=True) if same])


def shared_values(conversation: Conversation) -> dict[Field, Any]:
    """The conversation's value of every shared field, as `view` keeps them."""
    return {
        "assignee": list(conversation.assigned_users),
        "queue": conversation.queue,
        "status": "deleted" if conversation.deleted else conversation.status is ConversationStatus.DONE,
        "ended": conversation.ended,
        "paused": conversation.status is ConversationStatus.SNOOZED,
    }


def for_pair(state: SyncState, item: WorkItem) -> SyncState:
    """The state of the pair with `item`: a work-item that is new to the state starts a new history."""
    if state.work_item == item.id or item.number < state.work_item_number:
        return state
    return _new_history(state, item.id, item.number)


def _for_work_item(state: SyncState, work_item: str | None, number: int) -> SyncState:
    """The state of a work-item's event: a new work-item starts a new history, an older one changes nothing."""
    if state.work_item == work_item or (state.work_item is not None and number <= state.work_item_number):
        return state
    return _new_history(state, work_item, number)


def _new_history(state: SyncState, work_item: str | None, number: int) -> SyncState:
    return replace(
        state,
        work_item=work_item,
        work_item_number=number,
        work_item_observed=(),
        work_item_rev=0,
        reconciled=False,
        known={},
        known_at={},
        finished_at=None,
    )


def _raised(revs: Mapping[Field, int], names: Collection[Field], rev: int) -> Mapping[Field, int]:
    return {**revs, **{name: max(revs.get(name, 0), rev) for name in names}} if names else revs


def _viewed(view: Mapping[Field, ViewedValue], values: Mapping[Field, Any], rev: int) -> Mapping[Field, ViewedValue]:
    newer = {}
    for name, value in values.items():
        known = view.get(name)
        if known is None or rev > known.rev:
            newer[name] = ViewedValue(value=value, rev=rev)
    return {**view, **newer} if newer else view


def _with(state: SyncState, **changes: Any) -> SyncState:
    """The state with these changes; the very same object where they change nothing."""
    for name, value in changes.items():
        if getattr(state, name) != value:
            return replace(state, **changes)
    return state


_EVERY: Final = frozenset(FIELDS)
_ALL_AGREE: Final = (True,) * len(FIELDS)
