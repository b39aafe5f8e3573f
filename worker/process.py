"""The process `routing-sync run`: connects, waits for what is away, works, and ends in order.

What is away at start is waited for, not ready meanwhile; what is set up wrongly ends the process with one line.
"""

import asyncio
import gc
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Final, TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from handlers.options import PolicyInUse
from handlers.ports import Clock
from worker.aws.sns import SnsTopics, check_topic
from worker.aws.sqs import SqsQueue, read_facts
from worker.clients import Clients, connected
from worker.errors import SERVICE_AWAY, Misconfigured, SetupError, WorkerFailed, first_line
from worker.mongo.outbox import MongoOutbox
from worker.mongo.store import MongoStore
from worker.mongo.waiting_pairs import MongoWaitingPairs
from worker.pipeline import Adapters, Pipeline
from worker.ports import QueueFacts
from worker.runtime.backoff import JitteredBackoff
from worker.runtime.clock import ObjectIds, SystemClock
from worker.runtime.shutdown_signal import ShutdownSignal
from worker.settings import Settings
from worker.telemetry.health import Health, Part, served
from worker.telemetry.logs import Log, LogIdentity, error_fields, open_log, redirect_library_logs
from worker.telemetry.metrics import Metrics, NoMetrics, StatsdMetrics, StoreMetrics, Telemetry, resolved

TRANSACTION_LIFETIME_SECONDS_MAX: Final = 10
"""Above it, a killed worker's locks hold up the others for longer than anybody likes: worth a warning."""

T = TypeVar("T")


async def run_worker(settings: Settings) -> None:
    """Work until a signal. Raises WorkerFailed."""
    clock = SystemClock()
    origin = LogIdentity(service=settings.dd_service, version=settings.dd_version)
    log = open_log(level=settings.log_level, origin=origin, clock=clock)
    redirect_library_logs(log)
    try:
        # A group of one, so that whatever ends the process comes out in one shape.
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_Process(settings, clock, log).run())
    except BaseExceptionGroup as group:
        raise WorkerFailed(_why(_leaves(group), log)) from group


def _why(errors: Sequence[BaseException], log: Log) -> str:
    """The one line for a person; the log gets all."""
    for error in errors:
        if isinstance(error, SetupError):
            log.error("cannot start", reason=str(error))
            return str(error)
    for error in errors:
        log.error("stopped by a fault in our code", **error_fields(error))
    fields = error_fields(errors[0])
    return f"stopped by a fault in our code: {fields['error']} at {(fields['stack'] or ['?'])[-1]}"


def _collect_seldom() -> None:
    """What is there by now lives as long as the process: no collection need look at it again. And since reference
    counts free nearly all that a message leaves, collections can be rarer: together a sixth of what a message costs."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


class _Process:
    def __init__(self, settings: Settings, clock: Clock, log: Log) -> None:
        self._settings = settings
        self._clock = clock
        self._log = log
        self._stopping = ShutdownSignal(log)
        self._health = Health(clock=clock, silence_seconds_max=settings.silence_seconds)
        self._pause = JitteredBackoff(
            first_seconds=settings.call_retry_first_seconds,
            max_seconds=settings.call_retry_max_seconds,
            chance=random,
        )

    async def run(self) -> None:
        self._stopping.install_handlers()
        settings = self._settings
        metrics = await _metrics(settings, self._log)
        telemetry = Telemetry(metrics=metrics, log=self._log)
        try:
            async with AsyncExitStack() as stack:
                http = served(self._health, host=settings.http_host, port=settings.http_port)
                port = await stack.enter_async_context(http)
                self._log.info("worker starting", httpHost=settings.http_host, httpPort=port)
                clients = await stack.enter_async_context(connected(settings, self._clock))
                await self._work(clients, telemetry)
            self._log.info("worker stopped")
        finally:
            metrics.close()

    async def _work(self, clients: Clients, telemetry: Telemetry) -> None:
        settings = self._settings
        store = MongoStore(
            clients.mongo,
            settings.mongodb_database,
            clock=self._clock,
            ids=ObjectIds(),
            deadline_s=settings.store_deadline_seconds,
            observer=StoreMetrics(telemetry.metrics),
        )
        facts = await self._unless_stopped(self._start(clients, store))
        if facts is None:
            return
        outside = Adapters(
            queue=SqsQueue(
                client=clients.sqs,
                polling=clients.polling,
                settling=clients.settling,
                url=settings.sqs_queue_url,
                dead_letter_url=facts.dead_letter_url,
                clock=self._clock,
            ),
            facts=facts,
            topics=SnsTopics(clients.publishing),
            store=store,
            outbox=MongoOutbox(clients.mongo, settings.mongodb_database, deadline_s=settings.store_deadline_seconds),
            waiting=MongoWaitingPairs(
                clients.mongo, settings.mongodb_database, deadline_s=settings.store_deadline_seconds
            ),
            clock=self._clock,
            ids=ObjectIds(),
            chance=random,
        )
        pipeline = Pipeline(settings=settings, outside=outside, health=self._health, telemetry=telemetry)
        _collect_seldom()
        self._log.info("worker started", policy=settings.sync_policy.value, fifo=facts.fifo, lanes=settings.lanes)
        await pipeline.run(self._stopping)

    async def _start(self, clients: Clients, store: MongoStore) -> QueueFacts:
        """Wait for both and find out what the operator should know."""

        async def ready_store() -> int | None:
            lifetime_seconds = await store.check_server()
            await store.ensure_indexes()
            return lifetime_seconds

        async def queue_facts() -> QueueFacts:
            return await read_facts(clients.sqs, self._settings.sqs_queue_url)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._check_topics(clients))
            reading = tasks.create_task(self._eventually("queue", queue_facts))
        facts = reading.result()
        self._check_gap(facts)
        # Only then: the driver leaves a socket open where it is told to stop while it connects.
        self._warn(facts, await self._eventually("store", ready_store))
        return facts

    def _check_gap(self, facts: QueueFacts) -> None:
        settings = self._settings
        if settings.sync_policy is not PolicyInUse.LEGACY and settings.sync_gap_seconds <= facts.visibility_timeout_s:
            raise Misconfigured(
                f"SYNC_GAP_SECONDS {settings.sync_gap_seconds:g}: it must be more than the queue's visibility timeout "
                f"({facts.visibility_timeout_s} s), for an event in hand is not lost: raise it or shorten the timeout"
            )

    async def _check_topics(self, clients: Clients) -> None:
        """A topic that is not there would only delay announcements for ever: better said at once."""
        for variable in ("SNS_CONVERSATION_TOPIC_ARN", "SNS_WORK_ITEM_TOPIC_ARN"):
            doubt = await check_topic(clients.sns, getattr(self._settings, variable.lower()), variable)
            if doubt is not None:
                self._log.warning("topic not checked", variable=variable, reason=doubt)

    def _warn(self, facts: QueueFacts, lifetime_seconds: int | None) -> None:
        if lifetime_seconds is not None and lifetime_seconds > TRANSACTION_LIFETIME_SECONDS_MAX:
            self._log.warning(
                "MongoDB's transactionLifetimeLimitSeconds is long: a killed worker's locks hold others up so long",
                seconds=lifetime_seconds,
                secondsMax=TRANSACTION_LIFETIME_SECONDS_MAX,
            )
        if facts.visibility_timeout_s < 2 * self._settings.store_deadline_seconds:
            self._log.warning(
                "the queue's visibility timeout is shorter than twice STORE_DEADLINE_SECONDS: raise it",
                visibilitySeconds=facts.visibility_timeout_s,
                storeDeadlineSeconds=self._settings.store_deadline_seconds,
            )

    async def _eventually(self, part: Part, work: Callable[[], Awaitable[T]]) -> T:
        def note(state: RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome else None
            reason = first_line(error) if error else "no answer"
            self._health.mark_unhealthy(part, reason)
            self._log.error("not there yet, waiting for it", part=part, reason=reason)

        found: T = await AsyncRetrying(
            retry=retry_if_exception_type(SERVICE_AWAY),
            wait=self._pause,
            before_sleep=note,
            sleep=self._clock.sleep,
        )(work)
        self._health.mark_healthy(part)
        return found

    async def _unless_stopped(self, work: Awaitable[T]) -> T | None:
        """What the work yields, or None where the worker is asked to stop before."""
        working = asyncio.ensure_future(work)
        stopping = asyncio.ensure_future(self._stopping.wait_until_requested())
        try:
            await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                return working.result()
            working.cancel()
            await asyncio.wait([working])
            return None
        finally:
            stopping.cancel()
            working.cancel()


async def _metrics(settings: Settings, log: Log) -> Metrics:
    if settings.statsd_host is None:
        return NoMetrics()
    address = await resolved(settings.statsd_host, settings.statsd_port)
    if address is None:
        log.warning("no metrics: STATSD_HOST cannot be resolved", host=settings.statsd_host)
        return NoMetrics()
    return StatsdMetrics(
        address=address,
        port=settings.statsd_port,
        service=settings.dd_service,
        version=settings.dd_version,
        environment=settings.dd_env,
    )


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    leaves: list[BaseException] = []
    for error in group.exceptions:
        leaves.extend(_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    return leaves
