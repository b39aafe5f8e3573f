"""Clock faults: a worker's clock jumps, or the service's clock is off. Signatures off by five minutes are refused.

libfaketime (Debian's package `faketime`) moves the clock of one worker by an offset that it reads from a file; the
monotonic clock is not moved. Without the library that test is skipped.
"""

import time
from datetime import timedelta
from pathlib import Path

import pytest

from tests.e2e.worker_process import WorkerProcess, wait_until
from tests.faults.fault_run import FaultRun
from tests.faults.proxied_run import finish
from tests.faults.proxies.aws_fault import ClockSkew
from tests.faults.proxies.aws_proxy import AwsProxy

_JUMPS_S = (3_600, -3_600, 86_400, -2, -5, 0)
_NO_LIBRARY = "libfaketime is not here: `apt-get install faketime`"


def _library() -> Path | None:
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    return found[0] if found else None


@pytest.mark.skipif(_library() is None, reason=_NO_LIBRARY)
def test_the_clock_of_a_worker_jumps(run: FaultRun, proxy: AwsProxy) -> None:
    offset = run.stage.folder / "offset"

    def jump(seconds: int) -> None:
        # Replaced in one step: a half-written file would be another jump.
        written = offset.with_suffix(".new")
        written.write_text(f"{seconds:+d}s\n")
        written.replace(offset)

    jump(0)
    fake = {
        "LD_PRELOAD": str(_library()),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }
    # LD_PRELOAD takes effect when a program starts, and a fork starts no program.
    run.stage.kind = WorkerProcess
    (jumping,) = run.workers(1, **fake)
    run.workers(1)
    hours = {line["time"][:13] for line in jumping.lines()}
    with proxy.failing(ClockSkew(by=timedelta())):
        for seconds in _JUMPS_S:
            jump(seconds)
            time.sleep(3)
            assert jumping.ready(), f"after a jump to {seconds:+d} s: {jumping.http('/readyz')[1]}"
    assert len({line["time"][:13] for line in jumping.lines()} - hours) >= 3, "the worker's clock did not jump"
    finish(run, proxy)
    # Read from the log: the thread that sends metrics does not survive libfaketime.
    assert not any(line["msg"].startswith("visibility lost") for line in jumping.lines())


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
