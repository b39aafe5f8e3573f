"""Observations of events and pairs for the sync state, each in one line."""

from datetime import UTC, datetime
from functools import reduce
from typing import Any, Final

from commands.work_item import Status, WorkItem
from sync.conversation import FIELDS, Conversation, ConversationStatus, Field
from sync.state.observation import Observation, observe
from sync.state.sync_state import SyncState

EMPTY: Final = SyncState()
NOW: Final = datetime(2024, 5, 6, tzinfo=UTC)


def conversation_event(
    rev: int, *fields: Field, sync: bool = False, deletion: bool = False, **values: Any
) -> Observation:
    """A conversation's event that changed `fields`; values that are not given follow from the revision."""
    shared: dict[Field, Any] = {name: f"{name} at {rev}" for name in FIELDS}
    shared.update({name: values[name] for name in FIELDS if name in values})
    return Observation(
        side="conversation", rev=rev, is_sync=sync, changed_fields=frozenset(fields), values=shared, deletion=deletion
    )


def work_item_event(
    rev: int, *fields: Field, knew: int | None = None, sync: bool = False, item: str = "w1", number: int = 1
) -> Observation:
    """A work-item's event; of the first work-item unless another one is given."""
    return Observation(
        side="work-item",
        rev=rev,
        is_sync=sync,
        changed_fields=frozenset(fields),
        known_conversation_rev=knew,
        work_item=item,
        work_item_number=number,
    )


def seen(*events: Observation, state: SyncState = EMPTY) -> SyncState:
    return reduce(observe, events, state)


def a_conversation(**overrides: Any) -> Conversation:
    return Conversation(**{"id": "c", "rev": 6, "status": ConversationStatus.OPEN, **overrides})


def a_work_item(**overrides: Any) -> WorkItem:
    return WorkItem(**{"id": "w1", "rev": 3, "status": Status.IVR, "number": 1, **overrides})
