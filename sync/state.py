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
from sync.revision_runs import RevisionRuns, count, covers, highest, highest_gap, with_range, with_revision


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


class SyncState(Struct, frozen=True, kw_only=True):
    """One document of `sync_states`; `version` 0: not stored yet. A field missing in a mapping counts as 0.

    - `…_observed`: the revisions whose events were observed, or that this worker wrote.
    - `…_rev`: the highest revision known to have been stored; a lower one in the store means a restored database.
    - `…_floor`: the highest revision known from before the database was restored. A write takes a higher one.
    - `view`: the last known value of each field of the conversation.
    - `changed`: the conversation revision that last changed the field.
    - `known`: the conversation revision that the work-item's last write of the field knew; `known_at`: that write's
      revision.
    - `touched`: the latest work-item revision that changed the field without saying what it knew.
    - `done_by`: the completion that rule A1 took in last; None if it took in none.
    - `waiting`: None if no field waits for an event.
    - `deleted_rev`: the revision at which the conversation was deleted.
    - `finished_at`: when the pair was first seen finished (`with_stored_revisions`); None while it is not.
    """

    version: int = 0
    conversation_observed: RevisionRuns = ()
    conversation_rev: int = 0
    conversation_floor: int = 0
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
    deleted_rev: int | None = None
    finished_at: datetime | None = None


class Observation(Struct, frozen=True, kw_only=True):
    """The part of an event that the sync state keeps.

    - `changed_fields`: the shared fields that the write changed, as far as they are known.
    - `all_changes_known` False: the write may have changed further fields, so its revision is not noted as observed.
    - `known_conversation_rev`: the conversation revision that a work-item's write knew; None if the event does not say.
    - `values`: a conversation's shared values after the write.
    - `creation`: the write created the document, so every value is viewed, although no field was changed.
    - `deletion`: the conversation was deleted.
    """

    side: Side
    rev: int
    is_sync: bool
    changed_fields: frozenset[Field] = frozenset()
    all_changes_known: bool = True
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
        conversation_observed=_noted(state.conversation_observed, event),
        view=_viewed(state.view, values, event.rev),
        changed=changed,
        deleted_rev=deleted,
    )


def _observe_work_item(state: SyncState, event: Observation) -> SyncState:
    state = _for_work_item(state, event.work_item, event.work_item_number)
    if state.work_item != event.work_item:
        return state
    observed = _noted(state.work_item_observed, event)
    if event.is_sync:
        return _with(state, work_item_observed=observed)
    if event.known_conversation_rev is None:
        touched = _raised(state.touched, event.changed_fields, event.rev)
        return _with(state, work_item_observed=observed, touched=touched)
    known, known_at = dict(state.known), dict(state.known_at)
    for name in event.changed_fields:
        if event.rev > known_at.get(name, 0):
            known[name], known_at[name] = event.known_conversation_rev, event.rev
    return _with(state, work_item_observed=observed, known=known, known_at=known_at)


def gave_up_gap(before: SyncState, after: SyncState) -> bool:
    """Whether observing one event closed the lowest gap of a document that has too many (`RUNS_MAX`)."""
    return (
        count(after.conversation_observed) > count(before.conversation_observed) + 1
        or count(after.work_item_observed) > count(before.work_item_observed) + 1
    )


def changes_since_view(state: SyncState, values: Mapping[Field, Any], rev: int) -> Mapping[Field, bool]:
    """For each field that `view` can tell: whether the conversation's write at `rev` changed it.

    `values` are the shared values after the write. A view tells of a field if every revision between the two was
    observed.
    """
    observed = state.conversation_observed
    return {
        name: viewed.value != values[name]
        for name, viewed in state.view.items()
        if name in values and viewed.rev < rev and covers(observed, viewed.rev + 1, rev - 1)
    }


class Reconciled(Struct, frozen=True, kw_only=True):
    """The parts of a decision that the state keeps, besides the pair that the decision left.

    - `wrote`: the lowest new revision of each side that the sync wrote. A restored document leaves revisions out.
    - `fired`: the fields for which a rule fired.
    - `undecided`: the fields whose newer side is not known.
    - `assumed`: the fields that were decided by the assumption of the first sight.
    - `resumed`: rule B2 or B3 took the work-item of an ended conversation out of wrap-up.
    - `completion`: rule A1 wrote the conversation.
    """

    wrote: Mapping[Side, int] = field(default_factory=dict)
    fired: frozenset[Field] = frozenset()
    undecided: frozenset[Field] = frozenset()
    assumed: frozenset[Field] = frozenset()
    resumed: bool = False
    completion: bool = False


NOTHING_WRITTEN: Final = Reconciled()


def after_reconcile(
    state: SyncState,
    conversation: Conversation,
    item: WorkItem,
    decided: Reconciled = NOTHING_WRITTEN,
    *,
    queue_now: datetime,
) -> SyncState:
    """The state after a decision that left the pair as given. `queue_now`: the time by SQS's clock.

    - A revision that the sync wrote counts as observed. A revision that was only read does not: its event has not
      arrived.
    - Where both sides agree on a field, the work-item knows the conversation's revision. Where they differ, `known` and
      `changed` stay, so the newer side stays the newer one.
    - An undecided field for which a rule fired waits while the sides differ.
    - A field on which the sides differ is viewed only if observed revisions decided it: an unobserved write may have
      changed its value.
    - A work-item older than the state's changes nothing.
    """
    state = for_pair(state, item)
    if state.work_item != item.id:
        return state
    known, known_at, changed = dict(state.known), dict(state.known_at), state.changed
    agreed = agreed_fields(conversation, item)
    for name in agreed:
        known[name], known_at[name] = conversation.rev, item.rev
    if decided.resumed and "ended" not in agreed:
        # The conversation stays ended: the work-item goes to wrap-up again once an agent takes it (rule B7).
        changed = {**changed, "ended": conversation.rev}
        known["ended"], known_at["ended"] = conversation.rev - 1, item.rev
    conversation_observed, work_item_observed = state.conversation_observed, state.work_item_observed
    if "conversation" in decided.wrote:
        conversation_observed = with_range(conversation_observed, decided.wrote["conversation"], conversation.rev)
    if "work-item" in decided.wrote:
        work_item_observed = with_range(work_item_observed, decided.wrote["work-item"], item.rev)
    views = shared_values(conversation)
    for name in (decided.undecided | decided.assumed) - agreed:
        del views[name]
    waiting = None
    if decided.fired & (decided.undecided - agreed):
        waiting = state.waiting or Waiting(
            since=queue_now,
            conversation_rev=conversation.rev,
            work_item_rev=item.rev,
            values=shared_values(conversation),
        )
    return _with(
        state,
        conversation_observed=conversation_observed,
        work_item_observed=work_item_observed,
        view=_viewed(state.view, views, conversation.rev),
        changed=changed,
        known=known,
        known_at=known_at,
        done_by=DoneBy(number=item.number, rev=conversation.rev) if decided.completion else state.done_by,
        waiting=waiting,
    )


def after_waiting(state: SyncState, conversation: Conversation) -> SyncState:
    """The state after the watermark has passed the time since which the pair waits (docs/rules.md, *Waiting, and
    the gap poll*).

    - Every revision up to those noted in `waiting` counts as observed.
    - A field whose value at the noted revision differs from an older view changed without an event, at the highest
      noted revision whose event did not come: an event that came would have told of it. A state of an older worker has
      noted no values. Later revisions have their own events, so there the stored value shows it only once all of them
      are observed.
    - A field that no event told anything about is the conversation's, which is the source of truth.
    """
    waiting = state.waiting
    if waiting is None:
        return state
    noted = waiting.conversation_rev
    observed = with_range(state.conversation_observed, 1, noted)
    values = waiting.values
    if not values and covers(observed, 1, conversation.rev):
        values = shared_values(conversation)
    unannounced_rev = highest_gap(state.conversation_observed, noted)
    unannounced: list[Field] = []
    for name in FIELDS:
        viewed = state.view.get(name)
        if viewed is None:
            if name not in state.known and name not in state.touched:
                unannounced.append(name)
        elif name in values and viewed.rev < unannounced_rev and viewed.value != values[name]:
            unannounced.append(name)
    return replace(
        state,
        conversation_observed=observed,
        work_item_observed=with_range(state.work_item_observed, 1, waiting.work_item_rev),
        changed=_raised(state.changed, unannounced, unannounced_rev),
        waiting=None,
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
        conversation_floor=_floor(state.conversation_floor, conversation),
        work_item_floor=_floor(state.work_item_floor, item if of_pair else None),
        finished_at=(state.finished_at or now) if finished else None,
    )


def reset_if_restored(state: SyncState, *, conversation_rev: int | None, work_item_rev: int | None) -> SyncState:
    """The state; a new one where a stored revision is below one stored before: a restored database (docs/rules.md,
    *A restored database*). The new one keeps the highest revision of each document, because no revision may be
    announced twice.

    The revisions are those of the stored conversation and of the stored work-item that the state names, None where it
    is missing.
    """
    conversation_fell = conversation_rev is not None and conversation_rev < state.conversation_rev
    work_item_fell = work_item_rev is not None and work_item_rev < state.work_item_rev
    if not conversation_fell and not work_item_fell:
        return state
    return SyncState(
        version=state.version,
        conversation_floor=max(state.conversation_rev, highest(state.conversation_observed), state.conversation_floor),
        work_item=state.work_item,
        work_item_number=state.work_item_number,
        work_item_floor=max(state.work_item_rev, highest(state.work_item_observed), state.work_item_floor),
    )


def next_rev(rev: int, observed: RevisionRuns, floor: int) -> int:
    """The revision of the next write of a document at `rev`: above every revision that was announced before, as far as
    the state knows them."""
    return max(rev, highest(observed), floor) + 1


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
        work_item_floor=0,
        known={},
        known_at={},
        touched={},
        waiting=state.waiting and replace(state.waiting, work_item_rev=0),
        finished_at=None,
    )


def _noted(runs: RevisionRuns, event: Observation) -> RevisionRuns:
    return with_revision(runs, event.rev) if event.all_changes_known else runs


def _floor(floor: int, stored: Conversation | WorkItem | None) -> int:
    """The floor; 0 once the stored revision has reached it."""
    return 0 if stored is not None and stored.rev >= floor else floor


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
