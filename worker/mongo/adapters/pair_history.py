"""The history of a pair on MongoDB.

| read | uses |
|---|---|
| the kept decisions of a conversation, the latest first | the index `by_conversation_and_time` of `sync_audit` |
| the kept timings of work-items | the index on `_id` of `work_item_revisions`: the work-item's id and the revision |

A process that keeps no audit (`AUDIT_DAYS=0`) makes no index: `decisions` then reads nothing.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from pymongo import DESCENDING

from worker.mongo.database import Client, database_of, store_deadline
from worker.mongo.indexes.definitions import AUDIT_INDEXES
from worker.ports.history import ALWAYS, PAGE_MAX, HistoryPage, KeptDecision, KeptTiming, PageMark, TimeWindow
from worker.store.documents import Collection
from worker.store.history_documents import decision_of, page_of, timing_of

_ITEMS_MAX: Final = 100
"""The work-items of which one query reads the timings; those behind are left out."""


class MongoPairHistory:
    """`worker.ports.history.PairHistory`. Each call takes at most `deadline_s` and raises StoreAway."""

    def __init__(self, client: Client, database: str, *, deadline_s: float) -> None:
        """The client's owner closes it."""
        self._database = database_of(client, database)
        self._deadline_s = deadline_s

    async def decisions(
        self,
        conversation_id: str,
        *,
        org: str | None = None,
        window: TimeWindow = ALWAYS,
        limit: int = PAGE_MAX,
        after: PageMark | None = None,
    ) -> HistoryPage[KeptDecision]:
        """The kept decisions of the conversation, the latest first; none where the store keeps no audit."""
        query = {"conversationId": conversation_id, **_of_org(org), **_within("at", window, after)}
        order = [("at", DESCENDING), ("_id", DESCENDING)]
        records = self._database[Collection.SYNC_AUDIT]
        with store_deadline(self._deadline_s):
            # Without the index the query would read every record of every conversation.
            indexes = await records.index_information()
            if not any(AUDIT_INDEXES[0].is_same(each) for each in indexes.values()):
                return HistoryPage()
            found = await records.find(query, sort=order, limit=limit + 1, batch_size=limit + 1).to_list()
        return page_of(found, limit, decision_of, "at")

    async def timings(
        self,
        work_item_ids: Sequence[str],
        *,
        org: str | None = None,
        window: TimeWindow = ALWAYS,
        limit: int = PAGE_MAX,
        after: PageMark | None = None,
    ) -> HistoryPage[KeptTiming]:
        """The kept timings of the work-items, the latest first."""
        ids = list(dict.fromkeys(work_item_ids))[:_ITEMS_MAX]
        if not ids:
            return HistoryPage()
        # `;` follows `:` in the order of ids.
        of_items = [{"workItemId": each, "_id": {"$gt": f"{each}:", "$lt": f"{each};"}} for each in ids]
        query = {"$or": of_items, **_of_org(org)}
        behind = _within("createdAt", window, after)
        order = [("createdAt", DESCENDING), ("_id", DESCENDING)]
        records = self._database[Collection.WORK_ITEM_REVISIONS]
        with store_deadline(self._deadline_s):
            found = await records.find(
                {"$and": [query, behind]}, sort=order, limit=limit + 1, batch_size=limit + 1, hint="_id_"
            ).to_list()
        return page_of(found, limit, timing_of, "createdAt")


def _of_org(org: str | None) -> dict[str, Any]:
    return {} if org is None else {"org": org}


def _within(time: str, window: TimeWindow, after: PageMark | None) -> dict[str, Any]:
    """The condition on the time; the field's type is part of it: a date is compared with dates alone."""
    bounds: dict[str, datetime] = {}
    if window.begin is not None:
        bounds["$gte"] = window.begin
    if window.end is not None:
        bounds["$lt"] = window.end
    condition: dict[str, Any] = {time: {"$type": "date", **bounds}}
    if after is None:
        return condition
    behind = [{time: {"$lt": after.at}}, {time: after.at, "_id": {"$lt": after.id}}]
    return {**condition, "$or": behind}
