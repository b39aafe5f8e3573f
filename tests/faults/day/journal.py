"""The journal of a day: every committed revision of every document, read from MongoDB's change stream as it happens.

It keeps what the audit needs of each revision, not the documents: a day has tens of thousands of them.
"""

import json
import threading
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from msgspec import Struct
from pymongo.database import Database

from commands.instant import parse_instant
from handlers.documents.document import document_from_snapshot
from handlers.documents.document_mapping import conversation_of, work_item_of
from handlers.events.event import Event
from handlers.events.parser import read_message
from sync.conversation import Field
from sync.gates import Side
from sync.state.agreement import shared_values, work_item_values
from tests.faults.expected_ends import values_of

_DOCUMENTS: Final = ("conversations", "work_items")
_ENDS: Final = "journal_ends"
_END_S: Final = 60.0


class Announced(Struct, frozen=True, kw_only=True):
    """What the outbox entry of a write says. `update`: the update of the commands that made the write, else None."""

    message_id: str
    is_sync: bool
    changed_fields: frozenset[Field]
    known_rev: int | None
    actions: tuple[str, ...]
    update: Mapping[str, Any] | None


class ItemTimes(Struct, frozen=True, kw_only=True):
    """The status of a work-item's revision, and its times in queues. `written_at` is its `updatedAt`."""

    status: str
    queue: str | None
    routed_to: str | None
    entered_queue_at: datetime | None
    accepted_at: datetime | None
    written_at: datetime


class Revision(Struct, frozen=True, kw_only=True):
    """One committed revision of a document.

    Of a write of the worker it is what the outbox entry shows, of another one the stored document.

    `values`: the shared fields as the contract reads them; `plain`: as the independent count reads them. `announced`:
    the outbox entry of the same transaction; None: the worker did not make the write, or did not announce it.
    """

    side: Side
    key: str
    conversation_id: str
    rev: int
    created: bool
    values: Mapping[Field, Any]
    plain: Mapping[str, Any]
    deleted: bool = False
    number: int = 0
    resource_rev: int | None = None
    times: ItemTimes | None = None
    announced: Announced | None = None


class RevisionJournal:
    """`start` before the first write, `stop` after the last. `revisions`: in the order in which they were committed."""

    def __init__(self, database: Database[dict[str, Any]]) -> None:
        """Creates the collections, so that the server keeps the documents before and after each change."""
        self._database = database
        for name in _DOCUMENTS:
            database.create_collection(name, changeStreamPreAndPostImages={"enabled": True})
        self._since = database.command("ping")["operationTime"]
        self.revisions: list[Revision] = []
        self.announced_otherwise: list[str] = []
        self._open: list[Mapping[str, Any]] = []
        self._entries: dict[tuple[str, int], Revision] = {}
        self._transaction: object = None
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Returns once every committed change up to now was read. Raises AssertionError where reading failed."""
        self._database[_ENDS].insert_one({})
        self._thread.join(_END_S)
        if self._failed is not None:
            raise AssertionError("the change stream was not read") from self._failed
        assert not self._thread.is_alive(), f"the change stream was not read to its end within {_END_S:.0f} s"

    def _run(self) -> None:
        names = [*_DOCUMENTS, "outbox", _ENDS]
        wanted: list[dict[str, Any]] = [
            {"$match": {"ns.coll": {"$in": names}, "operationType": {"$in": ["insert", "update", "replace"]}}}
        ]
        try:
            with self._database.watch(
                wanted, full_document="whenAvailable", start_at_operation_time=self._since
            ) as stream:
                for change in stream:
                    if change["ns"]["coll"] == _ENDS:
                        self._close()
                        return
                    self._take(change)
        except BaseException as error:  # noqa: BLE001 - raised again by `stop`, in the thread of the test
            self._failed = error

    def _take(self, change: Mapping[str, Any]) -> None:
        transaction = (change["lsid"]["id"], change["txnNumber"]) if "txnNumber" in change else object()
        if transaction != self._transaction:
            self._close()
            self._transaction = transaction
        if change["ns"]["coll"] == "outbox":
            if change["operationType"] == "insert":
                self._note_entry(change["fullDocument"])
        else:
            self._open.append(change)

    def _note_entry(self, entry: Mapping[str, Any]) -> None:
        event = read_message(entry["message"])
        assert isinstance(event, Event), event
        where = event.document_id, event.rev
        if where in self._entries:
            self.announced_otherwise.append(f"{where} twice")
        document = document_from_snapshot(event.data, org=event.org, rev=event.rev)
        announced = _announced(entry["_id"], event, entry["message"])
        self._entries[where] = _revision(document, created=event.creation, announced=announced)

    def _close(self) -> None:
        """The transaction's revisions. Several revisions of a document may be one write: each has its outbox entry."""
        self.revisions.extend(self._entries.values())
        for change in self._open:
            document = change["fullDocument"]
            stored = _revision(document, created=change["operationType"] == "insert", announced=None)
            announced = self._entries.get((stored.key, stored.rev))
            if announced is None:
                self.revisions.append(stored)
            elif (announced.plain, announced.times) != (stored.plain, stored.times):
                self.announced_otherwise.append(f"{stored.key} {stored.rev}")
        self._open, self._entries = [], {}

    def by_conversation(self) -> dict[str, list[Revision]]:
        """The revisions of each conversation and of its work-items."""
        found: dict[str, list[Revision]] = {}
        for revision in self.revisions:
            found.setdefault(revision.conversation_id, []).append(revision)
        return found

    def of_items(self) -> Iterator[tuple[str, list[Revision]]]:
        """The work-items with their revisions."""
        found: dict[str, list[Revision]] = {}
        for revision in self.revisions:
            if revision.side == "work-item":
                found.setdefault(revision.key, []).append(revision)
        yield from found.items()


def _announced(message_id: str, event: Event, message: str) -> Announced:
    reasons = _reasons(message)
    updates = [reason["meta"]["data"] for reason in reasons if reason["action"] == "UPDATE_COMMAND"]
    return Announced(
        message_id=message_id,
        is_sync=event.is_sync,
        changed_fields=event.changed_fields or frozenset(),
        known_rev=event.known_conversation_rev,
        actions=tuple(reason["action"] for reason in reasons),
        update=updates[0] if updates else None,
    )


def _reasons(message: str) -> list[dict[str, Any]]:
    reasons: list[dict[str, Any]] = json.loads(message)["body"]["routingReasons"]
    return reasons


def _revision(document: Mapping[str, Any], *, created: bool, announced: Announced | None) -> Revision:
    key, rev = document["_id"], document["rev"]
    if document["type"] == "conversation":
        conversation = conversation_of(document)
        return Revision(
            side="conversation",
            key=key,
            conversation_id=key,
            rev=rev,
            created=created,
            values=shared_values(conversation),
            plain=values_of(document),
            deleted=conversation.deleted,
            announced=announced,
        )
    attributes = document["attributes"]
    return Revision(
        side="work-item",
        key=key,
        conversation_id=document["conversationId"],
        rev=rev,
        created=created,
        values=work_item_values(work_item_of(document)),
        plain=values_of(document),
        number=attributes["workItemNumber"],
        resource_rev=attributes.get("resourceRev"),
        times=_times(document),
        announced=announced,
    )


def _times(document: Mapping[str, Any]) -> ItemTimes:
    attributes, last = document["attributes"], document["attributes"].get("lastRevision") or {}
    written_at = parse_instant(attributes["updatedAt"])
    assert written_at is not None
    return ItemTimes(
        status=attributes["status"],
        queue=values_of(document)["queue"],
        routed_to=((document["relationships"].get("routedTo") or {}).get("data") or {}).get("id"),
        entered_queue_at=parse_instant(last["enteredQueueAt"]) if last.get("enteredQueueAt") else None,
        accepted_at=parse_instant(last["acceptedAt"]) if last.get("acceptedAt") else None,
        written_at=written_at,
    )
