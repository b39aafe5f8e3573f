"""`routing-sync run`: the long-running worker, which the container starts."""

from worker.cli.terminal import exit_with_error, settings_or_exit
from worker.errors import Misconfigured, WorkerFailed
from worker.settings.settings import Settings
from worker.telemetry.output.standard_streams import StandardStreams, bounded_streams


def run() -> None:
    """Run the worker until SIGTERM or SIGINT. Settings come from the environment.

    Exit status 0 after a signal, 1 where the worker cannot start or meets an unexpected error, 2 where settings are
    wrong. Standard output and standard error do not change it, whatever becomes of them.
    """
    try:
        with bounded_streams() as streams:
            _run(streams)
    except Misconfigured as error:
        exit_with_error("run", error)


def _run(streams: StandardStreams) -> None:
    settings = settings_or_exit(Settings, "run")
    # After the settings, so that wrong settings are reported at once: the worker imports every adapter.
    from worker.process import run_worker  # noqa: PLC0415
    from worker.runtime.lookup_threads import run_with_few_threads  # noqa: PLC0415

    try:
        run_with_few_threads(run_worker(settings, streams.out))
    except WorkerFailed as error:
        exit_with_error("run", error)
