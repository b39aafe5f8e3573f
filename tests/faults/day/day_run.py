"""A day in the life: the actors in a thread, two `run` and two `serve` of which one is killed now and then, the sweeps
at the end, and the audit."""

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from random import Random
from typing import Any, Final

import aiohttp
from msgspec import Struct
from pymongo import AsyncMongoClient

from tests.e2e.api_process import ApiProcess
from tests.e2e.stage import Stage
from tests.e2e.worker_process import COMMAND, WorkerProcess, wait_until
from tests.faults.day.actors import ORG, Actors, first_sessions
from tests.faults.day.http_clients import TOKENS, HttpClients
from tests.faults.day.journal import RevisionJournal
from tests.faults.day.lossy_subscriptions import lose_events
from tests.faults.day.outside_store import OutsideStore
from tests.faults.day.script import QUEUES, DayScript
from tests.faults.load.event_delivery import EventDelivery

_PROCESSES: Final = 2
_QUIET_S: Final = 1.0
_STARTED_S: Final = 300.0


class DayTimes(Struct, frozen=True, kw_only=True):
    """The times of a run, in seconds. `kill_every_s`: between two kills. `gap_s`: SYNC_GAP_SECONDS.

    `live`: the last sweeps go by the fleet's watermark, as in production; else `--quiet-queue` says that nothing is in
    flight, which saves minutes.
    """

    kill_every_s: float
    gap_s: int
    full_sweep_s: int
    live: bool


class SweepOutcome(Struct, frozen=True, kw_only=True):
    """What a run of `routing-sync sweep` printed. `drift`: by class and end."""

    status: int
    pairs: int
    drift: Counter[str]
    lines: Sequence[str]


@dataclass(slots=True, kw_only=True)
class DayRun:
    """One day on a stage."""

    stage: Stage
    uri: str
    script: DayScript
    times: DayTimes
    sweeps: bool = True
    journal: RevisionJournal = field(init=False)
    actors: Actors = field(init=False)
    clients: HttpClients = field(init=False)
    kills: Counter[str] = field(default_factory=Counter)
    swept: list[SweepOutcome] = field(default_factory=list)
    _workers: list[WorkerProcess] = field(default_factory=list)
    _serving: list[ApiProcess] = field(default_factory=list)
    _began: float = field(default_factory=time.monotonic)
    _failed: BaseException | None = None

    @property
    def _processes(self) -> list[WorkerProcess]:
        return [*self._workers, *self._serving]

    def report(self, text: str) -> None:
        """Prints a line of progress."""
        sys.stdout.write(f"    {time.monotonic() - self._began:6.1f} s  {text}\n")
        sys.stdout.flush()

    def live(self) -> None:
        """Live the day, to its end."""
        self._prepare()
        thread = threading.Thread(target=self._run_actors, daemon=True)
        thread.start()
        self._kill_now_and_then(thread)
        thread.join()
        if self._failed is not None:
            raise AssertionError("the actors failed") from self._failed
        self._wait_ready()
        self.report(f"the day is over: {self.actors.delivery.published} events, {len(self.clients.updates)} calls")
        self._wait_quiet()

    def end(self) -> None:
        """Sweep until nothing is found, and stop the processes."""
        if self.sweeps:
            self._sweep_twice()
        for process in self._processes:
            status, _ = process.terminate()
            assert status == 0, f"{process.log.name} ended with {status}: {process.log.read_text()[-2_000:]}"
        self.journal.stop()
        self.report("stopped")

    def _prepare(self) -> None:
        database, times = self.stage.database, self.times
        self.journal = RevisionJournal(database)
        self.journal.start()
        database["work_sessions"].insert_many(first_sessions())
        database["queues"].insert_many(queue_documents())
        database["queue_rules"].insert_many(queue_rule_documents())
        lose_events(self.stage)
        self.stage.variables |= {
            "CREATE_WORK_ITEMS": "true",
            "UNASSIGN_ON_UNAVAILABLE": "true",
            "QUEUE_RULES": "true",
            "WAITING_TIMES": "true",
            "SWEEP_INTERVAL_SECONDS": "10" if self.sweeps else "0",
            "SWEEP_FULL_SECONDS": str(times.full_sweep_s),
            "IVR_SECONDS": "2",
            "SYNC_GAP_SECONDS": str(times.gap_s),
            "HEARTBEAT_SECONDS": "5",
            "API_TOKENS": TOKENS,
            "API_REQUESTS_PER_SECOND": "100000",
        }
        self._workers = [self.stage.worker() for _ in range(_PROCESSES)]
        self._serving = [self._serve() for _ in range(_PROCESSES)]
        self._wait_ready()
        self.report(f"seed {self.script.seed}: {len(self.script.conversations)} conversations begin")

    def _wait_ready(self) -> None:
        """Waits until all four are at work. On a busy machine the imports of a process alone take a minute."""
        wait_until(
            lambda: all(process.ready() for process in self._processes),
            within_s=_STARTED_S,
            what=lambda: f"ready: {[process.ready() for process in self._processes]}",
        )

    def _serve(self) -> ApiProcess:
        return ApiProcess.on(self.stage, self.stage.folder, API_TOKENS=TOKENS)

    def _run_actors(self) -> None:
        try:
            asyncio.run(self._act())
        except BaseException as error:  # noqa: BLE001 - raised again by `live`, in the thread of the test
            self._failed = error

    async def _act(self) -> None:
        chance = Random(self.script.seed)
        delivery = EventDelivery(stage=self.stage, random=Random(chance.random()), poison_every=10**9)
        where: dict[str, Any] = {"tz_aware": True}
        async with (
            AsyncMongoClient[dict[str, Any]](self.uri, **where) as client,
            aiohttp.ClientSession() as http,
            asyncio.TaskGroup() as tasks,
        ):
            self.clients = HttpClients(http=http, urls=lambda: [each.url for each in self._serving])
            store = OutsideStore(client=client, database=self.stage.variables["MONGODB_DATABASE"])
            self.actors = Actors(
                script=self.script, store=store, delivery=delivery, clients=self.clients, ids=Random(chance.random())
            )
            tasks.create_task(delivery.run())
            try:
                await self.actors.run()
            finally:
                delivery.ended = True

    def _kill_now_and_then(self, thread: threading.Thread) -> None:
        """SIGKILL to one of the four, and a new one in its place, until the day is over."""
        chance = Random(self.script.seed + 1)
        while thread.is_alive():
            thread.join(self.times.kill_every_s * chance.uniform(0.5, 1.5))
            if not thread.is_alive():
                return
            if not all(process.ready() for process in self._processes):
                # On a busy machine a start takes its time: one process of each kind is at work at every moment.
                continue
            number = chance.randrange(_PROCESSES)
            if chance.random() < 0.5:
                self._workers[number].kill()
                self._workers[number] = self.stage.worker()
                self.kills["run"] += 1
            else:
                self._serving[number].kill()
                self._serving[number] = self._serve()
                self.kills["serve"] += 1
            depth, done = self.stage.depth(), self.actors.delivery.published
            self.report(f"{self.kills.total()} kills, {done} events published, {depth} messages in the queue")

    def _wait_quiet(self, *, within_s: float = 300) -> None:
        """Waits until queue and outbox stay empty for a second, and no pair waits where the gap poll decides."""
        deadline = time.monotonic() + within_s
        since = time.monotonic()
        while time.monotonic() - since < _QUIET_S:
            waits = self.waiting() if self.times.live else 0
            if not self.stage.drained() or waits:
                since = time.monotonic()
                assert since < deadline, (
                    f"not quiet within {within_s:.0f} s: {self.stage.depth()} messages, {waits} wait"
                )
            time.sleep(0.1)

    def waiting(self) -> int:
        """The number of pairs that wait for an event."""
        return self.stage.database["sync_states"].count_documents({"waitingSince": {"$type": "string"}})

    def _sweep_twice(self) -> None:
        """`sweep --all` repairs what is left; once that is quiet, a second one finds nothing."""
        for _ in range(2):
            if self.times.live:
                # A killed worker's watermark holds the sweep up until its report expires.
                wait_until(
                    partial(self._is_watermark_past, datetime.now(UTC)),
                    within_s=_STARTED_S,
                    what=lambda: "the fleet's lowest watermark is past the last write",
                )
            outcome = self._sweep()
            self.swept.append(outcome)
            self.report(f"sweep --all: {outcome.pairs} pairs, {dict(outcome.drift) or 'no drift'}")
            self._wait_quiet()

    def _is_watermark_past(self, instant: datetime) -> bool:
        """Whether the watermark that each live worker has left in the store is later: then the sweep looks at all that
        was written before."""
        found = self.stage.database["fleet"].find_one({"_id": "watermarks"}) or {}
        marks = [worker["at"] for worker in found.get("workers", ()) if worker["until"] > datetime.now(UTC)]
        return len(marks) >= _PROCESSES and all(mark is not None and mark > instant for mark in marks)

    def _sweep(self) -> SweepOutcome:
        done = subprocess.run(
            [COMMAND, "sweep", "--all", "--json", *(() if self.times.live else ("--quiet-queue",))],
            env={**os.environ, **self.stage.variables},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in (0, 1), done.stderr
        *lines, last = done.stdout.splitlines()
        summary = json.loads(last)["summary"]
        drift = Counter({f"{each['drift']} {each['end']}": each["count"] for each in summary["drift"]})
        assert summary["repairs"], done.stderr
        return SweepOutcome(status=done.returncode, pairs=summary["pairs"], drift=drift, lines=lines)

    def audit_lines(self) -> list[dict[str, Any]]:
        """The log lines of all processes."""
        return [line for process in self.stage.workers for line in process.lines()]


def queue_documents() -> list[dict[str, Any]]:
    """The org's queues, of which the last one is the default."""
    return [
        {"_id": queue, "org": ORG, "key": queue, "itemSize": size, "priority": size, "default": queue == QUEUES[-1]}
        for size, queue in enumerate(QUEUES, 1)
    ]


def queue_rule_documents() -> list[dict[str, Any]]:
    """The org's rules: gold goes to a queue of its own, silver by its channel."""

    def rule(position: int, queue: str, attribute: str, operator: str, value: str) -> dict[str, Any]:
        criteria = [{"attribute": attribute, "operator": operator, "value": value}]
        common = {"org": ORG, "enabled": True, "match": "all"}
        return {"_id": f"rule-{position}", "position": position, "queue": queue, "criteria": criteria, **common}

    return [rule(1, "q-vip", "tier", "eq", "gold"), rule(2, "q-mail", "tier", "eq", "silver")]
