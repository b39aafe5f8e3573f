"""The steps of a transaction as MongoDB commands, one command per step."""

from collections.abc import Mapping, Sequence
from typing import Any, assert_never

from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import BulkWriteError, DocumentTooLarge

from worker.mongo.batch.write_commands import (
    additions,
    inserted_document,
    pending_place_taken,
    removals,
    update_of_document,
)
from worker.mongo.database import Database
from worker.store.documents import Collection
from worker.store.transaction.steps import DocumentChanges, DocumentInserts, SessionChanges, TransactionStep


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
            documents = [inserted_document(step.collection, document) for document in step.documents]
            await database[step.collection].insert_many(documents, ordered=False, session=session)
            return True
        case DocumentChanges():
            updates = [update_of_document(step.collection, change) for change in step.changes]
            matched = await _run_updates(database, session, step.collection, updates)
            # The server answers with the total only: one document less means that a condition does not hold.
            return matched == len(updates)
        case SessionChanges():
            taken = [pending_place_taken(change) for change in step.changes if change.pending_allowed is not None]
            if taken and await _run_updates(database, session, Collection.WORK_SESSIONS, taken):
                return False
            updates = [*removals(step.changes), *additions(step.changes)]
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
