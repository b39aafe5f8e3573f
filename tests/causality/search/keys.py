"""Keys of states: two states with the same key have the same future."""

from typing import Any

from handlers.documents.document_mapping import conversation_of, work_item_of
from handlers.events.event import Event
from handlers.ports import Document
from sync.contract import FieldHistory
from sync.state.sync_state import SyncState
from tests.causality.search.record import Version


def conversation_key(document: Document) -> tuple[Any, ...]:
    """The key of a conversation. Of a time it keeps whether there is one: all writes of a run have the same time."""
    found = conversation_of(document)
    return (
        found.rev,
        found.status,
        found.assigned_users,
        found.queue,
        found.ended,
        found.deleted,
        found.updated_at is None,
    )


def event_key(event: Event) -> tuple[Any, ...]:
    """The key of an event: everything that observing it adds to the state."""
    return (
        event.side,
        event.document_id,
        event.rev,
        event.known_conversation_rev,
        event.changed_fields,
        repr(event.values),
        event.creation,
        event.deletion,
    )


def work_item_key(document: Document) -> tuple[Any, ...]:
    """The key of a work-item."""
    item = work_item_of(document)
    return (
        item.id,
        item.rev,
        item.status,
        item.assigned_to,
        item.queue,
        item.paused,
        item.queued_count > 0,
        item.updated_at is None,
    )


def state_key(state: SyncState) -> tuple[Any, ...]:
    """The key of a sync state. Its version does not matter, and neither does the time since which the pair waits: the
    node compares that with the times of the events on their way."""
    waiting, done_by = state.waiting, state.done_by
    return (
        state.version == 0,
        state.conversation_observed,
        state.work_item,
        state.work_item_observed,
        tuple(sorted((k, repr(v.value), v.rev) for k, v in state.view.items())),
        tuple(sorted(state.changed.items())),
        tuple(sorted(state.known.items())),
        tuple(sorted(state.known_at.items())),
        tuple(sorted(state.touched.items())),
        None
        if waiting is None
        else (
            waiting.conversation_rev,
            waiting.work_item_rev,
            tuple(sorted((k, repr(v)) for k, v in waiting.values.items())),
        ),
        None if done_by is None else (done_by.number, done_by.rev),
        state.deleted_rev,
    )


def version_key(version: Version) -> tuple[Any, ...]:
    """The key of a reading of the outside writes."""
    return history_key(version.history), tuple(sorted(version.at_done.items()))


def history_key(history: FieldHistory) -> tuple[Any, ...]:
    """The key of a history of outside writes."""
    of_conversation, of_item = sorted(history.conversation.items()), sorted(history.work_item.items())
    return (
        tuple((name, wrote.rev, repr(wrote.value), repr(wrote.superseding_values)) for name, wrote in of_conversation),
        tuple((name, wrote.rev, wrote.known_conversation_rev, repr(wrote.value)) for name, wrote in of_item),
    )
