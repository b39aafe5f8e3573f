"""`routing-sync run` under cProfile, from SIGUSR1 to SIGUSR2, when its figures go to the file BENCH_PROFILE."""

import asyncio
import cProfile
import os
import signal
from pathlib import Path

from worker.process import run_worker
from worker.settings import Settings


def main() -> None:
    """Run until killed."""
    profile = cProfile.Profile()

    def begin(*_: object) -> None:
        profile.enable()

    def end(*_: object) -> None:
        profile.disable()
        file = Path(os.environ["BENCH_PROFILE"])
        profile.dump_stats(f"{file}.part")
        # Who waits for it must find it whole.
        Path(f"{file}.part").rename(file)

    signal.signal(signal.SIGUSR1, begin)
    signal.signal(signal.SIGUSR2, end)
    asyncio.run(run_worker(Settings()))


if __name__ == "__main__":
    main()
