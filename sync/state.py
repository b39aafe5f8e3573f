"""The sync state of one conversation: which revisions were observed, and who last wrote each field knowing what.

Observing commutes and may be repeated: whatever order events come in, and however often, the state ends the same.
`legacy` keeps it without asking it, so that policies can be switched at any time (sync-rules.md, *State*, steps 1
and 4). Who asks it is causality.py.
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
    """The conversation's value of a field, and the revision that had it."""

    value: Any
    rev: int


class SyncState(Struct, frozen=True, kw_only=True):
    """One document of `sync_states`. `version` 0: not stored yet. Fields missing in a mapping are 0, or not viewed.

    `…_rev`: the highest revision known to have been stored; a lower one in the store means a restored database.
    `reconciled`: the rules were asked about this pair before. `finished_at`: when its end was first seen, None while
    it goes on.
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
    """What one event says of its document, whatever becomes of it.

    `fields`: the shared fields it changed. `knew`: the conversation revision that a work-item's write knew.
    `values`: a conversation's shared values after it. `creation`: it had none before, so that all of them are told of
    without any having changed. `deletion`: the conversation was deleted.
    """

    side: Side
    rev: int
    is_sync: bool
    fields: frozenset[Field] = frozenset()
    knew: int | None = None
    values: Mapping[Field, Any] = field(default_factory=dict)
    creation: bool = False
    deletion: bool = False
    work_item: str | None = None
    work_item_number: int = 0


def observe(state: SyncState, seen: Observation) -> SyncState:
    """The state after the event; the very same object where the event is no news."""
    return _observe_conversation(state, seen) if seen.side == "conversation" else _observe_work_item(state, seen)


def _observe_conversation(state: SyncState, seen: Observation) -> SyncState:
    deleted = max(state.deleted_rev or 0, seen.rev) if seen.deletion else state.deleted_rev
    changed = state.changed if seen.is_sync else _raised(state.changed, seen.fields, seen.rev)
    told_of = {name: value for name, value in seen.values.items() if seen.creation or name in seen.fields}
    return _with(
        state,
        conversation_observed=with_revision(state.conversation_observed, seen.rev),
        view=_viewed(state.view, told_of, seen.rev),
        changed=changed,
        deleted_rev=deleted,
    )


def _observe_work_item(state: SyncState, seen: Observation) -> SyncState:
    state = _for_work_item(state, seen.work_item, seen.work_item_number)
    if state.work_item != seen.work_item:
        return state
    known, known_at = dict(state.known), dict(state.known_at)
    if not seen.is_sync and seen.knew is not None:
        for name in seen.fields:
            if seen.rev > known_at.get(name, 0):
                known[name], known_at[name] = seen.knew, seen.rev
    observed = with_revision(state.work_item_observed, seen.rev)
    return _with(state, work_item_observed=observed, known=known, known_at=known_at)


def after_reconcile(
    state: SyncState,
    conversation: Conversation,
    item: WorkItem,
    *,
    now: datetime,
    wrote: Collection[Side] = (),
    asked: frozenset[Field] = frozenset(),
    undecided: frozenset[Field] = frozenset(),
) -> SyncState:
    """The state after a reconcile that left the pair as given, having written the sides `wrote`.

    The sync's own writes count as observed; what was only read does not, for its event may still tell of somebody
    unseen. Wherever the two sides agree the work-item knows the conversation's revision; on the others both stay, so
    that whoever was newer remains so (step 4). Of the fields of which nobody could say who is newer, `undecided`, those
    on which a rule was `asked` and the sides still differ wait; none of those is viewed, for the conversation's value
    may be one that an unseen write has changed. A work-item of an older history leaves no mark.
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
    open_still = undecided - agreed
    views = shared_values(conversation)
    for name in open_still:
        del views[name]
    return _with(
        state,
        conversation_observed=conversation_observed,
        work_item_observed=work_item_observed,
        reconciled=True,
        view=_viewed(state.view, views, conversation.rev),
        known=known,
        known_at=known_at,
        waiting_since=(state.waiting_since or now) if asked & open_still else None,
    )


def with_stored_revisions(
    state: SyncState, conversation: Conversation | None, item: WorkItem | None, *, now: datetime
) -> SyncState:
    """The state that has noted which revisions the store holds, and whether the pair has come to its end: nobody works
    on either record any more."""
    ours = item is not None and item.id == state.work_item
    # A conversation that was re-opened is not: its state still says that this is newer than the completion.
    closed = conversation is None or conversation.deleted or conversation.status is ConversationStatus.DONE
    nobody = conversation is None and item is None
    over = closed and not nobody and (item is None or (ours and not item.active))
    return _with(
        state,
        conversation_rev=max(state.conversation_rev, conversation.rev if conversation else 0),
        work_item_rev=max(state.work_item_rev, item.rev) if item and ours else state.work_item_rev,
        finished_at=(state.finished_at or now) if over else None,
    )


def reset_if_restored(state: SyncState, *, conversation_rev: int | None, work_item_rev: int | None) -> SyncState:
    """The state, or an empty one where the store holds less than it once did: a restored database (*Old news*).

    The revisions are those of the stored conversation and of the stored work-item that the state names, None where
    there is none.
    """
    conversation_fell = conversation_rev is not None and conversation_rev < state.conversation_rev
    work_item_fell = work_item_rev is not None and work_item_rev < state.work_item_rev
    return SyncState(version=state.version) if conversation_fell or work_item_fell else state


def all_agree(conversation: Conversation, item: WorkItem) -> bool:
    """True where both records say the same of every shared field."""
    return agreed_fields(conversation, item) is _EVERY


def agreed_fields(conversation: Conversation, item: WorkItem) -> frozenset[Field]:
    """The shared fields of which both records say the same (step 4, *To agree*)."""
    users, user, status = conversation.assigned_users, item.assigned_to, conversation.status
    assignee = user in users if user is not None else not users
    queue = conversation.queue == item.queue
    closed = (status is ConversationStatus.DONE) is (item.status is Status.COMPLETED)
    ended = conversation.ended is (item.status is Status.WRAP_UP)
    paused = (status is ConversationStatus.SNOOZED) is item.paused
    if assignee and queue and closed and ended and paused:
        return _EVERY
    agreed = zip(FIELDS, (assignee, queue, closed, ended, paused), strict=True)
    return frozenset([name for name, same in agreed if same])


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
    """The state as the pair with `item` finds it: of a work-item not met before, nothing is known yet."""
    if state.work_item == item.id or item.number < state.work_item_number:
        return state
    return _new_history(state, item.id, item.number)


def _for_work_item(state: SyncState, work_item: str | None, number: int) -> SyncState:
    """A new work-item starts a new history; an event of an older one belongs to none."""
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
    news = {}
    for name, value in values.items():
        known = view.get(name)
        if known is None or rev > known.rev:
            news[name] = ViewedValue(value=value, rev=rev)
    return {**view, **news} if news else view


def _with(state: SyncState, **changes: Any) -> SyncState:
    """The state with these changes; the very same object where they change nothing."""
    for name, value in changes.items():
        if getattr(state, name) != value:
            return replace(state, **changes)
    return state


_EVERY: Final = frozenset(FIELDS)
