"""The console script `routing-sync`. It handles the stop signals before it imports anything that takes long.

The kernel discards a signal to the first process of a container while that process has no handler for it. The imports
of the worker take a second or more, so a handler of this file stands from before them until the event loop has its own
(worker/runtime/shutdown_signal.py). The imports of this file are few for the same reason.
"""

import os
import signal
import sys
from typing import Final

from worker.cli.exit_status import EXIT_INTERRUPTED

STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
INTERRUPT_S: Final = 0.6
"""How long a verb may take to end after Ctrl-C. With the imports that may be under way this is less than a second."""
_SERVERS: Final = (["run"], ["serve"])
"""The verbs whose processes run until a stop signal."""
_STANDARD_DESCRIPTORS: Final = (0, 1, 2)


def main() -> None:
    """Run the command line and exit with its status."""
    _occupy_closed_descriptors()
    if sys.argv[1:2] in _SERVERS:
        for number in STOP_SIGNALS:
            signal.signal(number, _exit_at_once)
        if sys.argv[1:] in _SERVERS:
            # They have line writers before their streams; `run --help` and a wrong option are as in other verbs.
            sys.exit(run(sys.argv[1:]))
    # A parent may have made Ctrl-C ignored, as a shell does for its background processes.
    elif signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)
    try:
        from worker.cli.standard_output import guard_standard_streams  # noqa: PLC0415 - after the handler

        guard_standard_streams()
        status = run(sys.argv[1:])
    except KeyboardInterrupt:
        status = EXIT_INTERRUPTED
    if status == EXIT_INTERRUPTED:
        # The interpreter's own end could wait for a thread or a reader, with the handlers gone already.
        os._exit(status)
    sys.exit(status)


def run(arguments: list[str]) -> int:
    """The exit status of a command line."""
    from worker.cli.verbs import run_verb  # noqa: PLC0415 - after the handlers of `main`

    return run_verb(arguments)


def _interrupt(*_: object) -> None:
    """Raise KeyboardInterrupt in whatever the verb does, a read of standard input included.

    asyncio's own handler would only cancel the main task, and neither a blocking read nor a replay ever awaits. What
    the verb still waits for at its end, as a name server or a reader of its output, gets `INTERRUPT_S`.
    """
    signal.signal(signal.SIGINT, _exit_interrupted)
    signal.signal(signal.SIGALRM, _exit_interrupted)
    signal.setitimer(signal.ITIMER_REAL, INTERRUPT_S)
    raise KeyboardInterrupt


def _exit_interrupted(*_: object) -> None:
    os._exit(EXIT_INTERRUPTED)


def _exit_at_once(*_: object) -> None:
    """End with status 0, as after every stop signal: no message is in flight and no connection open yet."""
    os._exit(0)


def _occupy_closed_descriptors() -> None:
    """Open /dev/null in the place of a closed standard stream. Otherwise the next socket would get its number, and
    what is written to standard error would go to a service."""
    for descriptor in _STANDARD_DESCRIPTORS:
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free number, which is this one: those below it are open by now.
            os.open(os.devnull, os.O_RDWR)
