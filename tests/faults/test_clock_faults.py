"""A clock that jumps under a running worker, with a service that refuses signatures of another time, as AWS does.

The clock of one worker is moved by libfaketime (Debian's package `faketime`), which reads its offset from a file; the
monotonic clock goes on. Without the library this is skipped; a service whose clock is off needs nothing.
"""

import time
from datetime import timedelta
from pathlib import Path

import pytest

from tests.e2e.worker_process import WorkerProcess, wait_until
from tests.faults.fault_run import FaultRun
from tests.faults.proxies.aws_fault import ClockSkew
from tests.faults.proxies.aws_proxy import AwsProxy
from tests.faults.test_queue_faults import finish

_JUMPS_S = (3_600, -3_600, 86_400, -2, -5, 0)
_NO_LIBRARY = "libfaketime is not here: `apt-get install faketime`"


def _library() -> Path | None:
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    return found[0] if found else None


@pytest.mark.skipif(_library() is None, reason=_NO_LIBRARY)
def test_the_clock_of_a_worker_jumps(run: FaultRun, proxy: AwsProxy) -> None:
    offset = run.stage.folder / "offset"

    def jump(seconds: int) -> None:
        # In one step: a half-written file would be another jump.
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
    # Libraries are put before others when a process starts, and a fork is no start.
    run.stage.kind = WorkerProcess
    (jumping,) = run.workers(1, **fake)
    run.workers(1)
    hours = {line["time"][:13] for line in jumping.lines()}
    with proxy.failing(ClockSkew(by=timedelta())):
        for seconds in _JUMPS_S:
            jump(seconds)
            time.sleep(3)
            assert jumping.ready(), f"after a jump to {seconds:+d} s: {jumping.http('/readyz')[1]}"
    assert len({line["time"][:13] for line in jumping.lines()} - hours) >= 3, "its clock was to have jumped"
    finish(run, proxy)
    # The log says it: the thread that sends metrics does not survive libfaketime.
    assert not any(line["msg"].startswith("visibility lost") for line in jumping.lines())


def test_the_clock_of_the_service_is_off(run: FaultRun, proxy: AwsProxy) -> None:
    run.workers(2)
    for minutes in (20, -20, 1_440):
        with proxy.failing(ClockSkew(by=timedelta(minutes=minutes))):
            begun = time.monotonic()
            # Refused at first: then the workers go by the service's clock.
            wait_until(
                lambda begun=begun: _settled_since(proxy, begun) > 20,  # type: ignore[misc]
                within_s=30,
                what=lambda minutes=minutes: f"messages are settled with {minutes} minutes between",  # type: ignore[misc]
            )
    finish(run, proxy)


def _settled_since(proxy: AwsProxy, at: float) -> int:
    return sum(when > at for when in proxy.deleted().values())
