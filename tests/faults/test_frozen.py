"""A worker that stands still for longer than the visibility timeout and then goes on, as after `docker pause`, a
suspended machine, or a CPU quota that is used up."""

import signal
import time

from tests.e2e.worker_process import WorkerProcess, wait_until
from tests.faults.fault_run import FaultRun
from tests.faults.proxied_run import finish, set_visibility
from tests.faults.proxies.aws_proxy import AwsProxy

VISIBILITY_S = 5
FROZEN_S = 12


def _holds_messages(run: FaultRun) -> bool:
    return run.stage.in_flight() > 0


def _freeze(worker: WorkerProcess) -> None:
    worker.process.send_signal(signal.SIGSTOP)


def _thaw(worker: WorkerProcess) -> None:
    worker.process.send_signal(signal.SIGCONT)


def test_a_frozen_worker_finds_its_messages_handled_by_the_other(run: FaultRun, proxy: AwsProxy) -> None:
    set_visibility(run, VISIBILITY_S)
    frozen, other = run.workers(2)
    for _ in range(3):
        run.load.wait_published(run.load.published + 100, within_s=90)
        wait_until(lambda: _holds_messages(run), within_s=30, what=lambda: "messages are in flight")
        _freeze(frozen)
        run.kills += 1
        time.sleep(FROZEN_S)
        assert other.http("/readyz")[0] == 200
        _thaw(frozen)
        frozen.wait_ready()
    finish(run, proxy)
    assert run.figures is not None
    assert run.figures.redeliveries > 0, "no message of the frozen worker came to the other"
