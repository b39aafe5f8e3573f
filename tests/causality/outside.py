"""The outside services: their writes of either document, and the events that announce them.

A conversation is edited field by field, a work-item through the commands, as the router and the API do it. The event of
a work-item's write says which conversation revision the writer had read: the current one, or an older one where it read
early and wrote late.
"""

from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal, assert_never

from msgspec.structs import replace

from commands.context import CommandContext
from commands.engines.rollout import UpdateOrigin
from commands.execute import Applied, execute
from commands.instant import format_instant
from commands.session import Session
from commands.update import Update, parse_update
from handlers.documents.document import changes_between, document_from_snapshot, snapshot_of
from handlers.documents.document_mapping import conversation_of, updated_conversation_document, work_item_of
from handlers.documents.document_mapping import updated_work_item_document as work_item_written
from handlers.events.event import Event
from handlers.events.parser import read_object
from handlers.ports import Document
from sync.contract import FieldHistory
from sync.conversation import Field
from sync.state.agreement import shared_values, work_item_values

NOW: Final = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
"""The time of every write of a run: no document grows old in it."""

Fields = Mapping[str, Any]

ChangesForm = Literal["those that changed", "none", "unchanged relationships too"]
"""The `changes` of a service's updates. Some services send none; some send every relationship of the document, whether
or not the write changed it."""

CONVERSATION_WRITES: Final[Mapping[str, Fields]] = {
    "assign u1": {"assignedUsers": ["u1"]},
    "assign u2": {"assignedUsers": ["u2"]},
    "un-assign": {"assignedUsers": []},
    "queue q1": {"queue": {"id": "q1"}},
    "queue q2": {"queue": {"id": "q2"}},
    "no queue": {"queue": {"id": None}},
    "done": {"status": "done"},
    "open": {"status": "open"},
    "snooze": {"status": "snoozed"},
    "end": {"ended": True},
    "re-open": {"status": "open", "ended": False},
    "delete": {"deleted": True},
}
WORK_ITEM_WRITES: Final[Mapping[str, Fields]] = {
    "assign u1": {"assignedTo": "u1"},
    "assign u2": {"assignedTo": "u2"},
    "un-assign": {"assignedTo": None},
    "queue q1": {"queue": "q1"},
    "queue q2": {"queue": "q2"},
    "no queue": {"queue": None},
    "complete": {"status": "completed"},
    "wrap up": {"status": "wrap-up"},
    "pause": {"paused": True},
}


def conversation_written(before: Document, fields: Fields, now: datetime = NOW) -> Document | None:
    """The conversation after an edit; None where the edit changes nothing, or where it is deleted already."""
    if conversation_of(before).deleted:
        return None
    after = updated_conversation_document(before, fields, now=now)
    same = all(
        _queue(before) == value["id"] if name == "queue" else before["attributes"].get(name) == value
        for name, value in fields.items()
    )
    return None if same else after


def work_item_updated(
    before: Document, fields: Fields, now: datetime = NOW, sessions: Mapping[str, Session] | None = None
) -> Document | None:
    """The work-item after an update; None where the commands refuse it or it changes nothing."""
    item = work_item_of(before)
    update = parse_update(fields)
    assert isinstance(update, Update)
    result = execute(item, update, context=CommandContext(sessions=sessions or {}), now=now, origin=UpdateOrigin.API)
    return work_item_written(before, item, result.after) if isinstance(result, Applied) else None


def touched(before: Document, now: datetime = NOW) -> Document:
    """The document after a write of no shared field: the customer writes, or a timing changes."""
    rev = before["rev"] + 1
    attributes = {**before["attributes"], "rev": rev, "updatedAt": format_instant(now)}
    return {**before, "rev": rev, "attributes": attributes}


def work_item_created(of: str, number: int, knew: int, now: datetime = NOW, key: str | None = None) -> Document:
    """A new work-item of the conversation, made from its revision `knew`, in ivr."""
    data = {
        "id": key or f"w{number}",
        "type": "work_item",
        "attributes": {
            "rev": 1,
            "status": "ivr",
            "resourceType": "conversation",
            "resourceRev": knew,
            "paused": False,
            "workItemNumber": number,
            "updatedAt": format_instant(now),
        },
        "relationships": {"resource": {"data": {"id": of, "type": "conversation"}}},
    }
    return document_from_snapshot(data, org="org", rev=1)


def event_of_write(
    before: Document | None,
    after: Document,
    *,
    knew: int | None = None,
    sync: bool = False,
    form: ChangesForm = "those that changed",
) -> Event:
    """The event of an outside write, or of the predecessor's sync, which gives no reason."""
    event = read_object(published_event(before, after, knew=knew, sync=sync, form=form))
    assert isinstance(event, Event), event
    return event


def event_of_removal(last: Document) -> Event:
    """The event of a conversation that its owner removed from the store. `last`: the document before the removal."""
    gone = touched(last)
    event = read_object({**published_event(last, gone), "name": "kustomer.conversation.delete"})
    assert isinstance(event, Event), event
    return event


def published_event(
    before: Document | None,
    after: Document,
    *,
    knew: int | None = None,
    sync: bool = False,
    form: ChangesForm = "those that changed",
) -> dict[str, Any]:
    """The event as it is published."""
    kind = "conversation" if after["type"] == "conversation" else "work-item"
    what = "create" if before is None else "update"
    reasons = [] if knew is None else [{"action": "UPDATE_COMMAND", "code": "X", "meta": {"conversationRev": knew}}]
    return {
        "id": f"{after['_id']}-{after['rev']}",
        "name": f"kustomer.{kind}.{what}",
        "org": "org",
        "data": snapshot_of(after),
        "createdAt": after["attributes"]["updatedAt"],
        "changes": None if before is None else _changes(before, after, form),
        "client": "predecessor" if sync else "api",
        "isSync": sync,
        "routingReasons": reasons,
    }


def _changes(before: Document, after: Document, form: ChangesForm) -> dict[str, Any] | None:
    match form:
        case "those that changed":
            return changes_between(before, after)
        case "none":
            return None
        case "unchanged relationships too":
            changes = changes_between(before, after)
            unchanged = {
                name: {"op": "replace", "before": value, "after": value}
                for name, value in (after.get("relationships") or {}).items()
            }
            return {**changes, "relationships": {**unchanged, **changes["relationships"]}}
        case _:
            assert_never(form)


def conversation_writes(
    before: Document, names: tuple[str, ...], now: datetime = NOW
) -> Iterator[tuple[str, Document]]:
    """The conversation after each of these edits that changes something."""
    for name in names:
        after = conversation_written(before, CONVERSATION_WRITES[name], now)
        if after is not None:
            yield name, after


def work_item_writes(
    before: Document, names: tuple[str, ...], now: datetime = NOW, sessions: Mapping[str, Session] | None = None
) -> Iterator[tuple[str, Document]]:
    """The work-item after each of these updates that changes something."""
    for name in names:
        after = work_item_updated(before, WORK_ITEM_WRITES[name], now, sessions)
        if after is not None:
            yield name, after


def with_outside_write(history: FieldHistory, event: Event, after: Document, knew: int | None) -> FieldHistory:
    """The history after an outside write: its fields, their values after it, and the revision that it knew.

    The event must bring its `changes`.
    """
    fields = event.changed_fields
    assert fields is not None, "the event brings its changes"
    if event.side == "conversation":
        return history.after_conversation(event.rev, fields, shared_values(conversation_of(after)))
    return history.after_work_item(
        event.rev, fields, work_item_values(work_item_of(after)), known_conversation_rev=knew
    )


def with_unknown_knew(history: FieldHistory, lost: Event) -> FieldHistory:
    """The history in which the lost event's write does not say what it knew, so either side may have its fields."""
    items = history.work_item.items()
    unsaid = {
        name: replace(wrote, known_conversation_rev=None) if wrote.rev == lost.rev else wrote for name, wrote in items
    }
    return replace(history, work_item=unsaid)


def with_unknown_knew_of_fields(history: FieldHistory, fields: Collection[Field]) -> FieldHistory:
    """The history in which no write of the work-item says what it knew of these fields."""
    items = history.work_item.items()
    unsaid = {name: replace(wrote, known_conversation_rev=None) if name in fields else wrote for name, wrote in items}
    return replace(history, work_item=unsaid)


def _queue(document: Document) -> str | None:
    return conversation_of(document).queue
