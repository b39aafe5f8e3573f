"""The steps of a transaction as MongoDB commands, one command per step."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, assert_never

from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import BulkWriteError, DocumentTooLarge

from commands.session import SessionSlot
from worker.mongo.database import Database
from worker.mongo.stored_types import as_bson
from worker.store.changed_paths import ChangedPaths
from worker.store.documents import Collection, session_entry_document
from worker.store.session_changes import SessionChange
from worker.store.transaction_steps import (
    DocumentChange,
    DocumentChanges,
    DocumentInserts,
    SessionChanges,
    TransactionStep,
)


async def write_steps(database: Database, session: AsyncClientSession, steps: Sequence[TransactionStep]) -> bool:
    """Write the steps in their order. Returns False at the first step whose condition does not hold.

    After False the caller aborts the transaction. Raises pymongo's exceptions; a duplicate key means that a condition
    does not hold, too.
    """
    for step in steps:
        if not await _write_step(database, session, step):
            return False
    return True


async def _write_step(database: Database, session: AsyncClientSession, step: TransactionStep) -> bool:
    match step:
        case DocumentInserts():
            documents = [_document(step.collection, document) for document in step.documents]
            await database[step.collection].insert_many(documents, ordered=False, session=session)
            return True
        case DocumentChanges():
            updates = [_update(step.collection, change) for change in step.changes]
            matched = await _run_updates(database, session, step.collection, updates)
            # The server answers with the total only: one document less means that a condition does not hold.
            return matched == len(updates)
        case SessionChanges():
            taken = [_pending_place_taken(change) for change in step.changes if change.pending_allowed is not None]
            if taken and await _run_updates(database, session, Collection.WORK_SESSIONS, taken):
                return False
            updates = [*_removals(step.changes), *_additions(step.changes)]
            # Ordered, so that all removals come before all additions.
            await _run_updates(database, session, Collection.WORK_SESSIONS, updates, ordered=True)
            return True
        case _:
            assert_never(step)


async def _run_updates(
    database: Database,
    session: AsyncClientSession,
    collection: Collection,
    updates: Sequence[Mapping[str, Any]],
    *,
    ordered: bool = False,
) -> int:
    """Run the updates as one command, at two thirds of the driver's bulk's cost; returns how many documents matched."""
    command = {"update": collection.value, "updates": updates, "ordered": ordered}
    try:
        response = await database.command(command, session=session)
    except DocumentTooLarge:
        # The driver raises this for the whole command before it sends anything, so the command is sent in two halves.
        # It is never the first command of its transaction (the states come before it, and they are small); the driver
        # would count the transaction as begun.
        if len(updates) == 1:
            raise
        middle = len(updates) // 2
        first = await _run_updates(database, session, collection, updates[:middle], ordered=ordered)
        return first + await _run_updates(database, session, collection, updates[middle:], ordered=ordered)
    if "writeErrors" in response:
        raise BulkWriteError(response)
    return int(response["n"])


_WITH_STORED_TYPES: Final = (Collection.CONVERSATIONS, Collection.WORK_ITEMS, Collection.WORK_ITEM_REVISIONS)
"""The collections whose documents can hold values that were read from a stored document."""


def _document(collection: Collection, document: Mapping[str, Any]) -> dict[str, Any]:
    copy: dict[str, Any] = as_bson(dict(document)) if collection in _WITH_STORED_TYPES else dict(document)
    return copy


def _update(collection: Collection, change: DocumentChange) -> dict[str, Any]:
    paths = change.paths
    if collection in _WITH_STORED_TYPES:
        paths = ChangedPaths(set=as_bson(dict(paths.set)), unset=paths.unset)
    return _one({"_id": change.id, change.condition_field: change.expected}, _operators(paths))


def _one(query: Mapping[str, Any], operators: Mapping[str, Any]) -> dict[str, Any]:
    return {"q": query, "u": operators}


def _operators(paths: ChangedPaths) -> dict[str, Any]:
    """The update operators. An empty `$set` changes nothing and keeps the condition; an empty `$unset` is left out."""
    if not paths.unset:
        return {"$set": paths.set}
    return {"$set": paths.set, "$unset": dict.fromkeys(paths.unset, "")}


def _pending_place_taken(change: SessionChange) -> dict[str, Any]:
    """An update that changes nothing, and matches a session on which another item is pending. An item that comes
    between this condition and the write of the place is a write conflict."""
    allowed = [None, *(change.pending_allowed or ())]
    return _one({"_id": change.session, SessionSlot.PENDING_ITEM.value: {"$nin": allowed}}, {"$set": {}})


def _removals(changes: Sequence[SessionChange]) -> Iterator[dict[str, Any]]:
    for change in changes:
        for slot, ids in change.pulled.items():
            # Other services write sessions too. `$pull` fails on a value that is not a list.
            condition = {"_id": change.session, slot.value: {"$type": "array"}}
            yield _one(condition, {"$pull": {slot.value: {"id": {"$in": list(ids)}}}})
        if change.pending_leaves:
            condition = {"_id": change.session, SessionSlot.PENDING_ITEM.value: {"$in": list(change.pending_leaves)}}
            yield _one(condition, {"$set": {SessionSlot.PENDING_ITEM.value: None}})


def _additions(changes: Sequence[SessionChange]) -> Iterator[dict[str, Any]]:
    for change in changes:
        for slot, entries in change.added.items():
            added = [session_entry_document(entry) for entry in entries]
            condition = {"_id": change.session}
            # `$addToSet` fails on null, so the first update sets a list that is null or missing. The second update then
            # finds every entry there.
            yield _one({**condition, slot.value: None}, {"$set": {slot.value: added}})
            yield _one({**condition, slot.value: {"$type": "array"}}, {"$addToSet": {slot.value: {"$each": added}}})
        if change.pending:
            yield _one({"_id": change.session}, {"$set": {SessionSlot.PENDING_ITEM.value: change.pending[0]}})
