"""A store slower than the queue, and a contended conversation, which must not delay others."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

import pytest
from pymongo.database import Database

from commands.instant import parse_instant
from mongod import Mongod
from tests.e2e.outside import Outside, body
from tests.e2e.worker_process import WorkerProcess, wait_until
from tests.faults.fault_run import FaultRun
from tests.faults.load.outside_services import OutsideServices
from tests.faults.proxies.mongo_proxy import MongoProxy
from worker.telemetry.metrics import Metric

IN_HAND_MAX = 60
GROWTH_MB_MAX = 25.0
BATCH = 10
ROUNDS = 5
# Shorter than the lifetime limit of transactions in these suites.
HELD_S = 4.0


def rss_mb(worker: WorkerProcess) -> float:
    pages = int(Path(f"/proc/{worker.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1_048_576


def test_a_store_slower_than_the_queue(run: FaultRun, mongod: Mongod) -> None:
    with MongoProxy(mongod.port, Random(run.seed)) as proxy:
        run.load.wait_published(300, within_s=90)
        proxy.faults.latency_s = 0.4
        sizes = {"IN_HAND_MAX": str(IN_HAND_MAX), "RECEIVERS": "2", "LANES": "4", "BATCH_MAX": "10"}
        [worker] = run.workers(1, MONGODB_URI=proxy.uri, **sizes)
        in_flight, memory_mb = [], []
        for _ in range(40):
            time.sleep(0.5)
            in_flight.append(run.stage.in_flight())
            memory_mb.append(rss_mb(worker))
            # A slow store is not reported as away.
            status, shown = worker.http("/readyz")
            assert (status, shown["ready"]) == (200, True)
            assert shown["checks"] == {part: {"ok": True} for part in _PARTS}
        assert run.stage.depth() > IN_HAND_MAX, "the store is not slower than the queue"
        assert max(in_flight) <= IN_HAND_MAX
        assert max(in_flight) > IN_HAND_MAX // 2, "there is no pressure"
        growth_mb = max(memory_mb) - memory_mb[4]
        assert growth_mb < GROWTH_MB_MAX
        run.notes |= {"in flight": str(max(in_flight)), "RSS": f"{max(memory_mb):.0f} MB, grew {growth_mb:.1f}"}
        proxy.faults.latency_s = 0.0
        assert run.finish().redeliveries == 0, "a message in flight was delivered again"


_PARTS = ("queue", "store", "pipelines", "progress")


@contextlib.contextmanager
def uncontended(_: Database[dict[str, Any]], __: str) -> Iterator[None]:
    """No other writer."""
    yield


@contextlib.contextmanager
def held(database: Database[dict[str, Any]], key: str) -> Iterator[None]:
    """Another writer's open transaction holds the conversation."""
    with database.client.start_session() as session, session.start_transaction():
        database["conversations"].update_one({"_id": key}, {"$set": {"held": True}}, session=session)
        yield
        session.abort_transaction()


@contextlib.contextmanager
def updated_often(database: Database[dict[str, Any]], key: str) -> Iterator[None]:
    """Another writer updates the conversation some hundred times a second."""
    ended = threading.Event()

    def update() -> None:
        while not ended.is_set():
            database["conversations"].update_one({"_id": key}, {"$inc": {"hammered": 1}})
            time.sleep(0.003)

    thread = threading.Thread(target=update, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@pytest.fixture
def slow_uri(mongod: Mongod, seed: int) -> Iterator[str]:
    """The URI of a proxy that makes transactions long enough to conflict with frequent updates."""
    with MongoProxy(mongod.port, Random(seed)) as proxy:
        proxy.faults.latency_s = 0.01
        yield proxy.uri


@pytest.mark.parametrize("contended", [held, updated_often])
def test_one_conversation_holds_up_no_other(
    run_on: Callable[..., FaultRun], mongod: Mongod, slow_uri: str, contended: Callable[..., Any]
) -> None:
    """In one lane: nine conversations are settled about as soon as without contention on the tenth."""
    run = run_on(mongod.uri, services=partial(OutsideServices, pairs=30, per_second=10))
    stage = run.stage
    [worker] = run.workers(1, MONGODB_URI=slow_uri, LANES="1")
    run.load.wait_published(100, within_s=60)
    outside = Outside(run.seed)
    streams = [outside.conversation(number) for number in range(BATCH)]
    stage.publish([next(stream) for stream in streams])
    stored = {"_id": {"$in": [f"conversation-{number}" for number in range(BATCH)]}}
    wait_until(
        lambda: stage.database["conversations"].count_documents(stored) == BATCH,
        within_s=30,
        what=lambda: "the conversations are there",
    )
    kinds: list[Any] = [uncontended, contended] * ROUNDS
    rounds = [(kind, _settled_after_s(run, worker, kind, [body(next(each)) for each in streams])) for kind in kinds]
    free_s = max(max(nine) for kind, (_, *nine) in rounds if kind is uncontended)
    # The median: a busy machine delays a round now and then, and contention would delay each one.
    nine_s = median(max(nine) for kind, (_, *nine) in rounds if kind is contended)
    tenth_s = [tenth for kind, (tenth, *_) in rounds if kind is contended]
    run.notes |= {"nine within": f"{nine_s:.2f} s", "else": f"{free_s:.2f} s", "tenth after": f"{max(tenth_s):.2f} s"}
    if contended is held:
        assert min(tenth_s) > HELD_S - 0.5, "the tenth was not held"
    assert run.metrics.count(Metric.CONFLICT) > ROUNDS, "the tenth was not contended"
    assert nine_s < free_s + HELD_S / 2
    run.finish()


def _settled_after_s(run: FaultRun, worker: WorkerProcess, contended: Any, bodies: list[str]) -> list[float]:
    """Seconds until each message is settled while the conversation of the first is contended."""
    with contended(run.stage.database, "conversation-0"):
        os.kill(worker.process.pid, signal.SIGSTOP)
        ids = _sent(run, bodies)
        began = time.time()
        os.kill(worker.process.pid, signal.SIGCONT)
        # No polling meanwhile: it would slow the worker that is measured.
        time.sleep(HELD_S)
    wait_until(lambda: _done(worker).keys() >= set(ids), within_s=60, what=lambda: "all are settled")
    done = _done(worker)
    return [done[each].timestamp() - began for each in ids]


def _sent(run: FaultRun, bodies: list[str]) -> list[str]:
    """Sends all messages in one call. Returns their ids."""
    entries = [{"Id": str(number), "MessageBody": text} for number, text in enumerate(bodies)]
    answer = run.stage.sqs.send_message_batch(QueueUrl=run.stage.variables["SQS_QUEUE_URL"], Entries=entries)
    ids = {int(each["Id"]): each["MessageId"] for each in answer["Successful"]}
    return [ids[number] for number in range(len(bodies))]


def _done(worker: WorkerProcess) -> Mapping[str, datetime]:
    """The time of settlement by message id."""
    times = {}
    for line in worker.lines():
        if line["msg"] == "message done":
            at = parse_instant(line["time"])
            assert at is not None
            times[line["messageId"]] = at
    return times
