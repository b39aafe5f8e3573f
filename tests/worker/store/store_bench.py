"""A store under test, with a way to write and read its documents directly."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

from commands.context import RoutingQueue
from commands.session import Session
from handlers.ports import Document, Store
from worker.mongo.adapters.outbox import MongoOutbox
from worker.mongo.adapters.pair_history import MongoPairHistory
from worker.mongo.adapters.sync_states_by_age import MongoSyncStatesByAge
from worker.mongo.adapters.waiting_times import MongoWaitingTimes
from worker.mongo.database import Client, database_of
from worker.mongo.store import MongoStore
from worker.ports.history import PairHistory
from worker.ports.outbox import Outbox
from worker.ports.sync_states import SyncStatesByAge
from worker.ports.waiting_times import WaitingTimes
from worker.runtime.clock import ObjectIds, SystemClock
from worker.store.documents import Collection, session_document, session_of
from worker.store.memory.pair_history import MemoryPairHistory
from worker.store.memory.store import MemoryStore
from worker.store.memory.waiting_times import MemoryWaitingTimes

DEADLINE_S = 5.0


class Bench(Protocol):
    @property
    def store(self) -> Store: ...

    @property
    def outbox(self) -> Outbox: ...

    @property
    def states_by_age(self) -> SyncStatesByAge: ...

    @property
    def waiting_times(self) -> WaitingTimes: ...

    @property
    def history(self) -> PairHistory: ...

    async def put(
        self,
        *,
        conversations: Iterable[Document] = (),
        work_items: Iterable[Document] = (),
        queues: Iterable[RoutingQueue] = (),
        sessions: Iterable[Session] = (),
        states: Iterable[Document] = (),
    ) -> None: ...

    async def documents(self, collection: Collection) -> list[dict[str, Any]]:
        """All documents of a collection by `_id`; states without their commit id."""
        ...

    async def session(self, session_id: str) -> Session | None: ...


async def everything(bench: Bench) -> dict[str, list[dict[str, Any]]]:
    kept = set(Collection) - {Collection.QUEUES, Collection.WORK_SESSIONS}
    return {collection: await bench.documents(collection) for collection in sorted(kept)}


async def ids(bench: Bench, collection: Collection) -> list[str]:
    return [document["_id"] for document in await bench.documents(collection)]


def _ordered(documents: Iterable[Document]) -> list[dict[str, Any]]:
    bare = [{name: value for name, value in document.items() if name != "commitId"} for document in documents]
    return sorted(bare, key=lambda document: str(document["_id"]))


class MemoryBench:
    def __init__(self) -> None:
        self.store = MemoryStore()
        self.outbox = self.store
        self.states_by_age = self.store
        self.waiting_times = MemoryWaitingTimes(self.store)
        self.history = MemoryPairHistory(self.store)

    async def put(
        self,
        *,
        conversations: Iterable[Document] = (),
        work_items: Iterable[Document] = (),
        queues: Iterable[RoutingQueue] = (),
        sessions: Iterable[Session] = (),
        states: Iterable[Document] = (),
    ) -> None:
        for conversation in conversations:
            self.store.put_conversation(conversation)
        for item in work_items:
            self.store.put_work_item(item)
        for queue in queues:
            self.store.put_queue(queue)
        for session in sessions:
            self.store.put_session(session)
        for state in states:
            self.store.put_state_document(state)

    async def documents(self, collection: Collection) -> list[dict[str, Any]]:
        return _ordered(self.store.documents(collection))

    async def session(self, session_id: str) -> Session | None:
        return self.store.session(session_id)


class Commands(CommandListener):
    """The names of the commands that a client sent, without the driver's own housekeeping."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._awaited: dict[str, asyncio.Event] = {}

    def started(self, event: CommandStartedEvent) -> None:
        if event.command_name not in ("endSessions", "configureFailPoint"):
            self.names.append(event.command_name)
        if event.command_name in self._awaited:
            self._awaited.pop(event.command_name).set()

    def succeeded(self, event: CommandSucceededEvent) -> None: ...

    def failed(self, event: CommandFailedEvent) -> None: ...

    def under_way(self, name: str) -> asyncio.Event:
        """An event that is set when the client is about to send the next command of that name."""
        self._awaited[name] = asyncio.Event()
        return self._awaited[name]

    def take(self) -> list[str]:
        """The commands since the last call."""
        names, self.names = self.names, []
        return names


class Watch:
    """A `StoreObserver` that records its calls."""

    def __init__(self) -> None:
        self.aborts: list[int] = []
        self.conflicts = 0
        self.transactions = 0

    def aborted(self, plans: int) -> None:
        self.aborts.append(plans)

    def conflict(self) -> None:
        self.conflicts += 1

    def transaction_seconds(self, seconds: float) -> None:
        assert seconds >= 0
        self.transactions += 1


class MongoBench:
    def __init__(self, client: Client, name: str, commands: Commands) -> None:
        self.client = client
        self.commands = commands
        self.watch = Watch()
        self.store = MongoStore(
            client, name, clock=SystemClock(), ids=ObjectIds(), deadline_s=DEADLINE_S, observer=self.watch
        )
        self.outbox = MongoOutbox(client, name, deadline_s=DEADLINE_S)
        self.states_by_age = MongoSyncStatesByAge(client, name, deadline_s=DEADLINE_S)
        self.waiting_times = MongoWaitingTimes(client, name, deadline_s=DEADLINE_S)
        self.history = MongoPairHistory(client, name, deadline_s=DEADLINE_S)
        self.database = database_of(client, name)

    async def put(
        self,
        *,
        conversations: Iterable[Document] = (),
        work_items: Iterable[Document] = (),
        queues: Iterable[RoutingQueue] = (),
        sessions: Iterable[Session] = (),
        states: Iterable[Document] = (),
    ) -> None:
        queue_documents = [
            {"_id": queue.id, "key": queue.key, "itemSize": queue.item_size, "priority": queue.priority}
            for queue in queues
        ]
        await self._put(Collection.CONVERSATIONS, list(conversations))
        await self._put(Collection.WORK_ITEMS, list(work_items))
        await self._put(Collection.QUEUES, queue_documents)
        await self._put(Collection.SYNC_STATES, list(states))
        await self._put(Collection.WORK_SESSIONS, [session_document(session, "o1") for session in sessions])

    async def _put(self, collection: Collection, documents: Sequence[Document]) -> None:
        for document in documents:
            await self.database[collection].replace_one({"_id": document["_id"]}, dict(document), upsert=True)

    async def documents(self, collection: Collection) -> list[dict[str, Any]]:
        return _ordered(await self.database[collection].find().to_list())

    async def session(self, session_id: str) -> Session | None:
        document = await self.database[Collection.WORK_SESSIONS].find_one({"_id": session_id})
        return None if document is None else session_of(document)
