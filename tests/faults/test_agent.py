"""The Datadog agent is down, cannot be looked up, moves: metrics are late or lost, and nothing else is."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mongod import Mongod
from tests.e2e.worker_process import WorkerProcess, wait_until
from tests.faults.fault_run import FaultRun
from tests.faults.load.outside_services import OutsideServices
from tests.faults.services.name_server import IsolatedWorker, SystemNameServer
from tests.faults.services.statsd_listener import StatsdListener
from worker.telemetry.agent.watch import LOOK_UP_S, REPORT_S
from worker.telemetry.metrics import Metric

AWAY = "the Datadog agent takes no metrics"
BACK = "the Datadog agent takes metrics again"
VISIBILITY_S = 120


def _lines(worker: WorkerProcess, message: str) -> list[dict[str, Any]]:
    return [line for line in worker.lines() if line["msg"] == message]


def _wait_for(worker: WorkerProcess, message: str, count: int, *, within_s: float) -> None:
    wait_until(
        lambda: len(_lines(worker, message)) >= count,
        within_s=within_s,
        what=lambda: f"{count} lines {message!r}: {_lines(worker, message)}",
    )


def test_row_12_the_agent_is_down(run: FaultRun, tmp_path: Path) -> None:
    """Over UDP for one worker and over a Unix socket for the other: a line at once, then one a minute."""
    path = tmp_path / "dsd.socket"
    with StatsdListener() as listener:
        port = listener.port
    began = time.monotonic()
    [over_udp] = run.workers(1, STATSD_PORT=str(port))
    [over_unix] = run.workers(1, STATSD_HOST=f"unix://{path}")
    for worker in (over_udp, over_unix):
        _wait_for(worker, AWAY, 2, within_s=REPORT_S + 30)
        assert worker.ready()
    down_s = time.monotonic() - began
    assert {line["reason"] for line in _lines(over_udp, AWAY)} == {"Connection refused"}
    assert {line["reason"] for line in _lines(over_unix, AWAY)} == {"No such file or directory"}
    with StatsdListener(("127.0.0.1", port)) as udp_agent, StatsdListener(str(path)) as unix_agent:
        for worker in (over_udp, over_unix):
            _wait_for(worker, BACK, 1, within_s=30)
        run.finish()
    for agent, worker in ((udp_agent, over_udp), (unix_agent, over_unix)):
        assert agent.count(Metric.RECEIVED) > 0
        assert len(_lines(worker, BACK)) == 1
        assert len(_lines(worker, AWAY)) <= 2 + down_s // REPORT_S
        assert [line for line in worker.lines() if str(line.get("logger")).startswith("datadog")] == []
    lost = {name: _lines(worker, BACK)[0]["packetsLost"] for name, worker in (("UDP", over_udp), ("Unix", over_unix))}
    run.notes |= {f"lost over {name}": str(packets) for name, packets in lost.items()}


@pytest.fixture
def run(run_on: Callable[..., FaultRun], mongod: Mongod) -> FaultRun:
    """A run of some minutes: less load than in the others, and a visibility timeout that a slow machine keeps."""
    run = run_on(mongod.uri, services=partial(OutsideServices, pairs=30, per_second=10))
    url = run.stage.variables["SQS_QUEUE_URL"]
    run.stage.sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": str(VISIBILITY_S)})
    return run


@pytest.fixture
def name_server() -> Iterator[SystemNameServer]:
    with SystemNameServer() as server:
        yield server


@pytest.mark.needs("own name server")
def test_row_11_the_agents_name_server_is_silent_and_the_agent_moves(
    run: FaultRun, name_server: SystemNameServer
) -> None:
    run.stage.kind = IsolatedWorker
    with StatsdListener(("127.0.0.2", 0)) as first, StatsdListener(("127.0.0.3", first.port)) as second:
        where = {"STATSD_HOST": "", "DD_AGENT_HOST": "agent.test", "DD_DOGSTATSD_PORT": str(first.port)}
        workers = run.workers(2, **where)
        run.load.wait_published(100, within_s=60)
        for worker in workers:
            _wait_for(worker, AWAY, 1, within_s=30)
            assert _lines(worker, AWAY)[0]["reason"].startswith("its name cannot be looked up")
        assert name_server.questions > 0
        assert first.count(Metric.RECEIVED) == 0
        name_server.address = "127.0.0.2"
        for worker in workers:
            _wait_for(worker, BACK, 1, within_s=60)
        assert first.count(Metric.RECEIVED) > 0
        assert second.count(Metric.RECEIVED) == 0
        run.report("the agent's name has an address")
        # No host answers for the old address: only the look-up tells that the agent has moved.
        name_server.address = "127.0.0.3"
        wait_until(
            lambda: second.count(Metric.RECEIVED) > 0,
            within_s=2 * LOOK_UP_S,
            what=lambda: f"the agent that moved receives metrics, after {name_server.questions} questions",
        )
        name_server.address = None
        run.finish()
        # The last address stays in use while the name server is silent.
        assert second.count(Metric.OUTCOME) > 0
        run.notes["questions"] = str(name_server.questions)
