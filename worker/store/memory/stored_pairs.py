"""The pairs in the store in memory, by their documents' times of writing and by id."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, assert_never

from commands.instant import parse_instant
from commands.session import Session
from handlers.ports import Document, LoadRequest
from worker.ports.sweeps import LostItem, StoredPage, SweepPosition, SweepStage
from worker.store.documents import Collection
from worker.store.memory.store import MemoryStore
from worker.store.sweep_pages import merged_requests, missed_by_conversation, page_of_sessions

PAGE_SIZE: Final = 200


class MemoryStoredPairs:
    """`worker.ports.sweeps.StoredPairs`. It is never away."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def written_between(
        self, since: datetime, until: datetime, *, in_ivr: bool = False
    ) -> AsyncGenerator[Sequence[LoadRequest], None]:
        """Pages of the pairs of which a document was written from `since` to before `until`."""
        collections = (Collection.WORK_ITEMS,) if in_ivr else (Collection.CONVERSATIONS, Collection.WORK_ITEMS)
        for collection in collections:
            found = [
                document
                for document in self._store.documents(collection)
                if _is_written_between(document, since, until) and (not in_ivr or _is_in_ivr(document))
            ]
            for start in range(0, len(found), PAGE_SIZE):
                yield _requests(found[start : start + PAGE_SIZE])

    async def page_after(self, position: SweepPosition, limit: int) -> StoredPage:
        """The next page of the position's stage."""
        match position.stage:
            case SweepStage.CONVERSATIONS:
                return self._page(Collection.CONVERSATIONS, position.after, limit)
            case SweepStage.WORK_ITEMS:
                return self._page(Collection.WORK_ITEMS, position.after, limit, self._is_missed)
            case SweepStage.SESSIONS:
                return self._page_of_sessions(position.after, limit)
            case _:
                assert_never(position.stage)

    def _is_missed(self, item: Document) -> bool:
        conversation_id = item["conversationId"]
        stored = {conversation_id} if self._store.conversation(conversation_id) is not None else set[str]()
        state = self._store.state(conversation_id)
        numbers = {conversation_id: state.work_item_number} if state.version else {}
        return missed_by_conversation(item, stored, numbers)

    def _page(
        self, collection: Collection, after: str | None, limit: int, wanted: Callable[[Document], bool] | None = None
    ) -> StoredPage:
        left = [each for each in self._store.documents(collection) if after is None or each["_id"] > after]
        page = sorted(left, key=lambda each: str(each["_id"]))[:limit]
        requests = _requests([each for each in page if wanted is None or wanted(each)])
        return StoredPage(requests=requests, last=page[-1]["_id"] if len(page) == limit else None)

    def _page_of_sessions(self, after: str | None, limit: int) -> StoredPage:
        sessions = [each for each in self._store.sessions() if each.active]
        left = sorted({each.user for each in sessions if after is None or each.user > after})
        users = left[:limit]
        held = [
            LostItem(work_item_id=key, session_id=session.id, user=session.user)
            for session in sessions
            if session.user in users
            for key in _items_on(session)
        ]
        found = [item for each in held if (item := self._store.work_item(each.work_item_id)) is not None]
        stored = {item["_id"]: item["conversationId"] for item in found}
        return page_of_sessions(held, stored, users[-1] if len(users) == limit else None)


def _items_on(session: Session) -> set[str]:
    entries = (*session.work_items, *session.paused_work_items)
    return {*(entry.id for entry in entries), *filter(None, [session.pending_item])}


def _requests(documents: Sequence[Document]) -> Sequence[LoadRequest]:
    return merged_requests(
        LoadRequest(conversation_id=each["conversationId"], work_item_ids=frozenset({each["_id"]}))
        if "conversationId" in each
        else LoadRequest(conversation_id=each["_id"])
        for each in documents
    )


def _is_written_between(document: Mapping[str, Any], since: datetime, until: datetime) -> bool:
    text = (document.get("attributes") or {}).get("updatedAt")
    written_at = parse_instant(text) if isinstance(text, str) else None
    return written_at is not None and since <= written_at < until


def _is_in_ivr(document: Mapping[str, Any]) -> bool:
    return document.get("active") is True and document["attributes"].get("status") == "ivr"
