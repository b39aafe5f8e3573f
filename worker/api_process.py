"""The process `routing-sync serve`: the HTTP face beside the worker, on MongoDB and SNS.

It listens at once. If MongoDB is away at the start, it waits for it, and is alive and not ready meanwhile. A setup
error ends the process with one line. The shutdown after a stop signal, within SHUTDOWN_SECONDS:

1. The process is no longer ready, and takes no more connections. The requests under way are answered; those that are
   left after 3/4 of the time are cancelled.
2. In the rest of the time the updates under way are finished, and the publisher publishes their announcements. The
   outbox keeps an announcement for which the time is too short: a worker's relay publishes it.
"""

import asyncio
import contextlib
import os
import random
import socket
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Final

from msgspec import Struct

from handlers.options import Options
from handlers.ports import Clock
from handlers.work_item_update import WorkItemUpdate
from worker.api.app import ApiParts, create_app
from worker.api.callers import CallerTable
from worker.api.gate import RequestLimits
from worker.api.pages.router import Pages
from worker.api.pages.status_view import PageSources
from worker.api.rate import RequestRate
from worker.api.readiness import Readiness
from worker.api.room import Room
from worker.api.server import ApiServer
from worker.api.timeline import TimelineSources
from worker.api.work_items.updates import Updates
from worker.aws.sns.topics import SnsTopics, check_topic
from worker.clients import Clients, opened_clients
from worker.errors import WorkerFailed
from worker.mongo.adapters.outbox import MongoOutbox
from worker.mongo.adapters.pair_history import MongoPairHistory
from worker.mongo.adapters.queue_directory import MongoQueueDirectory
from worker.mongo.adapters.status_reads import MongoStatusReads
from worker.mongo.adapters.sync_states_by_age import MongoSyncStatesByAge
from worker.mongo.adapters.waiting_times import MongoWaitingTimes
from worker.mongo.adapters.work_items import MongoWorkItems
from worker.mongo.database import ping
from worker.mongo.store import MongoStore
from worker.outbox.publisher import Publisher
from worker.ports.fleet import Deployment
from worker.runtime.backoff import JitteredBackoff, call_until_available
from worker.runtime.clock import ObjectIds, SystemClock
from worker.runtime.context import RuntimeContext
from worker.runtime.failure import log_failure
from worker.runtime.lookup_threads import lookup_threads
from worker.runtime.shutdown_signal import ShutdownSignal
from worker.settings.reading import near_misses
from worker.settings.verbs.serve import ServeSettings
from worker.telemetry.agent.statsd import opened_metrics
from worker.telemetry.build import BUILD
from worker.telemetry.dropped_lines import reported_drops
from worker.telemetry.health import Health
from worker.telemetry.listening_sockets import listening_sockets
from worker.telemetry.logs import LogIdentity, log_uncaught_errors, open_log, redirect_library_logs
from worker.telemetry.metrics import Telemetry
from worker.telemetry.output.line_writer import LineWriter
from worker.telemetry.output.standard_streams import DRAIN_S
from worker.telemetry.start_events import started
from worker.telemetry.store_observer import StoreMetrics

_REST: Final = 1 / 4
"""The share of SHUTDOWN_SECONDS that is left for the updates and the publisher."""

_PAGE_DEADLINE_S_MAX: Final = 2.0


async def run_api(settings: ServeSettings, out: LineWriter) -> None:
    """Serve until SIGTERM or SIGINT, with the log on `out`. Raises WorkerFailed."""
    out.bytes_max = settings.log_buffer_bytes
    clock = SystemClock()
    identity = LogIdentity(service=settings.dd_service, version=settings.dd_version, env=settings.dd_env)
    log = open_log(level=settings.log_level, identity=identity, clock=clock, to=out)
    redirect_library_logs(log)
    log_uncaught_errors(log, before_exit=partial(out.drain, DRAIN_S))
    stopping = ShutdownSignal(log, before_exit=partial(out.drain, DRAIN_S))
    stopping.install_handlers()
    opening = opened_metrics(settings.agent_address, tags=settings.metric_tags, clock=clock, log=log)
    try:
        # A group of one task: every error that ends the process arrives in an ExceptionGroup.
        async with asyncio.TaskGroup() as tasks:
            with lookup_threads(asyncio.get_running_loop()):
                async with opening as metrics:
                    telemetry = Telemetry(metrics=metrics, log=log)
                    async with reported_drops(out, telemetry, clock):
                        process = _ApiProcess(settings, clock, telemetry, stopping)
                        await tasks.create_task(process.run())
                        log.info("API stopped")
    except BaseExceptionGroup as group:
        raise WorkerFailed(log_failure(group, log)) from group


class _Adapters(Struct, frozen=True, kw_only=True):
    """The adapters on MongoDB."""

    store: MongoStore
    work_items: MongoWorkItems
    status: MongoStatusReads


class _ApiProcess:
    def __init__(self, settings: ServeSettings, clock: Clock, telemetry: Telemetry, stopping: ShutdownSignal) -> None:
        self._settings = settings
        self._clock = clock
        self._log = telemetry.log
        self._stopping = stopping
        # Of the worker's health only the store's part is used: it is told of outages.
        health = Health(clock=clock, silence_s_max=settings.silence_seconds)
        self._runtime = RuntimeContext.create(clock=clock, chance=random, telemetry=telemetry, health=health)
        self._pause = JitteredBackoff(
            first_s=settings.call_retry_first_seconds, max_s=settings.call_retry_max_seconds, chance=random
        )

    async def run(self) -> None:
        settings = self._settings
        async with AsyncExitStack() as stack:
            sockets = await listening_sockets(settings.api_host, settings.api_port, setting="API")
            for each in sockets:
                stack.callback(each.close)
            port = sockets[0].getsockname()[1]
            self._log.info("API starting", apiHost=settings.api_host, apiPort=port, tokens=len(settings.tokens))
            for miss in near_misses(ServeSettings, os.environ):
                self._log.warning("unknown variable, mistyped?", variable=miss.variable, setting=miss.setting)
            clients = await stack.enter_async_context(opened_clients(settings, self._clock))
            await self._serve(clients, sockets)

    async def _serve(self, clients: Clients, sockets: Sequence[socket.socket]) -> None:
        settings = self._settings
        database, deadline_s = settings.mongodb_database, settings.store_deadline_seconds
        adapters = self._adapters(clients)
        readiness = Readiness(ping=partial(ping, clients.mongo, min(deadline_s, 2.0)), clock=self._clock, log=self._log)
        publisher = self._publisher(clients)
        pages = self._pages(clients, adapters)
        updates = Updates(
            self._use_case(adapters),
            announcer=publisher,
            telemetry=self._runtime.telemetry,
            room=Room("updates", most=settings.api_concurrency_max, tokens=len(settings.tokens)),
        )
        parts = ApiParts(
            updates=updates,
            work_items=adapters.work_items,
            waiting_times=MongoWaitingTimes(clients.mongo, database, deadline_s=deadline_s),
            queues=MongoQueueDirectory(clients.mongo, database, deadline_s=deadline_s),
            readiness=readiness,
            callers=CallerTable(settings.tokens),
            rate=RequestRate(per_second=settings.api_requests_per_second, clock=self._clock),
            limits=RequestLimits(
                body_bytes_max=settings.api_body_bytes_max,
                concurrency_max=settings.api_concurrency_max,
                timeout_s=settings.api_timeout_seconds,
            ),
            timeline=TimelineSources(
                store=adapters.store,
                history=MongoPairHistory(clients.mongo, database, deadline_s=deadline_s),
                audit_days=settings.audit_days,
            ),
            pages=[pages.router],
        )
        rest_s = settings.shutdown_seconds * _REST
        server = ApiServer(create_app(parts, self._runtime), stop_within_s=settings.shutdown_seconds - rest_s)
        async with asyncio.TaskGroup() as tasks:
            publishing = tasks.create_task(publisher.run())
            serving = tasks.create_task(server.run_until_stopped(sockets))
            if await self._stopping.unless_requested(self._prepare(clients, adapters, readiness)):
                deployment = Deployment(version=settings.dd_version, policy=settings.sync_policy.value)
                self._runtime.telemetry.metrics.event(started("API", deployment))
                self._log.info("API started", build=BUILD)
                await self._stopping.wait_until_requested()
            readiness.mark_stopping()
            pages.close()
            server.stop()
            await asyncio.wait([serving])
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(rest_s):
                    await updates.finish()
                    await publisher.idle.wait()
            publishing.cancel()

    def _adapters(self, clients: Clients) -> _Adapters:
        mongo, database = clients.mongo, self._settings.mongodb_database
        deadline_s = self._settings.store_deadline_seconds
        return _Adapters(
            store=self._store(clients, deadline_s),
            work_items=MongoWorkItems(mongo, database, deadline_s=deadline_s),
            status=MongoStatusReads(mongo, database, deadline_s=self._page_deadline_s),
        )

    def _store(self, clients: Clients, deadline_s: float) -> MongoStore:
        return MongoStore(
            clients.mongo,
            self._settings.mongodb_database,
            clock=self._clock,
            ids=ObjectIds(),
            deadline_s=deadline_s,
            observer=StoreMetrics(self._runtime.telemetry.metrics),
        )

    @property
    def _page_deadline_s(self) -> float:
        """A page must say soon that MongoDB is away."""
        return min(self._settings.store_deadline_seconds, _PAGE_DEADLINE_S_MAX)

    def _pages(self, clients: Clients, adapters: _Adapters) -> Pages:
        mongo, database, deadline_s = clients.mongo, self._settings.mongodb_database, self._page_deadline_s
        return Pages(
            PageSources(
                store=self._store(clients, deadline_s),
                sync_states=MongoSyncStatesByAge(mongo, database, deadline_s=deadline_s),
                outbox=MongoOutbox(mongo, database, deadline_s=deadline_s),
                status=adapters.status,
                queues=MongoQueueDirectory(mongo, database, deadline_s=deadline_s),
                waiting_times=MongoWaitingTimes(mongo, database, deadline_s=deadline_s),
                history=MongoPairHistory(mongo, database, deadline_s=deadline_s),
                audit_days=self._settings.audit_days,
                clock=self._clock,
            )
        )

    def _use_case(self, adapters: _Adapters) -> WorkItemUpdate:
        return WorkItemUpdate(
            store=adapters.store,
            work_items=adapters.work_items,
            clock=self._clock,
            ids=ObjectIds(),
            chance=random,
            options=Options(
                policy=self._settings.sync_policy,
                rollout=self._settings.rollout,
                waiting_times=self._settings.waiting_times,
                keeps_audit=self._settings.audit_days > 0,
            ),
        )

    def _publisher(self, clients: Clients) -> Publisher:
        settings = self._settings
        outbox = MongoOutbox(clients.mongo, settings.mongodb_database, deadline_s=settings.store_deadline_seconds)
        return Publisher(
            topics=SnsTopics(clients.aws.publishing),
            arns={"conversation": settings.sns_conversation_topic_arn, "work-item": settings.sns_work_item_topic_arn},
            outbox=outbox,
            pause=self._pause,
            waiting_max=settings.publish_waiting_max,
            runtime=self._runtime,
        )

    async def _prepare(self, clients: Clients, adapters: _Adapters, readiness: Readiness) -> bool:
        """Wait until MongoDB answers, check its set-up and the topic, and make the indexes. Raises SetupError."""

        def report_away(reason: str) -> None:
            readiness.mark_unprepared(f"MongoDB is away: {reason}")
            self._log.error("not there yet, waiting for it", part="store", reason=reason)

        async def prepare() -> None:
            await adapters.store.check_server()
            await adapters.store.ensure_indexes(
                revision_days=self._settings.revision_days, audit_days=self._settings.audit_days
            )
            await adapters.work_items.ensure_indexes()
            await adapters.status.ensure_indexes()

        topic, variable = self._settings.sns_work_item_topic_arn, "SNS_WORK_ITEM_TOPIC_ARN"
        unchecked_reason = await check_topic(clients.aws.sns, topic, variable)
        if unchecked_reason is not None:
            self._log.warning("topic not checked", variable=variable, reason=unchecked_reason)
        await call_until_available(prepare, pause=self._pause, clock=self._clock, report_away=report_away)
        readiness.mark_prepared()
        return True
