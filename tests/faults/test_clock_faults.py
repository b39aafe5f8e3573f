"""Clock faults: a worker's clock jumps or is off, or the service's clock is off.

Signatures off by five minutes are refused. MongoDB, SQS, the load and the audit keep the true time.
"""

import time
from datetime import timedelta

import pytest

from tests.e2e.worker_process import WorkerProcess, wait_until
from tests.faults.fault_run import FaultRun
from tests.faults.proxied_run import finish, set_visibility
from tests.faults.proxies.aws_fault import ClockSkew
from tests.faults.proxies.aws_proxy import AwsProxy
from tests.faults.services.clock_offset import ClockOffset
from worker.telemetry.metrics import Metric

HOUR_S = 3_600
JUMPS_S = (HOUR_S, -HOUR_S, 5 * HOUR_S, -7 * HOUR_S, 24 * HOUR_S, -2, -5, 0)
PATIENT_VISIBILITY_S = 60
"""No busy machine lets a visibility timeout lapse, and each jump by hours is longer."""
CLOCK_IS_OFF = "this machine's clock is off"
TRUE_TIME = ClockSkew(by=timedelta())
"""Refuses signatures that are off by five minutes of the true time."""


@pytest.fixture
def clocked_run(run: FaultRun) -> FaultRun:
    """A run whose workers start as programs: LD_PRELOAD takes effect when a program starts, and a fork starts none."""
    run.stage.kind = WorkerProcess
    # A dead letter that was refused is soon tried again.
    run.stage.variables["RETRY_MAX_SECONDS"] = "5"
    return run


@pytest.mark.needs("libfaketime")
def test_the_clock_of_a_worker_jumps(clocked_run: FaultRun, proxy: AwsProxy) -> None:
    run = clocked_run
    set_visibility(run, PATIENT_VISIBILITY_S)
    clock = ClockOffset(run.stage.folder, "jumping")
    (jumping,) = run.workers(1, **clock.variables)
    run.workers(1)
    hours = _logged_hours(jumping)
    with proxy.failing(TRUE_TIME):
        for seconds in JUMPS_S:
            clock.set(seconds)
            time.sleep(3)
            assert jumping.ready(), f"after a jump to {seconds:+d} s: {jumping.http('/readyz')[1]}"
    assert len(_logged_hours(jumping) - hours) >= 5, "the worker's clock did not jump"
    finish(run, proxy)
    assert run.metrics.count(Metric.VISIBILITY_LOST) == 0


@pytest.mark.needs("libfaketime")
def test_the_clocks_of_workers_differ_by_hours(clocked_run: FaultRun, proxy: AwsProxy) -> None:
    """One worker is an hour ahead to its end, one two hours behind; a third has the true time."""
    run = clocked_run
    set_visibility(run, PATIENT_VISIBILITY_S)
    clocks = [ClockOffset(run.stage.folder, "ahead"), ClockOffset(run.stage.folder, "behind")]
    for clock in clocks:
        run.workers(1, **clock.variables)
    run.workers(1)
    with proxy.failing(TRUE_TIME):
        for clock, hours in zip(clocks, (1, -2), strict=True):
            clock.set(hours * HOUR_S)
        handled = _handled(run)
        wait_until(
            lambda: all(now > before + 50 for now, before in zip(_handled(run), handled, strict=True)),
            within_s=120,
            what=lambda: f"each worker has handled fifty events more: {_handled(run)} after {handled}",
        )
    assert _refused(proxy) > 0
    # Signatures of any time are accepted again: a worker whose clock is off can send no dead letter before.
    finish(run, proxy)
    run.notes["events by worker"] = ", ".join(map(str, _handled(run)))
    assert run.metrics.count(Metric.VISIBILITY_LOST) == 0


@pytest.mark.needs("libfaketime")
def test_the_clock_of_a_worker_is_off_when_it_starts(clocked_run: FaultRun, proxy: AwsProxy) -> None:
    """The worker waits, and says why, until the clock has been set."""
    run = clocked_run
    clock = ClockOffset(run.stage.folder, "off")
    with proxy.failing(TRUE_TIME):
        for seconds in (HOUR_S, -HOUR_S):
            clock.set(seconds)
            worker = run.stage.worker(**clock.variables)
            wait_until(
                lambda worker=worker: CLOCK_IS_OFF in str(worker.http("/readyz")[1]),  # type: ignore[misc]
                within_s=60,
                what=lambda worker=worker: f"it says that its clock is off: {worker.http('/readyz')[1]}",  # type: ignore[misc]
            )
            assert worker.http("/healthz")[0] == 200
            clock.set(0)
            worker.wait_ready()
    finish(run, proxy)


@pytest.mark.needs("libfaketime")
def test_the_clock_of_a_worker_on_the_aws_library_jumps(clocked_run: FaultRun, proxy: AwsProxy) -> None:
    """The library signs by the worker's clock: SQS and SNS refuse it until the clock is right again."""
    run = clocked_run
    clock = ClockOffset(run.stage.folder, "library")
    library = {"SQS_TRANSPORT": "library", "SNS_TRANSPORT": "library"}
    (jumping,) = run.workers(1, **library, **clock.variables)
    run.workers(1)
    with proxy.failing(TRUE_TIME):
        for seconds in (HOUR_S, -HOUR_S):
            refused = _refused(proxy)
            clock.set(seconds)
            wait_until(
                lambda refused=refused: _refused(proxy) > refused + 5,  # type: ignore[misc]
                within_s=60,
                what=lambda: "calls are refused",
            )
            clock.set(0)
            handled = len(jumping.audits())
            wait_until(
                lambda handled=handled: jumping.ready() and len(jumping.audits()) > handled + 20,  # type: ignore[misc]
                within_s=60,
                what=lambda: "the worker is at work again",
            )
    finish(run, proxy)


def test_the_clock_of_the_service_is_off(run: FaultRun, proxy: AwsProxy) -> None:
    run.workers(2)
    for minutes in (20, -20, 1_440):
        with proxy.failing(ClockSkew(by=timedelta(minutes=minutes))):
            begun = time.monotonic()
            # The first calls are refused; then the workers sign by the service's clock.
            wait_until(
                lambda begun=begun: _settled_since(proxy, begun) > 20,  # type: ignore[misc]
                within_s=30,
                what=lambda minutes=minutes: f"messages are settled with {minutes} minutes between",  # type: ignore[misc]
            )
    finish(run, proxy)


def _settled_since(proxy: AwsProxy, at: float) -> int:
    return sum(when > at for when in proxy.deleted().values())


def _handled(run: FaultRun) -> list[int]:
    return [len(worker.audits()) for worker in run.stage.workers]


def _refused(proxy: AwsProxy) -> int:
    return sum(not call.carried_out for call in proxy.calls)


def _logged_hours(worker: WorkerProcess) -> set[str]:
    return {line["time"][:13] for line in worker.lines()}
