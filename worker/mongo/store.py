"""The store on MongoDB.

A batch is one transaction. Where that does not commit, its halves are tried, and their halves, so that a plan that
loses takes no other with it. Not the driver's `with_transaction`, which goes on for minutes.

A commit whose answer is missing is repeated, which the server takes for the same commit. If it stays unknown, the
transaction is ended on the server and its mark looked for in the sync states: in, or not in. And if a commit should
still come to pass after that, the state's version, on which every write depends, keeps it from being done twice.
"""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Final

import pymongo
from pymongo import ReadPreference
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, stop_after_delay, wait_random_exponential

from handlers.ports import Clock, CommitResult, Ids, LoadRequest, Pair, Plan, PlanRejected, StoreAway
from worker.mongo import database as mongo_database
from worker.mongo.database import MAJORITY, Client, cancellation_kept, database_of, within
from worker.mongo.errors import FAULTS, ended, result_unknown
from worker.mongo.reads import read_pairs
from worker.mongo.writes import write_steps
from worker.store.documents import Collection
from worker.store.transaction_result import TransactionEnd, TransactionResult
from worker.store.transaction_steps import COMMIT_ID, TransactionStep, check_plan, steps_of
from worker.telemetry.metrics import NO_OBSERVER, StoreObserver

_COMMITS_MAX: Final = 6
_COMMIT_WAIT_S_MAX: Final = 0.5
# Ending a transaction is a courtesy to others, whom its locks keep waiting; the server does it too, in the end.
_END_S_MAX: Final = 1.0


class MongoStore:
    """`handlers.ports.Store` on a replica set or a sharded cluster.

    `deadline_s` bounds a load, each transaction, and finding out what became of one.
    """

    def __init__(
        self,
        client: Client,
        database: str,
        *,
        clock: Clock,
        ids: Ids,
        deadline_s: float,
        observer: StoreObserver = NO_OBSERVER,
    ) -> None:
        """The client stays its owner's: it is not closed here."""
        self._client = client
        self._database = database_of(client, database)
        self._clock = clock
        self._ids = ids
        self._deadline_s = deadline_s
        self._observer = observer
        self._leaving: set[asyncio.Task[None]] = set()

    async def check_server(self) -> int | None:
        """The server's `transactionLifetimeLimitSeconds`, None where it does not tell.

        Raises `StoreUnfit` where it has no transactions, `StoreAway`.
        """
        return await mongo_database.check_server(self._client, self._deadline_s)

    async def ensure_indexes(self) -> None:
        """Make what is missing of collections and indexes; to be done before the first commit.

        Raises `StoreUnfit` where the data forbids an index, `StoreAway`.
        """
        await mongo_database.ensure_indexes(self._database)

    async def load(self, requests: Sequence[LoadRequest]) -> Mapping[str, Pair]:
        """The pairs by conversation id, one for every want, in three rounds. Raises `StoreAway`."""
        with within(self._deadline_s):
            return await read_pairs(self._database, requests)

    async def commit(self, plans: Sequence[Plan]) -> Sequence[CommitResult | PlanRejected]:
        """Each plan's fate, in order. Raises `StoreAway`, and then nothing is known to be committed."""
        for plan in plans:
            check_plan(plan)
        full = [plan for plan in plans if not plan.empty]
        fates: dict[str, CommitResult | PlanRejected] = {}
        try:
            if full:
                await self._commit_all(full, fates)
        except StoreAway:
            # The others' fates must not be lost with it: they are done, and somebody has to tell of them.
            if not fates:
                raise
        return [
            CommitResult.COMMITTED if plan.empty else fates.get(plan.conversation_id, CommitResult.AWAY)
            for plan in plans
        ]

    async def _commit_all(self, plans: Sequence[Plan], fates: dict[str, CommitResult | PlanRejected]) -> None:
        """In one transaction, or else by halves, so that those who lose are found in few; fates by conversation."""
        result = await self._transaction(plans)
        if len(plans) > 1 and result.end is not TransactionEnd.COMMITTED:
            middle = len(plans) // 2
            await self._commit_all(plans[:middle], fates)
            await self._commit_all(plans[middle:], fates)
            return
        if result.end is TransactionEnd.DISTURBED:
            # Alone, too, it may have met somebody by chance; one that has lost gains nothing from being tried as it is.
            result = await self._transaction(plans)
        fates.update((plan.conversation_id, self._fate(plan, result)) for plan in plans)

    def _fate(self, plan: Plan, result: TransactionResult) -> CommitResult | PlanRejected:
        if result.end is TransactionEnd.COMMITTED:
            return CommitResult.COMMITTED
        if result.end is TransactionEnd.REJECTED:
            return PlanRejected(conversation_id=plan.conversation_id, reason=result.reason)
        self._observer.conflict()
        return CommitResult.CONFLICT

    async def _transaction(self, plans: Sequence[Plan]) -> TransactionResult:
        """All of `plans` in one transaction; never ends UNKNOWN. Raises `StoreAway`."""
        commit_id = self._ids.new()
        started = self._clock.monotonic()
        session = self._client.start_session(causal_consistency=False)
        committed = False
        try:
            result = await self._attempt(session, steps_of(plans, commit_id))
            if result.end is TransactionEnd.UNKNOWN:
                result = await self._find_out(session, plans, commit_id)
            committed = result.end is TransactionEnd.COMMITTED
        finally:
            await self._leave(session)
            self._observer.transaction_seconds(self._clock.monotonic() - started)
            if not committed:
                self._observer.aborted(len(plans))
        return result

    async def _attempt(self, session: AsyncClientSession, steps: Sequence[TransactionStep]) -> TransactionResult:
        try:
            with pymongo.timeout(self._deadline_s):
                await session.start_transaction(
                    read_concern=ReadConcern("snapshot"),
                    write_concern=MAJORITY,
                    # Whatever the connection string prefers for reading: a transaction is the primary's.
                    read_preference=ReadPreference.PRIMARY,
                    # Within `timeout` the driver sends what is left of it instead; never more than this.
                    max_commit_time_ms=round(self._deadline_s * 1000),
                )
                # Twice, so that one that is told to end while it writes does not commit.
                with cancellation_kept():
                    held = await write_steps(self._database, session, steps)
                if not held:
                    return TransactionResult(end=TransactionEnd.LOST)
                with cancellation_kept():
                    await self._commit(session)
        except FAULTS as fault:
            return ended(fault)
        return TransactionResult(end=TransactionEnd.COMMITTED)

    async def _commit(self, session: AsyncClientSession) -> None:
        """Commit, again and again while the result is unknown and the deadline has not passed."""
        repeats = AsyncRetrying(
            retry=retry_if_exception(result_unknown),
            stop=stop_after_attempt(_COMMITS_MAX) | stop_after_delay(self._deadline_s),
            wait=wait_random_exponential(multiplier=0.02, max=_COMMIT_WAIT_S_MAX),
            sleep=self._clock.sleep,
            reraise=True,
        )
        async for attempt in repeats:
            with attempt:
                await session.commit_transaction()

    async def _find_out(self, session: AsyncClientSession, plans: Sequence[Plan], commit_id: str) -> TransactionResult:
        """Whether the transaction with this id is in. One found state tells for all: it is in whole or not at all.

        Not found: not in, or written over since, which the conditions of the next attempt tell apart.
        """
        # A majority read may lag behind a commit whose majority was not waited for; this one waits for it itself.
        states = self._database.get_collection(Collection.SYNC_STATES, read_concern=ReadConcern("linearizable"))
        query = {"_id": {"$in": [plan.conversation_id for plan in plans]}, COMMIT_ID: commit_id}
        with within(self._deadline_s):
            await self._end_on_server(session)
            found = await states.find_one(query, {"_id": True})
        return TransactionResult(end=TransactionEnd.DISTURBED if found is None else TransactionEnd.COMMITTED)

    async def _end_on_server(self, session: AsyncClientSession) -> None:
        """End the transaction if it is still open, so that it cannot be committed after we looked. Not permitted, or
        not reached: then looking is all there is."""
        with contextlib.suppress(PyMongoError), pymongo.timeout(min(_END_S_MAX, self._deadline_s / 2)):
            await self._client.admin.command("killSessions", [session.session_id])

    async def _leave(self, session: AsyncClientSession) -> None:
        """End the session, and with it a transaction that is still open, even while being cancelled."""
        leaving = asyncio.create_task(_end(session, min(_END_S_MAX, self._deadline_s)))
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)
        await asyncio.shield(leaving)


async def _end(session: AsyncClientSession, within_s: float) -> None:
    # With the connection gone there is nobody to tell: the server's lifetime limit ends what is left there.
    with contextlib.suppress(PyMongoError), pymongo.timeout(within_s):
        await session.end_session()
