"""A work-item's history in its queues, written through the commands, with an independent count of its waits.

The count follows the statuses: a wait ends when a write takes the work-item out of queued, to routed or to assigned. It
looks at no `lastRevision`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from msgspec import Struct

from commands.session import Session
from handlers.documents.document_mapping import work_item_of
from handlers.events.event import Event
from handlers.ports import Document
from tests.causality.outside import ChangesForm, event_of_write, work_item_created, work_item_updated
from tests.handlers.small_ports import START

CONVERSATION: Final = "c-1"
WORK_ITEM: Final = "w-1"
SESSIONS: Final = {f"s-{user}": Session(id=f"s-{user}", user=user, capacity=9) for user in ("u-1", "u-2")}


class HistoryWait(Struct, frozen=True, kw_only=True, order=True):
    """A wait as the count has it."""

    ended_at: datetime
    queue: str
    duration_ms: int


class QueueHistory:
    """The writes of one work-item, from its creation in ivr at `START`."""

    def __init__(self, form: ChangesForm = "those that changed") -> None:
        self.now = START
        self.form = form
        self.document: Document = work_item_created(CONVERSATION, 1, 1, START, WORK_ITEM)
        self.documents = [self.document]
        self.events: list[Event] = [event_of_write(None, self.document)]
        self.waits: list[HistoryWait] = []
        self._entered_at: datetime | None = None

    def write(self, fields: Mapping[str, Any], *, after_ms: int = 0) -> Event | None:
        """Write an update so much later; its event, or None if the commands refuse it or it changes nothing."""
        self.now += timedelta(milliseconds=after_ms)
        before = self.document
        after = work_item_updated(before, fields, self.now, SESSIONS)
        if after is None:
            return None
        self._count(before, after, fields)
        event = event_of_write(before, after, knew=1, form=self.form)
        self.document = after
        self.documents.append(after)
        self.events.append(event)
        return event

    def _count(self, before: Document, after: Document, fields: Mapping[str, Any]) -> None:
        was, becomes = work_item_of(before), work_item_of(after)
        if becomes.status == "queued":
            if "rejectedBy" not in (fields.get("routed") or {}) and (was.status, was.queue) != (
                "queued",
                becomes.queue,
            ):
                self._entered_at = self.now
            return
        taken = becomes.status in ("routed", "assigned") or bool(fields.get("assignedTo"))
        if was.status == "queued" and taken:
            assert was.queue is not None
            assert self._entered_at is not None
            duration_ms = (self.now - self._entered_at) // timedelta(milliseconds=1)
            self.waits.append(HistoryWait(ended_at=self.now, queue=was.queue, duration_ms=duration_ms))


def counted(records: Sequence[Mapping[str, Any]]) -> list[HistoryWait]:
    """The records of `waits` in the form of the count, in the order of their ends."""
    assert {(record["workItemId"], record["conversationId"]) for record in records} <= {(WORK_ITEM, CONVERSATION)}
    return sorted(
        HistoryWait(ended_at=record["endedAt"], queue=record["queue"], duration_ms=record["durationMs"])
        for record in records
    )
