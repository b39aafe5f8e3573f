"""The reads of the API in memory, for tests."""

from collections.abc import Mapping, Sequence

from handlers.ports import Document
from worker.store.documents import Collection
from worker.store.memory.store import MemoryStore


class MemoryWorkItems:
    """`handlers.ports.WorkItems` on the documents of a store. `queues`: the ids of the queues by key and org."""

    def __init__(self, store: MemoryStore, queues: Mapping[tuple[str, str | None], str] | None = None) -> None:
        self._store = store
        self._queues = queues or {}

    async def work_item(self, work_item_id: str, *, org: str | None) -> Document | None:
        """The stored work-item, or None."""
        return _of_org(self._store.work_item(work_item_id), org)

    async def of_conversation(self, conversation_id: str, *, org: str | None, limit: int) -> Sequence[Document] | None:
        """The latest `limit` work-items of the conversation, the one with the highest number first; None if neither
        the conversation nor a work-item of it is stored."""
        stored = self._store.documents(Collection.WORK_ITEMS)
        found = [each for each in stored if each.get("conversationId") == conversation_id and _of_org(each, org)]
        if not found and _of_org(self._store.conversation(conversation_id), org) is None:
            return None
        return sorted(found, key=lambda item: item.get("workItemNumber") or 0, reverse=True)[:limit]

    async def queue_id(self, key: str, *, org: str | None) -> str | None:
        """The id of the org's queue with this key, or None. A queue that names no org is every org's."""
        for (queue_key, queue_org), queue_id in self._queues.items():
            if queue_key == key and (org is None or queue_org in (org, None)):
                return queue_id
        return None


def _of_org(document: Document | None, org: str | None) -> Document | None:
    return document if document is not None and org in (None, document.get("org")) else None
