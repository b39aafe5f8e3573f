"""How outside services write a document: a transaction that checks the revision, retried through all faults.

The write competes with the worker's. Its event is handed to the delivery once the write is known to be committed.
"""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from msgspec import Struct
from pymongo import AsyncMongoClient, timeout
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern

from commands.session import Session, move_between
from handlers.documents.document_mapping import work_item_of
from handlers.ports import Document, DocumentWrite, Plan
from tests.faults.load.event_delivery import LoadDelivery
from worker.mongo.batch.writes import write_steps
from worker.mongo.database import MAJORITY
from worker.store.documents import Collection
from worker.store.transaction.steps import transaction_steps

USERS: Final = 16
_ANSWER_WITHIN_S: Final = 5.0


def agent(number: int) -> str:
    """The id of an agent; there are sixteen."""
    return f"agent-{number % USERS}"


SESSIONS: Final = {
    f"session-{number}": Session(id=f"session-{number}", user=agent(number), capacity=1_000) for number in range(USERS)
}


def session_documents() -> list[dict[str, Any]]:
    """One active session an agent, empty."""
    lists: dict[str, Any] = {"workItems": [], "pausedWorkItems": [], "pendingItem": None}
    return [
        {"_id": session.id, "org": "org", "user": session.user, "active": True, "capacity": 1_000, **lists}
        for session in SESSIONS.values()
    ]


class OutsideWrite(Struct, frozen=True, kw_only=True):
    """A write of one document. `known_rev`: the conversation revision that a work-item's event says it knew."""

    before: Document | None
    after: Document
    known_rev: int | None = None

    def plan(self, conversation_id: str) -> Plan:
        """The write with the move on the agents' sessions that it causes."""
        write = DocumentWrite(before=self.before, after=self.after)
        if self.after["type"] == "conversation":
            return Plan(conversation_id=conversation_id, conversation=write)
        before = None if self.before is None else work_item_of(self.before)
        move = move_between(before, work_item_of(self.after))
        return Plan(conversation_id=conversation_id, work_items=(write,), moves=(move,) if move else ())


Change = Callable[[Document | None], OutsideWrite | None]
"""Makes a write of the stored document; None where there is nothing to write."""


class _WriteConflict(Exception):
    """Another writer has changed the document since it was read."""


class DocumentWriter(Struct, frozen=True, kw_only=True):
    """Writes and reads documents until the delivery is abandoned."""

    client: AsyncMongoClient[dict[str, Any]]
    database: str
    delivery: LoadDelivery

    async def write(
        self, collection: Collection, key: str, conversation_id: str, change: Change
    ) -> OutsideWrite | None:
        """The committed write, after conflicts and store errors if need be; None where there is nothing to write.

        Only outside writes set `outsideRev`, and the caller alone writes the document from outside. So the stored
        `outsideRev` tells which attempt was committed.
        """
        tried: dict[int, OutsideWrite] = {}
        while not self.delivery.abandoned:
            with contextlib.suppress(PyMongoError, _WriteConflict):
                before = await self.read_or_none(collection, key, linearizable=bool(tried))
                if before is not None and before["attributes"]["outsideRev"] in tried:
                    return tried[before["attributes"]["outsideRev"]]
                rev = 1 if before is None else before["rev"] + 1
                write = tried.get(rev) or change(before)
                if write is None:
                    return None
                tried[rev] = write
                await self._commit(write.plan(conversation_id))
                return write
            await asyncio.sleep(0.05)
        raise asyncio.CancelledError

    async def read(self, collection: Collection, key: str) -> Document:
        """A document that is stored."""
        found = await self.read_or_none(collection, key)
        assert found is not None
        return found

    async def read_or_none(self, collection: Collection, key: str, *, linearizable: bool = False) -> Document | None:
        """Reads a document, retrying after store errors. `linearizable`: never a stale read from a deposed primary."""
        concern = ReadConcern("linearizable" if linearizable else "local")
        at = self.client[self.database].get_collection(collection, read_concern=concern)
        while not self.delivery.abandoned:
            with contextlib.suppress(PyMongoError), timeout(_ANSWER_WITHIN_S):
                return await at.find_one({"_id": key})
            await asyncio.sleep(0.05)
        raise asyncio.CancelledError

    async def _commit(self, plan: Plan) -> None:
        with timeout(_ANSWER_WITHIN_S):
            async with self.client.start_session() as session, await session.start_transaction(write_concern=MAJORITY):
                if not await write_steps(self.client[self.database], session, transaction_steps([plan], "outside")):
                    raise _WriteConflict


def stamped(after: Document) -> Document:
    """The document with its revision in `outsideRev`, which the audit tells outside writes by."""
    return {**after, "attributes": {**after["attributes"], "outsideRev": after["rev"]}}


def now() -> datetime:
    """The time, cut to the millisecond, as owners write it."""
    exact = datetime.now(UTC)
    return exact.replace(microsecond=exact.microsecond // 1000 * 1000)
