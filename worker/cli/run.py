"""`routing-sync run`: the long-running worker, which the container starts."""

import asyncio

from worker.cli.terminal import exit_with_error, settings_or_exit
from worker.settings.settings import Settings


def run() -> None:
    """Run the worker until SIGTERM or SIGINT. Settings come from the environment.

    Exit status 0 after a signal, 1 where the worker cannot start or meets an unexpected error, 2 where settings are
    wrong.
    """
    settings = settings_or_exit(Settings, "run")
    # After the settings, so that wrong settings are reported at once: the worker imports every adapter.
    from worker.errors import WorkerFailed  # noqa: PLC0415
    from worker.process import run_worker  # noqa: PLC0415

    try:
        asyncio.run(run_worker(settings))
    except WorkerFailed as error:
        exit_with_error("run", error)
