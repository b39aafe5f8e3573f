"""The steps of a transaction as MongoDB's commands: one a step, two for the sessions, all in unordered bulks."""

from collections.abc import Iterator, Sequence
from typing import Any, assert_never

from pymongo import InsertOne, UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession

from commands.session import Spot
from handlers.paths import Paths
from worker.collection import Collection
from worker.mongo_database import Database
from worker.plan_steps import Change, Changes, Inserts, SessionChanges, Step
from worker.session_change import SessionChange
from worker.surroundings_document import held_document


async def write_steps(database: Database, session: AsyncClientSession, steps: Sequence[Step]) -> bool:
    """Carry the steps out; False as soon as one does not hold, and then the transaction must be aborted.

    Raises what pymongo raises: a duplicate key is one more way of not holding.
    """
    for step in steps:
        if not await _write(database, session, step):
            return False
    return True


async def _write(database: Database, session: AsyncClientSession, step: Step) -> bool:
    match step:
        case Inserts():
            inserts = [InsertOne(dict(document)) for document in step.documents]
            await database[step.collection].bulk_write(inserts, ordered=False, session=session)
            return True
        case Changes():
            updates = [_update(change) for change in step.changes]
            result = await database[step.collection].bulk_write(updates, ordered=False, session=session)
            # A bulk in a transaction tells only the total: one missing is enough to know that not all hold.
            return result.matched_count == len(updates)
        case SessionChanges():
            for updates in (list(_leaves(step.changes)), list(_takes(step.changes))):
                if updates:
                    await database[Collection.WORK_SESSIONS].bulk_write(updates, ordered=False, session=session)
            return True
        case _:
            assert_never(step)


def _update(change: Change) -> UpdateOne:
    return UpdateOne({"_id": change.id, change.guard: change.stands}, _operators(change.paths))


def _operators(paths: Paths) -> dict[str, Any]:
    """An empty `$set` changes nothing and is still conditional; an empty `$unset` is left out."""
    unset = {"$unset": dict.fromkeys(paths.unset, "")} if paths.unset else {}
    return {"$set": dict(paths.set), **unset}


def _leaves(changes: Sequence[SessionChange]) -> Iterator[UpdateOne]:
    for change in changes:
        for spot, ids in change.pulled.items():
            # Other services write sessions too: of a list that is none there is nothing to pull.
            theirs = {"_id": change.session, spot.value: {"$type": "array"}}
            yield UpdateOne(theirs, {"$pull": {spot.value: {"id": {"$in": list(ids)}}}})
        if change.pending_leaves:
            theirs = {"_id": change.session, Spot.PENDING_ITEM.value: {"$in": list(change.pending_leaves)}}
            yield UpdateOne(theirs, {"$set": {Spot.PENDING_ITEM.value: None}})


def _takes(changes: Sequence[SessionChange]) -> Iterator[UpdateOne]:
    for change in changes:
        for spot, entries in change.added.items():
            held = [held_document(entry) for entry in entries]
            theirs = {"_id": change.session}
            # Null is no list to add to; null or missing, the list begins here. Either order of the two is fine.
            yield UpdateOne({**theirs, spot.value: None}, {"$set": {spot.value: held}})
            yield UpdateOne({**theirs, spot.value: {"$type": "array"}}, {"$addToSet": {spot.value: {"$each": held}}})
        if change.pending:
            yield UpdateOne({"_id": change.session}, {"$set": {Spot.PENDING_ITEM.value: change.pending[0]}})
