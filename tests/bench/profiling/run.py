"""A run of the worker under cProfile, from the release of the queue until it is empty."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from tests.bench.consumers.consumer import Consumer
from tests.bench.loads.workload import LoadKind, workload
from tests.bench.profiling.profile import Profile, profile_of
from tests.bench.runs.fleet import RunFailed
from tests.bench.runs.rounds import BenchPlan
from tests.bench.runs.servers import BenchServers

_WRITTEN_WITHIN_S: Final = 10
_POLL_S: Final = 0.02
_WORKER: Final = Consumer(name="profile", command=(sys.executable, "-m", "tests.bench.profiling.worker"))


def profile_run(servers: BenchServers, plan: BenchPlan, kind: LoadKind, folder: Path) -> Profile:
    """The shares of the worker's time on one load. Raises RunFailed."""
    file = folder / f"{kind.name}.profile"

    def begin(process: "subprocess.Popen[bytes]") -> None:
        os.kill(process.pid, signal.SIGUSR1)

    def end(process: "subprocess.Popen[bytes]") -> None:
        os.kill(process.pid, signal.SIGUSR2)
        deadline = time.monotonic() + _WRITTEN_WITHIN_S
        while not file.exists():
            if time.monotonic() > deadline:
                raise RunFailed(f"no profile of {kind.value}")
            time.sleep(_POLL_S)

    load = workload(kind, plan.messages, seed=plan.seed, agents=plan.agents)
    servers.run(_WORKER, load, extra={"BENCH_PROFILE": str(file)}, begin=begin, end=end)
    return profile_of(file)
