"""The collections, by the names they have in the database."""

from enum import StrEnum


class Collection(StrEnum):
    """One name a collection; who writes what into which is in `worker/plan_steps.py`."""

    CONVERSATIONS = "conversations"
    WORK_ITEMS = "work_items"
    WORK_ITEM_REVISIONS = "work_item_revisions"
    WORK_SESSIONS = "work_sessions"
    QUEUES = "queues"
    SYNC_STATES = "sync_states"
    OUTBOX = "outbox"
