"""`routing-sync serve`: the HTTP face and the status page, a process of its own beside the worker."""

from importlib.util import find_spec

from worker.cli.terminal import exit_with_error, settings_or_exit
from worker.errors import Misconfigured, WorkerFailed
from worker.settings.verbs.serve import ServeSettings
from worker.telemetry.output.standard_streams import StandardStreams, bounded_streams


def serve() -> None:
    """Serve the API and the status page until SIGTERM or SIGINT. Settings come from the environment.

    It needs the extra `api`. Exit status 0 after a signal, 1 where the process cannot start or meets an unexpected
    error, 2 where settings are wrong.
    """
    try:
        with bounded_streams() as streams:
            _serve(streams)
    except Misconfigured as error:
        exit_with_error("serve", error)


def _serve(streams: StandardStreams) -> None:
    settings = settings_or_exit(ServeSettings, "serve")
    if find_spec("fastapi") is None or find_spec("uvicorn") is None:
        exit_with_error("serve", "the extra api is not installed: install routing-sync[api]")
    # After the settings, so that wrong settings are reported at once: the process imports every adapter.
    from worker.api_process import run_api  # noqa: PLC0415
    from worker.runtime.lookup_threads import run_with_few_threads  # noqa: PLC0415

    try:
        run_with_few_threads(run_api(settings, streams.out))
    except WorkerFailed as error:
        exit_with_error("serve", error)
