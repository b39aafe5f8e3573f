"""The pairs in the store on MongoDB, by their documents' times of writing and by id.

A time of writing is a date or ISO text, as its writer stores it. MongoDB compares values of one type only, so one index
on `attributes.updatedAt` serves both: the query has a range of dates and a range of texts.
"""

from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Any, Final, assert_never

from pymongo import ASCENDING

from commands.instant import format_instant
from handlers.ports import LoadRequest
from worker.mongo.database import Client, database_of, store_deadline
from worker.ports.sweeps import LostItem, StoredPage, SweepPosition, SweepStage
from worker.store.documents import Collection
from worker.store.sweep_pages import merged_requests, missed_by_conversation, page_of_sessions

PAGE_SIZE: Final = 200
_TEXT_MARGIN: Final = timedelta(seconds=1)
"""`…:09Z` comes behind `…:09.250Z` in the order of texts, so the range of texts begins a second earlier."""
PAGE_BYTES_MAX: Final = 16 * 2**20
"""Conversations of one page: the sweep has all of them in memory. A larger one is a page of its own."""
_SIZED: Final = {"_id": True, "size": {"$bsonSize": "$$ROOT"}}
_ITEM: Final = ("conversationId", "active", "workItemNumber")
_SESSION: Final = ("user", "workItems.id", "pausedWorkItems.id", "pendingItem")

_Fields = Sequence[str] | Mapping[str, Any]


class MongoStoredPairs:
    """`worker.ports.sweeps.StoredPairs`. Each command takes at most `deadline_s` and raises StoreAway."""

    def __init__(self, client: Client, database: str, *, deadline_s: float) -> None:
        """The client's owner closes it."""
        self._database = database_of(client, database)
        self._deadline_s = deadline_s

    async def written_between(
        self, since: datetime, until: datetime, *, in_ivr: bool = False
    ) -> AsyncGenerator[Sequence[LoadRequest], None]:
        """Pages of the pairs of which a document was written from `since` to before `until`."""
        written = _written_between(since, until)
        if in_ivr:
            only_ivr = {"active": True, "attributes.status": "ivr", **written}
            async with aclosing(self._pages(Collection.WORK_ITEMS, only_ivr, ("conversationId",))) as pages:
                async for page in pages:
                    yield _of_work_items(page)
            return
        async with aclosing(self._pages(Collection.CONVERSATIONS, written, _SIZED)) as pages:
            async for page in pages:
                for part in _parts(page):
                    yield _of_conversations(part)
        async with aclosing(self._pages(Collection.WORK_ITEMS, written, ("conversationId",))) as pages:
            async for page in pages:
                yield _of_work_items(page)

    async def page_after(self, position: SweepPosition, limit: int) -> StoredPage:
        """The next page of the position's stage."""
        with store_deadline(self._deadline_s):
            match position.stage:
                case SweepStage.CONVERSATIONS:
                    found = await self._by_id(Collection.CONVERSATIONS, position.after, limit, _SIZED)
                    part = next(_parts(found), [])
                    last = _last(found, limit) if len(part) == len(found) else str(part[-1]["_id"])
                    return StoredPage(requests=_of_conversations(part), last=last)
                case SweepStage.WORK_ITEMS:
                    found = await self._by_id(Collection.WORK_ITEMS, position.after, limit, _ITEM)
                    return StoredPage(requests=await self._of_missed(found), last=_last(found, limit))
                case SweepStage.SESSIONS:
                    return await self._page_of_sessions(position.after, limit)
                case _:
                    assert_never(position.stage)

    async def _by_id(
        self, collection: Collection, after: str | None, limit: int, fields: _Fields
    ) -> list[dict[str, Any]]:
        # Ids of other types are refused at the start, and a range of texts finds texts alone.
        query = {"_id": {"$gt": after} if after is not None else {"$gte": ""}}
        found = self._database[collection].find(query, fields, sort=[("_id", ASCENDING)], limit=limit, batch_size=limit)
        return await found.to_list()

    async def _of_missed(self, items: Sequence[Mapping[str, Any]]) -> Sequence[LoadRequest]:
        """The pairs of those work-items that the stage of the conversations has missed."""
        items = [each for each in items if isinstance(each.get("conversationId"), str)]
        ids = sorted({each["conversationId"] for each in items})
        conversations = await self._named(Collection.CONVERSATIONS, ids, ("_id",))
        completed = sorted({each["conversationId"] for each in items if each.get("active") is not True})
        states = await self._named(Collection.SYNC_STATES, completed, ("workItem.number",))
        stored = {each["_id"] for each in conversations}
        numbers = {each["_id"]: _work_item_number(each) for each in states}
        return _of_work_items(each for each in items if missed_by_conversation(each, stored, numbers))

    async def _named(self, collection: Collection, ids: Sequence[str], fields: Sequence[str]) -> list[dict[str, Any]]:
        if not ids:
            return []
        # Without a limit the server keeps the cursor, and the driver asks once more.
        query, count = {"_id": {"$in": ids}}, len(ids)
        return await self._database[collection].find(query, fields, limit=count, batch_size=count).to_list()

    async def _page_of_sessions(self, after: str | None, limit: int) -> StoredPage:
        """The active sessions of the next users. A user's sessions stand on one page."""
        # A range of texts finds texts in lists, too.
        is_text = {"$eq": [{"$type": "$user"}, "string"]}
        query = {"active": True, "user": {"$gt": after} if after is not None else {"$gte": ""}, "$expr": is_text}
        found = self._database[Collection.WORK_SESSIONS].find(
            query, _SESSION, sort=[("user", ASCENDING)], limit=limit, batch_size=limit
        )
        sessions = await found.to_list()
        last = None
        if len(sessions) == limit:
            cut = sessions[-1]["user"]
            sessions = [each for each in sessions if each["user"] != cut] or sessions
            last = sessions[-1]["user"]
        # The work-items are read later: what a transaction wrote with its place on a session is found.
        held = [
            LostItem(work_item_id=item, session_id=str(session["_id"]), user=session["user"])
            for session in sessions
            for item in _items_on(session)
        ]
        items = await self._named(
            Collection.WORK_ITEMS, sorted({each.work_item_id for each in held}), ("conversationId",)
        )
        stored = {each["_id"]: each.get("conversationId") for each in items}
        return page_of_sessions(held, stored, last)

    async def _pages(
        self, collection: Collection, query: Mapping[str, Any], fields: _Fields
    ) -> AsyncGenerator[list[dict[str, Any]], None]:
        """The documents that match, as pages of one cursor."""
        cursor = self._database[collection].find(query, fields, batch_size=PAGE_SIZE)
        try:
            while cursor.alive:
                with store_deadline(self._deadline_s):
                    page = await cursor.to_list(PAGE_SIZE)
                if page:
                    yield page
        finally:
            with store_deadline(self._deadline_s):
                await cursor.close()


def _written_between(since: datetime, until: datetime) -> dict[str, Any]:
    texts = {"$gte": format_instant(since - _TEXT_MARGIN), "$lt": format_instant(until)}
    ranges: tuple[dict[str, Any], ...] = ({"$gte": since, "$lt": until}, texts)
    return {"$or": [{"attributes.updatedAt": each} for each in ranges]}


def _parts(found: Sequence[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    """The documents in parts of at most `PAGE_BYTES_MAX`, or of one."""
    part: list[Mapping[str, Any]] = []
    part_bytes = 0
    for document in found:
        if part and part_bytes + document["size"] > PAGE_BYTES_MAX:
            yield part
            part, part_bytes = [], 0
        part.append(document)
        part_bytes += document["size"]
    if part:
        yield part


def _of_conversations(found: Iterable[Mapping[str, Any]]) -> Sequence[LoadRequest]:
    return [LoadRequest(conversation_id=each["_id"]) for each in found if isinstance(each["_id"], str)]


def _of_work_items(found: Iterable[Mapping[str, Any]]) -> Sequence[LoadRequest]:
    return merged_requests(
        LoadRequest(conversation_id=each["conversationId"], work_item_ids=frozenset({each["_id"]}))
        for each in found
        if isinstance(each["_id"], str) and isinstance(each.get("conversationId"), str)
    )


def _last(found: Sequence[Mapping[str, Any]], limit: int) -> str | None:
    return str(found[-1]["_id"]) if len(found) == limit else None


def _items_on(session: Mapping[str, Any]) -> set[str]:
    lists = (session.get(name) for name in ("workItems", "pausedWorkItems"))
    entries = (each for entries in lists if isinstance(entries, list) for each in entries)
    ids = [each.get("id") for each in entries if isinstance(each, dict)]
    return {each for each in (*ids, session.get("pendingItem")) if isinstance(each, str)}


def _work_item_number(state: Mapping[str, Any]) -> Any:
    match state:
        case {"workItem": {"number": number}}:
            return number
        case _:
            return None
