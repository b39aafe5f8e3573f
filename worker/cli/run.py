"""`routing-sync run`: the long-running worker, what the container starts."""

import asyncio
import sys

import typer

from worker.cli.terminal import settings_or_exit
from worker.settings import Settings


def run() -> None:
    """Run the worker until SIGTERM or SIGINT. Settings come from the environment.

    Exit status 0 after a signal, 1 where it cannot start or meets a fault in its own code, 2 where the settings are
    wrong.
    """
    settings = settings_or_exit(Settings, "run")
    # After the settings: these need everything the worker is made of.
    from worker.errors import WorkerFailed  # noqa: PLC0415
    from worker.process import run_worker  # noqa: PLC0415

    try:
        asyncio.run(run_worker(settings))
    except WorkerFailed as error:
        sys.stderr.write(f"routing-sync run: {error}\n")
        raise typer.Exit(1) from error
