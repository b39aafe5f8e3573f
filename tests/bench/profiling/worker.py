"""`routing-sync run` under cProfile between SIGUSR1 and SIGUSR2, which writes the profile to the file BENCH_PROFILE."""

import cProfile
import os
import signal
from pathlib import Path

from worker.process import run_worker
from worker.runtime.lookup_threads import run_with_few_threads
from worker.settings.settings import Settings
from worker.telemetry.output.standard_streams import bounded_streams


def main() -> None:
    """Runs the worker until the process is killed."""
    profile = cProfile.Profile()

    def begin(*_: object) -> None:
        profile.enable()

    def end(*_: object) -> None:
        profile.disable()
        file = Path(os.environ["BENCH_PROFILE"])
        profile.dump_stats(f"{file}.part")
        # Renamed when complete: the benchmark waits for the file and reads it at once.
        Path(f"{file}.part").rename(file)

    signal.signal(signal.SIGUSR1, begin)
    signal.signal(signal.SIGUSR2, end)
    with bounded_streams() as streams:
        run_with_few_threads(run_worker(Settings(), streams.out))


if __name__ == "__main__":
    main()
