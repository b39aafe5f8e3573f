"""The ledger of a run: every committed transaction, read back from MongoDB's change stream."""

import json
from collections.abc import Mapping
from typing import Any

from pymongo.database import Database

from commands.session import SessionSlot, place_of
from handlers.documents.document_mapping import work_item_of

_DOCUMENTS = ("conversations", "work_items")
Revision = tuple[str, int]
"""A document's id and one of its revisions."""


class Ledger:
    """The transactions of a database since this object was made; call `read` when the run is over.

    It keeps no connection open during the run, so that the server may be restarted.
    """

    def __init__(self, database: Database[dict[str, Any]]) -> None:
        self.database = database
        self.since = database.command("ping")["operationTime"]
        self.written: dict[Any, set[Revision]] = {}
        self.announced: dict[Any, dict[str, Revision]] = {}

    def read(self) -> None:
        """Read every committed transaction up to now."""
        end = self.database["ledger_ends"].insert_one({}).inserted_id
        with self.database.watch(full_document="updateLookup", start_at_operation_time=self.since) as stream:
            for change in stream:
                if change["documentKey"]["_id"] == end:
                    return
                self._take(change)

    def _take(self, change: Mapping[str, Any]) -> None:
        if "txnNumber" in change:
            transaction = (change["lsid"]["id"], change["txnNumber"])
            collection = change["ns"]["coll"]
            if collection in _DOCUMENTS:
                revision = self._revision(change)
                if revision is not None:
                    self.written.setdefault(transaction, set()).add(revision)
            elif collection == "outbox" and change["operationType"] == "insert":
                entry = change["fullDocument"]
                self.announced.setdefault(transaction, {})[entry["_id"]] = announced_revision(entry["message"])

    def _revision(self, change: Mapping[str, Any]) -> Revision | None:
        """The revision that the worker wrote; None where it only stored an outside snapshot."""
        key = change["documentKey"]["_id"]
        if change["operationType"] in ("insert", "replace"):
            document = change["fullDocument"]
            outside, rev = document["attributes"]["outsideRev"], document["rev"]
        else:
            fields = change["updateDescription"]["updatedFields"]
            rev = fields["rev"]
            outside = fields.get("attributes.outsideRev")
        return (key, rev) if rev != outside else None

    def unannounced(self) -> set[Revision]:
        """Revisions that the worker wrote without an outbox entry in the same transaction."""
        return {
            revision
            for transaction, revisions in self.written.items()
            for revision in revisions - set(self.announced.get(transaction, {}).values())
        }

    def announcement_ids(self) -> list[str]:
        """The ids of all events that were ever in the outbox."""
        return [each for entries in self.announced.values() for each in entries]

    def announced_revisions(self) -> list[Revision]:
        """The revisions that those events announce."""
        return [revision for entries in self.announced.values() for revision in entries.values()]


def announced_revision(message: str) -> Revision:
    """The document and revision that an outbound event announces."""
    data = json.loads(message)["body"]["data"]
    return data["id"], data["attributes"]["rev"]


def half_written(database: Database[dict[str, Any]]) -> list[str]:
    """Ids of documents whose revision or `active` flag contradicts their attributes."""
    found = []
    for collection in _DOCUMENTS:
        for document in database[collection].find():
            attributes = document["attributes"]
            fits = document["rev"] == attributes["rev"] and attributes["outsideRev"] <= document["rev"]
            if collection == "work_items":
                fits = fits and document["active"] is (attributes["status"] != "completed")
            if not fits:
                found.append(document["_id"])
    return found


def misplaced(database: Database[dict[str, Any]]) -> dict[str, Any]:
    """Sessions whose lists differ from the work-items' places: `{session: (stored, expected)}`."""
    empty: dict[str, Any] = {
        SessionSlot.WORK_ITEMS: set(),
        SessionSlot.PAUSED_WORK_ITEMS: set(),
        SessionSlot.PENDING_ITEM: set(),
    }
    sessions = list(database["work_sessions"].find())
    wanted = {session["_id"]: {slot: set(items) for slot, items in empty.items()} for session in sessions}
    for document in database["work_items"].find():
        place = place_of(work_item_of(document))
        if place is not None:
            wanted[place.session][place.slot].add((document["_id"], place.item_size))
    differing = {}
    for session in sessions:
        stored = {
            slot: {(held["id"], held["itemSize"]) for held in session[slot]}
            for slot in (SessionSlot.WORK_ITEMS, SessionSlot.PAUSED_WORK_ITEMS)
        }
        stored[SessionSlot.PENDING_ITEM] = {(session["pendingItem"], 0)} if session["pendingItem"] else set()
        if stored != wanted[session["_id"]]:
            differing[session["_id"]] = (stored, wanted[session["_id"]])
    return differing
