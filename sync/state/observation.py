"""Observing an event: the state after it, whatever events came before (docs/rules.md, *The sync state*). Pure."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from sync.conversation import Field
from sync.gates import Side
from sync.state.revision_runs import RevisionRuns, count, covers, with_revision
from sync.state.sync_state import SyncState, new_history, raised_revisions, with_changes, with_views


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
    changed = state.changed if event.is_sync else raised_revisions(state.changed, event.changed_fields, event.rev)
    values = {name: value for name, value in event.values.items() if event.creation or name in event.changed_fields}
    return with_changes(
        state,
        conversation_observed=_noted(state.conversation_observed, event),
        conversation_floor=_raised_floor(state.conversation_floor, event),
        view=with_views(state.view, values, event.rev),
        changed=changed,
        deleted_rev=deleted,
    )


def _observe_work_item(state: SyncState, event: Observation) -> SyncState:
    state = _for_work_item(state, event.work_item, event.work_item_number)
    if state.work_item != event.work_item:
        return state
    observed = _noted(state.work_item_observed, event)
    state = with_changes(state, work_item_floor=_raised_floor(state.work_item_floor, event))
    if event.is_sync:
        return with_changes(state, work_item_observed=observed)
    if event.known_conversation_rev is None:
        touched = raised_revisions(state.touched, event.changed_fields, event.rev)
        return with_changes(state, work_item_observed=observed, touched=touched)
    known, known_at = dict(state.known), dict(state.known_at)
    for name in event.changed_fields:
        if event.rev > known_at.get(name, 0):
            known[name], known_at[name] = event.known_conversation_rev, event.rev
    return with_changes(state, work_item_observed=observed, known=known, known_at=known_at)


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


def _for_work_item(state: SyncState, work_item: str | None, number: int) -> SyncState:
    """The state of a work-item's event: a new work-item starts a new history, an older one changes nothing."""
    if state.work_item == work_item or (state.work_item is not None and number <= state.work_item_number):
        return state
    return new_history(state, work_item, number)


def _raised_floor(floor: int, event: Observation) -> int:
    """The floor after the event. A revision that is not noted as observed was announced all the same, and no write may
    take it again."""
    return floor if event.all_changes_known else max(floor, event.rev)


def _noted(runs: RevisionRuns, event: Observation) -> RevisionRuns:
    return with_revision(runs, event.rev) if event.all_changes_known else runs
