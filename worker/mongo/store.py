"""The store on MongoDB.

A batch is committed in one transaction. If that fails, each half of the batch gets a transaction, and so on, so that a
plan with a conflict does not take the others with it. The driver's `with_transaction` is not used: it retries for two
minutes, which is longer than a message stays hidden.

If the answer to a commit is missing, the commit is repeated; MongoDB takes that as the same commit ("Transactions in
Applications", retry commit). If the result stays unknown, the transaction is ended on the server, and a query looks for
its commit id in the sync states. A commit that happens even after that is safe: every write depends on the state's
version, so the batch cannot be written twice.
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

from handlers.ports import Clock, CommitResult, Ids, LoadRequest, Pair, Plan, PlanRejected, StoreAway, StoreTimeout
from worker.mongo.batch.reads import read_pairs
from worker.mongo.batch.writes import write_steps
from worker.mongo.checks.foreign_fields import ForeignField, foreign_fields
from worker.mongo.checks.foreign_ids import StrayDocument, documents_under_foreign_ids
from worker.mongo.database import (
    MAJORITY,
    Client,
    calls_of_the_start,
    check_server,
    database_of,
    keeping_cancellation,
    store_deadline,
)
from worker.mongo.errors import MONGO_ERRORS, is_commit_unknown, result_of
from worker.mongo.indexes import creation
from worker.mongo.indexes.definitions import WAIT_DAYS
from worker.mongo.stored_types import STORED_TYPES, UNREAD_DOCUMENTS
from worker.store.documents import Collection
from worker.store.transaction.result import TransactionEnd, TransactionResult
from worker.store.transaction.steps import COMMIT_ID, TransactionStep, check_plan, transaction_steps
from worker.telemetry.store_observer import NO_OBSERVER, StoreObserver

_COMMITS_MAX: Final = 6
_COMMIT_PAUSE_S_MAX: Final = 0.5
_END_S_MAX: Final = 1.0
"""Ending a transaction early frees its locks for other writers. The server ends it in any case, after its lifetime."""


class MongoStore:
    """`handlers.ports.Store` on a replica set or a sharded cluster.

    `deadline_s` bounds a load, each transaction, and the query for the result of a commit.
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
        """The client's owner closes it."""
        self._client = client
        self._database = database_of(client, database)
        self._documents = self._database.with_options(codec_options=STORED_TYPES)
        self._unread_documents = self._database.with_options(codec_options=UNREAD_DOCUMENTS)
        self._clock = clock
        self._ids = ids
        self._deadline_s = deadline_s
        self._observer = observer
        self._ending: set[asyncio.Task[None]] = set()

    async def check_server(self) -> int | None:
        """The server's `transactionLifetimeLimitSeconds`, None if it does not say.

        Raises StoreUnfit if the server has no transactions; Misconfigured if no waiting helps; StoreAway.
        """
        return await check_server(self._client, self._deadline_s)

    async def documents_under_foreign_ids(self) -> Sequence[StrayDocument]:
        """A document for each collection that has other `_id`s beside texts, for a warning.

        Raises StoreUnfit if a collection has others only; Misconfigured if no waiting helps; StoreAway.
        """
        with calls_of_the_start(self._client, self._deadline_s):
            return await documents_under_foreign_ids(self._documents)

    async def foreign_fields(self) -> Sequence[ForeignField]:
        """Fields of other types by which the worker misses documents, for warnings; after `ensure_indexes`.

        Raises Misconfigured if no waiting helps; StoreAway.
        """
        with calls_of_the_start(self._client, self._deadline_s):
            return await foreign_fields(self._documents)

    async def ensure_indexes(
        self,
        *,
        revision_days: int,
        wait_days: int = WAIT_DAYS,
        waiting_times: bool = False,
        create_work_items: bool = False,
        queue_rules: bool = False,
        by_time_of_writing: bool = False,
        audit_days: int = 0,
    ) -> None:
        """Create missing collections and indexes; called before the first commit.

        `revision_days`, `wait_days`: how long the records of revisions and of waits are kept; 0: for ever.
        `waiting_times`: `MongoWaitingTimes.waiting` is used. `create_work_items`, `queue_rules`: these are on.
        `by_time_of_writing`: `MongoStoredPairs` is used. `audit_days`: how long the kept audit stays; 0: none is kept.
        Raises StoreUnfit if stored data or another index forbids an index; Misconfigured if no waiting helps;
        StoreAway.
        """
        await creation.ensure_indexes(
            self._database,
            revision_days=revision_days,
            wait_days=wait_days,
            waiting_times=waiting_times,
            create_work_items=create_work_items,
            queue_rules=queue_rules,
            by_time_of_writing=by_time_of_writing,
            audit_days=audit_days,
        )

    async def load(self, requests: Sequence[LoadRequest]) -> Mapping[str, Pair]:
        """The pairs by conversation id, one for every request, in three rounds. Raises StoreAway."""
        with store_deadline(self._deadline_s):
            return await read_pairs(self._unread_documents, requests)

    async def commit(self, plans: Sequence[Plan]) -> Sequence[CommitResult | PlanRejected]:
        """The result of each plan, in order. Raises StoreAway, and then no plan is known to be committed; StoreTimeout
        where the deadline passed."""
        for plan in plans:
            check_plan(plan)
        full = [plan for plan in plans if not plan.empty]
        results: dict[str, CommitResult | PlanRejected] = {}
        without = CommitResult.AWAY
        try:
            if full:
                await self._commit_all(full, results)
        except StoreAway as away:
            # Results that are known already go to the caller: it publishes and settles the committed plans.
            if not results:
                raise
            if isinstance(away, StoreTimeout):
                without = CommitResult.TIMED_OUT
        return [CommitResult.COMMITTED if plan.empty else results.get(plan.conversation_id, without) for plan in plans]

    async def _commit_all(self, plans: Sequence[Plan], results: dict[str, CommitResult | PlanRejected]) -> None:
        """Commit in one transaction, or by halves, which finds few conflicts in few transactions; fills `results`."""
        result = await self._transaction(plans)
        if len(plans) > 1 and result.end is not TransactionEnd.COMMITTED:
            middle = len(plans) // 2
            await self._commit_all(plans[:middle], results)
            await self._commit_all(plans[middle:], results)
            return
        if result.end is TransactionEnd.DISTURBED:
            # A single plan is tried once more after a write conflict. A plan that lost would lose again unchanged.
            result = await self._transaction(plans)
        results.update((plan.conversation_id, self._plan_result(plan, result)) for plan in plans)

    def _plan_result(self, plan: Plan, result: TransactionResult) -> CommitResult | PlanRejected:
        if result.end is TransactionEnd.COMMITTED:
            return CommitResult.COMMITTED
        if result.end is TransactionEnd.REJECTED:
            return PlanRejected(conversation_id=plan.conversation_id, reason=result.reason)
        self._observer.conflict()
        return CommitResult.CONFLICT

    async def _transaction(self, plans: Sequence[Plan]) -> TransactionResult:
        """Commit all of `plans` in one transaction; the end is never UNKNOWN. Raises StoreAway."""
        commit_id = self._ids.new()
        started = self._clock.monotonic()
        session = self._client.start_session(causal_consistency=False)
        committed = False
        try:
            result = await self._attempt(session, transaction_steps(plans, commit_id))
            if result.end is TransactionEnd.UNKNOWN:
                result = await self._look_up_result(session, plans, commit_id, reason=result.reason)
            committed = result.end is TransactionEnd.COMMITTED
        finally:
            await self._end_session(session)
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
                    # Transactions run on the primary, whatever read preference the connection string has.
                    read_preference=ReadPreference.PRIMARY,
                    # Inside `timeout` the driver sends the time that is left, and never more than this value.
                    max_commit_time_ms=round(self._deadline_s * 1000),
                )
                # Two blocks, so that a transaction that is cancelled while it writes does not commit.
                with keeping_cancellation():
                    conditions_hold = await write_steps(self._database, session, steps)
                if not conditions_hold:
                    return TransactionResult(end=TransactionEnd.LOST)
                with keeping_cancellation():
                    await self._commit(session)
        except MONGO_ERRORS as error:
            return result_of(error)
        return TransactionResult(end=TransactionEnd.COMMITTED)

    async def _commit(self, session: AsyncClientSession) -> None:
        """Commit, and repeat it while the result is unknown, at most `_COMMITS_MAX` times within the deadline."""
        repeats = AsyncRetrying(
            retry=retry_if_exception(is_commit_unknown),
            stop=stop_after_attempt(_COMMITS_MAX) | stop_after_delay(self._deadline_s),
            wait=wait_random_exponential(multiplier=0.02, max=_COMMIT_PAUSE_S_MAX),
            sleep=self._clock.sleep,
            reraise=True,
        )
        async for attempt in repeats:
            with attempt:
                await session.commit_transaction()

    async def _look_up_result(
        self, session: AsyncClientSession, plans: Sequence[Plan], commit_id: str, *, reason: str
    ) -> TransactionResult:
        """COMMITTED if a sync state holds the commit id; one state is enough, since a transaction is atomic.

        Otherwise DISTURBED: the transaction was not committed, or another writer has replaced the states since. The
        conditions of the next attempt tell the two apart.

        Raises StoreAway; StoreTimeout with `reason` in place of DISTURBED, where `reason` says that the deadline passed
        at the commit: the same transaction would only meet it again.
        """
        # A majority read may miss a commit that no majority has acknowledged yet; a linearizable read waits for it.
        states = self._database.get_collection(Collection.SYNC_STATES, read_concern=ReadConcern("linearizable"))
        query = {"_id": {"$in": [plan.conversation_id for plan in plans]}, COMMIT_ID: commit_id}
        with store_deadline(self._deadline_s):
            await self._end_on_server(session)
            found = await states.find_one(query, {"_id": True})
        if found is None and reason:
            raise StoreTimeout(reason)
        return TransactionResult(end=TransactionEnd.DISTURBED if found is None else TransactionEnd.COMMITTED)

    async def _end_on_server(self, session: AsyncClientSession) -> None:
        """End the transaction if it is still open, so that no commit follows the query for its result.

        If the server refuses or cannot be reached, the query alone has to do.
        """
        with contextlib.suppress(PyMongoError, OSError), pymongo.timeout(min(_END_S_MAX, self._deadline_s / 2)):
            await self._client.admin.command("killSessions", [session.session_id])

    async def _end_session(self, session: AsyncClientSession) -> None:
        """End the session, which aborts an open transaction, even while this task is being cancelled."""
        ending = asyncio.create_task(_end(session, min(_END_S_MAX, self._deadline_s)))
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)
        await asyncio.shield(ending)


async def _end(session: AsyncClientSession, deadline_s: float) -> None:
    # Without a connection the server ends the transaction itself, after its lifetime limit.
    with contextlib.suppress(PyMongoError, OSError), pymongo.timeout(deadline_s):
        await session.end_session()
