"""The steps of a transaction as MongoDB's commands: one a step."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, assert_never

from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import BulkWriteError, DocumentTooLarge

from commands.session import SessionSlot
from worker.mongo.database import Database
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
    """Carry the steps out; False as soon as one does not hold, and then the transaction must be aborted.

    Raises what pymongo raises: a duplicate key is one more way of not holding.
    """
    for step in steps:
        if not await _write(database, session, step):
            return False
    return True


async def _write(database: Database, session: AsyncClientSession, step: TransactionStep) -> bool:
    match step:
        case DocumentInserts():
            documents = [dict(document) for document in step.documents]
            await database[step.collection].insert_many(documents, ordered=False, session=session)
            return True
        case DocumentChanges():
            updates = [_update(change) for change in step.changes]
            matched = await _carry_out(database, session, step.collection, updates)
            # Only the total is told: one missing is enough to know that not all hold.
            return matched == len(updates)
        case SessionChanges():
            updates = [*_leaves(step.changes), *_takes(step.changes)]
            # In order: what goes, goes first.
            await _carry_out(database, session, Collection.WORK_SESSIONS, updates, ordered=True)
            return True
        case _:
            assert_never(step)


async def _carry_out(
    database: Database,
    session: AsyncClientSession,
    collection: Collection,
    updates: Sequence[Mapping[str, Any]],
    *,
    ordered: bool = False,
) -> int:
    """The updates as a command, which costs two thirds of a bulk of the driver's; how many documents they matched."""
    command = {"update": collection.value, "updates": updates, "ordered": ordered}
    try:
        answer = await database.command(command, session=session)
    except DocumentTooLarge:
        # Of the whole command, and before anything of it was sent: it goes in two. It is never the first of its
        # transaction, which the driver would take for begun: the states come before, and they are small.
        if len(updates) == 1:
            raise
        middle = len(updates) // 2
        first = await _carry_out(database, session, collection, updates[:middle], ordered=ordered)
        return first + await _carry_out(database, session, collection, updates[middle:], ordered=ordered)
    if "writeErrors" in answer:
        raise BulkWriteError(answer)
    return int(answer["n"])


def _update(change: DocumentChange) -> dict[str, Any]:
    return _one({"_id": change.id, change.guard: change.stands}, _operators(change.paths))


def _one(query: Mapping[str, Any], operators: Mapping[str, Any]) -> dict[str, Any]:
    return {"q": query, "u": operators}


def _operators(paths: ChangedPaths) -> dict[str, Any]:
    """An empty `$set` changes nothing and is still conditional; an empty `$unset` is left out."""
    if not paths.unset:
        return {"$set": paths.set}
    return {"$set": paths.set, "$unset": dict.fromkeys(paths.unset, "")}


def _leaves(changes: Sequence[SessionChange]) -> Iterator[dict[str, Any]]:
    for change in changes:
        for slot, ids in change.pulled.items():
            # Other services write sessions too: of a list that is none there is nothing to pull.
            theirs = {"_id": change.session, slot.value: {"$type": "array"}}
            yield _one(theirs, {"$pull": {slot.value: {"id": {"$in": list(ids)}}}})
        if change.pending_leaves:
            theirs = {"_id": change.session, SessionSlot.PENDING_ITEM.value: {"$in": list(change.pending_leaves)}}
            yield _one(theirs, {"$set": {SessionSlot.PENDING_ITEM.value: None}})


def _takes(changes: Sequence[SessionChange]) -> Iterator[dict[str, Any]]:
    for change in changes:
        for slot, entries in change.added.items():
            held = [session_entry_document(entry) for entry in entries]
            theirs = {"_id": change.session}
            # Null is no list to add to; null or missing, the list begins here. Either order of the two is fine.
            yield _one({**theirs, slot.value: None}, {"$set": {slot.value: held}})
            yield _one({**theirs, slot.value: {"$type": "array"}}, {"$addToSet": {slot.value: {"$each": held}}})
        if change.pending:
            yield _one({"_id": change.session}, {"$set": {SessionSlot.PENDING_ITEM.value: change.pending[0]}})
