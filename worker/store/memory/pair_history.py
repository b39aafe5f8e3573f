"""The history of a pair in memory, on the documents of the store in memory."""

from collections.abc import Callable, Sequence

from worker.ports.history import ALWAYS, PAGE_MAX, HistoryPage, KeptDecision, KeptTiming, PageMark, TimeWindow
from worker.store.documents import Collection
from worker.store.history_documents import Document, decision_of, is_within, page_of, timing_of
from worker.store.memory.store import MemoryStore


class MemoryPairHistory:
    """`worker.ports.history.PairHistory`."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def decisions(
        self,
        conversation_id: str,
        *,
        org: str | None = None,
        window: TimeWindow = ALWAYS,
        limit: int = PAGE_MAX,
        after: PageMark | None = None,
    ) -> HistoryPage[KeptDecision]:
        """The kept decisions of the conversation, the latest first."""

        def is_of(document: Document) -> bool:
            return document.get("conversationId") == conversation_id and _is_of_org(document, org)

        found = self._latest(Collection.SYNC_AUDIT, "at", is_of, window, after)
        return page_of(found[: limit + 1], limit, decision_of, "at")

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

        def is_of(document: Document) -> bool:
            return document.get("workItemId") in work_item_ids and _is_of_org(document, org)

        found = self._latest(Collection.WORK_ITEM_REVISIONS, "createdAt", is_of, window, after)
        return page_of(found[: limit + 1], limit, timing_of, "createdAt")

    def _latest(
        self,
        collection: Collection,
        time: str,
        is_of: Callable[[Document], bool],
        window: TimeWindow,
        after: PageMark | None,
    ) -> list[Document]:
        found = [each for each in self._store.documents(collection) if is_of(each)]
        within = [each for each in found if is_within(each, time, window, after)]
        return sorted(within, key=lambda each: (each[time], each["_id"]), reverse=True)


def _is_of_org(document: Document, org: str | None) -> bool:
    return org is None or document.get("org") == org
