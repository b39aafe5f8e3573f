"""How services outside read and write the worker's database on a day: by transactions on the document's revision."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from pymongo import AsyncMongoClient
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import BulkWriteError, OperationFailure

from commands.session import Session
from handlers.ports import Document
from tests.faults.load.document_writer import OutsideWrite
from worker.mongo.batch.writes import write_steps
from worker.mongo.database import MAJORITY
from worker.store.documents import Collection, session_of
from worker.store.transaction.steps import transaction_steps

_DUPLICATE_KEY: Final = 11_000
_ATTEMPTS_MAX: Final = 50
_WRITERS: Final = 6

Change = Callable[[Document | None], OutsideWrite | None]
"""Makes a write of the stored document; None where there is nothing to write."""


class _Conflict(Exception):
    """Another writer has changed the document since it was read."""


@dataclass(slots=True, kw_only=True)
class OutsideStore:
    """The database as services outside use it. A few writers at a time: on a busy machine hundreds of transactions
    beside each other would abort each other for minutes."""

    client: AsyncMongoClient[dict[str, Any]]
    database: str
    _writers: asyncio.Semaphore = field(default_factory=partial(asyncio.Semaphore, _WRITERS))

    async def read(self, collection: Collection, key: str) -> Document | None:
        """A stored document."""
        return await self.client[self.database][collection].find_one({"_id": key})

    async def latest_item(self, conversation_id: str) -> Document | None:
        """The conversation's work-item with the highest number."""
        items = self.client[self.database][Collection.WORK_ITEMS]
        return await items.find_one({"conversationId": conversation_id}, sort=[("workItemNumber", -1)])

    async def sessions(self, user: str) -> dict[str, Session]:
        """The user's active sessions."""
        sessions = self.client[self.database][Collection.WORK_SESSIONS]
        found = [session_of(document) async for document in sessions.find({"user": user, "active": True})]
        return {session.id: session for session in found}

    async def write(
        self, collection: Collection, key: str, conversation_id: str, change: Change
    ) -> OutsideWrite | None:
        """The committed write, after conflicts if need be; None where there is nothing to write, or where another
        work-item of the conversation became active first."""
        for _ in range(_ATTEMPTS_MAX):
            async with self._writers:
                write = change(await self.read(collection, key))
                if write is None:
                    return None
                try:
                    await self._commit(write, conversation_id)
                except _Conflict:
                    continue
                except (BulkWriteError, OperationFailure) as error:
                    if _is_duplicate(error):
                        return None
                    raise
                return write
        raise AssertionError(f"{key} was not written in {_ATTEMPTS_MAX} attempts")

    async def remove(self, conversation_id: str) -> Document | None:
        """The removed document of the conversation; None where there is none."""
        found: Document | None = await self.client[self.database][Collection.CONVERSATIONS].find_one_and_delete(
            {"_id": conversation_id}
        )
        return found

    async def set_session(self, session: str, **fields: Any) -> None:
        """Set fields of a session."""
        await self.client[self.database][Collection.WORK_SESSIONS].update_one({"_id": session}, {"$set": fields})

    async def add_session(self, document: dict[str, Any]) -> None:
        """Add a session."""
        await self.client[self.database][Collection.WORK_SESSIONS].insert_one(document)

    async def _commit(self, write: OutsideWrite, conversation_id: str) -> None:
        steps = transaction_steps([write.plan(conversation_id)], "outside")

        async def run(session: AsyncClientSession) -> None:
            if not await write_steps(self.client[self.database], session, steps):
                raise _Conflict

        async with self.client.start_session() as session:
            await session.with_transaction(run, write_concern=MAJORITY)


def _is_duplicate(error: BulkWriteError | OperationFailure) -> bool:
    details = error.details or {}
    codes = {each.get("code") for each in details.get("writeErrors", ())}
    return error.code == _DUPLICATE_KEY or _DUPLICATE_KEY in codes
