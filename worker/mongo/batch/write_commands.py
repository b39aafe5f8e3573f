"""Documents and changes as the parts of MongoDB's `insert` and `update` commands."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from commands.session import SessionSlot
from worker.mongo.stored_types import as_bson
from worker.store.documents import Collection, session_entry_document
from worker.store.transaction.changed_paths import ChangedPaths
from worker.store.transaction.session_changes import SessionChange
from worker.store.transaction.steps import DocumentChange

_WITH_STORED_TYPES: Final = (Collection.CONVERSATIONS, Collection.WORK_ITEMS, Collection.WORK_ITEM_REVISIONS)
"""The collections whose documents can hold values that were read from a stored document."""


def inserted_document(collection: Collection, document: Mapping[str, Any]) -> dict[str, Any]:
    """The document to insert, in the driver's types."""
    copy: dict[str, Any] = as_bson(dict(document)) if collection in _WITH_STORED_TYPES else dict(document)
    return copy


def update_of_document(collection: Collection, change: DocumentChange) -> dict[str, Any]:
    """The update that changes one document where its condition holds."""
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


def pending_place_taken(change: SessionChange) -> dict[str, Any]:
    """An update that changes nothing, and matches a session on which another item is pending. An item that comes
    between this condition and the write of the place is a write conflict."""
    allowed = [None, *(change.pending_allowed or ())]
    return _one({"_id": change.session, SessionSlot.PENDING_ITEM.value: {"$nin": allowed}}, {"$set": {}})


def removals(changes: Sequence[SessionChange]) -> Iterator[dict[str, Any]]:
    """The updates that take entries and pending places off sessions."""
    for change in changes:
        for slot, ids in change.pulled.items():
            # Other services write sessions too. `$pull` fails on a value that is not a list.
            condition = {"_id": change.session, slot.value: {"$type": "array"}}
            yield _one(condition, {"$pull": {slot.value: {"id": {"$in": list(ids)}}}})
        if change.pending_leaves:
            condition = {"_id": change.session, SessionSlot.PENDING_ITEM.value: {"$in": list(change.pending_leaves)}}
            yield _one(condition, {"$set": {SessionSlot.PENDING_ITEM.value: None}})


def additions(changes: Sequence[SessionChange]) -> Iterator[dict[str, Any]]:
    """The updates that put entries and pending places on sessions, after `removals`."""
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
