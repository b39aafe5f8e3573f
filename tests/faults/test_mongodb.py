"""Faults of MongoDB: killed, stepped down, slow, suspended, out of connections; lost commits and lost answers."""

import time
from collections.abc import Callable
from random import Random

import pytest

from mongod import Mongod
from tests.e2e.worker_process import WorkerProcess, wait_until
from tests.faults.fault_run import FaultRun
from tests.faults.proxies.mongo_proxy import MongoProxy
from tests.faults.services.replica_set import ReplicaSet

DEADLINE_S = 2
IMPATIENT = {"STORE_DEADLINE_SECONDS": str(DEADLINE_S), "STORE_RETRY_MAX_SECONDS": "2"}
RunOn = Callable[..., FaultRun]


def unready(worker: WorkerProcess) -> str:
    """The reason that `/readyz` gives for the store; waits for status 503. `/healthz` must stay 200."""
    wait_until(lambda: worker.http("/readyz")[0] == 503, within_s=30, what=lambda: "the worker says it is not ready")
    assert worker.http("/healthz")[0] == 200
    return str(worker.http("/readyz")[1]["checks"]["store"].get("reason", ""))


def test_mongod_killed_and_restarted(run: FaultRun, mongod: Mongod) -> None:
    workers = run.workers(2, **IMPATIENT)
    for _ in range(3):
        time.sleep(1 + run.random.random() * 3)
        mongod.kill()
        run.kills += 1
        time.sleep(run.random.random() * 3)
        mongod.start()
        for worker in workers:
            worker.wait_ready()
    run.finish()
    assert run.pauses > 0


def test_primary_stepped_down_and_killed(run_on: RunOn) -> None:
    with ReplicaSet() as three:
        run = run_on(three.uri)
        workers = run.workers(2, **IMPATIENT)
        for _ in range(3):
            time.sleep(1 + run.random.random() * 2)
            three.step_down()
            run.kills += 1
        time.sleep(run.random.random() * 2)
        killed = three.primary()
        killed.kill()
        run.kills += 1
        three.primary()
        time.sleep(1)
        killed.start()
        for worker in workers:
            worker.wait_ready()
        run.finish()


def test_the_majority_is_silent_and_the_primary_answers(run_on: RunOn) -> None:
    """Writes and reads of the primary go on, but no commit is acknowledged, and no majority read sees one."""
    with ReplicaSet(election_timeout_s=60) as three:
        run = run_on(three.uri)
        workers = run.workers(2, **IMPATIENT)
        for _ in range(2):
            time.sleep(2)
            silent = three.secondaries()
            for member in silent:
                member.suspend()
            try:
                for worker in workers:
                    assert "MongoDB" in unready(worker)
                time.sleep(3 * DEADLINE_S)
            finally:
                for member in silent:
                    member.resume()
            for worker in workers:
                worker.wait_ready()
        run.finish()
        assert run.pauses >= 2 * 2


@pytest.mark.parametrize("kind", ["lose_answer", "lose_request"])
def test_a_commit_is_lost_on_its_way(run: FaultRun, mongod: Mongod, kind: str) -> None:
    with MongoProxy(mongod.port, Random(run.seed)) as proxy:
        run.workers(2, MONGODB_URI=proxy.uri, **IMPATIENT)
        setattr(proxy.faults, kind, 0.4)
        run.load.wait_published(400, within_s=90)
        setattr(proxy.faults, kind, 0.0)
        run.finish()
        lost = proxy.lost_answers if kind == "lose_answer" else proxy.lost_requests
        run.notes[kind] = f"{lost} of {proxy.commits} commits"
        assert lost > 20


def test_mongodb_slow(run: FaultRun, mongod: Mongod) -> None:
    """Up to half a second a command, so that some batches miss their deadline."""
    with MongoProxy(mongod.port, Random(run.seed)) as proxy:
        run.workers(2, MONGODB_URI=proxy.uri, **IMPATIENT)
        for latency_s in (0.05, 0.2, 0.5, 0.0):
            proxy.faults.latency_s = latency_s
            time.sleep(5)
        run.finish()
        assert run.pauses > 0, "no batch missed its deadline"


def test_mongodb_silent_past_every_deadline(run: FaultRun, mongod: Mongod) -> None:
    workers = run.workers(2, **IMPATIENT)
    for _ in range(2):
        time.sleep(2)
        mongod.suspend()
        try:
            for worker in workers:
                assert "MongoDB" in unready(worker)
            time.sleep(3 * DEADLINE_S)
        finally:
            mongod.resume()
        for worker in workers:
            worker.wait_ready()
    run.finish()
    assert run.pauses >= 2 * 2


def test_connections_run_out(run: FaultRun, mongod: Mongod) -> None:
    """Two connections for 32 lanes, slow commands, and a wait of at most 0.2 s for a connection."""
    with MongoProxy(mongod.port, Random(run.seed)) as proxy:
        uri = f"{proxy.uri}&maxPoolSize=2&waitQueueTimeoutMS=200"
        workers = run.workers(2, MONGODB_URI=uri, LANES="32", **IMPATIENT)
        proxy.faults.latency_s = 0.1
        run.load.wait_published(400, within_s=90)
        proxy.faults.latency_s = 0.0
        run.finish()
    lines = [line for worker in workers for line in worker.lines()]
    assert any("maxPoolSize" in line.get("reason", "") for line in lines), "connections did not run out"
