"""The state where everything that is stored counts as observed: for the sweep, which goes by the documents
(docs/rules.md, *The sweep*). Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from commands.work_item import WorkItem
from sync.conversation import FIELDS, Conversation, Field
from sync.state.agreement import shared_values
from sync.state.reconciliation import after_waiting
from sync.state.revision_runs import contains
from sync.state.sync_state import SyncState, ViewedValue, Waiting, for_pair, new_history


def is_stored_pair_observed(state: SyncState, conversation: Conversation | None, item: WorkItem | None) -> bool:
    """Whether the state has observed the stored revisions of both records; None: the record is not stored."""
    if conversation is not None and not contains(state.conversation_observed, conversation.rev):
        return False
    if item is None or item.number < state.work_item_number:
        return True
    return item.id == state.work_item and contains(state.work_item_observed, item.rev)


def fields_changed_by_hand(state: SyncState, conversation: Conversation) -> frozenset[Field]:
    """The conversation's fields whose values changed while its revision stayed: a write in the shell or by a script."""
    values = shared_values(conversation)
    return frozenset([name for name in FIELDS if _differs_at_its_revision(state, conversation, values, name)])


def with_stored_pair_observed(
    state: SyncState, conversation: Conversation, item: WorkItem | None, *, at: datetime
) -> SyncState:
    """The state after every event of the stored revisions was delivered or lost. `at`: the watermark.

    - Every stored revision counts as observed, and what changed without an event counts as changed, as at the end of a
      wait (`after_waiting`).
    - A field that was changed by hand counts as changed at the stored revision, and the work-item knew the one before.
    - A work-item that is new to the state says what its creation knew: the stored `resourceRev`. An active one is the
      pair's whatever its number is: it may have been activated again by hand, after a later one.
    """
    # A pair's own wait is for the revisions that it noted, and what changed up to those counts at those.
    state = after_waiting(state, conversation)
    by_hand = fields_changed_by_hand(state, conversation)
    is_new = item is not None and state.work_item != item.id
    paired = state if item is None else _paired(state, item)
    of_pair = item is not None and paired.work_item == item.id
    values = shared_values(conversation)
    waiting = Waiting(
        since=at,
        conversation_rev=conversation.rev,
        work_item_rev=item.rev if item is not None and of_pair else 0,
        values=values,
    )
    observed = after_waiting(replace(paired, waiting=waiting), conversation)
    changed, known, known_at = dict(observed.changed), dict(observed.known), dict(observed.known_at)
    if item is not None and is_new and of_pair and item.resource_rev:
        known.update(dict.fromkeys(FIELDS, item.resource_rev))
        known_at.update(dict.fromkeys(FIELDS, 1))
    view = dict(observed.view)
    for name in by_hand:
        changed[name] = conversation.rev
        known[name] = min(known.get(name, 0), conversation.rev - 1)
        view[name] = ViewedValue(value=values[name], rev=conversation.rev)
    return replace(observed, changed=changed, known=known, known_at=known_at, view=view)


def with_conversation_removed(state: SyncState) -> SyncState:
    """The state of a conversation that was stored once and is stored no more: its owner deleted it, and the deletion's
    event was lost."""
    highest_rev = max(state.conversation_rev, state.conversation_floor)
    return replace(state, deleted_rev=max(state.deleted_rev or 0, highest_rev))


def _paired(state: SyncState, item: WorkItem) -> SyncState:
    if item.active and item.number < state.work_item_number:
        return new_history(state, item.id, item.number)
    return for_pair(state, item)


def _differs_at_its_revision(
    state: SyncState, conversation: Conversation, values: Mapping[Field, Any], name: Field
) -> bool:
    viewed = state.view.get(name)
    return viewed is not None and viewed.rev == conversation.rev and viewed.value != values[name]
