"""Ends a local server when the process that started it has died, even by SIGKILL.

Usage: watchdog.py PID [FOLDER]. Standard input is a pipe that the starter holds open. A byte on the pipe means that the
server was stopped in order. The pipe's end without a byte means that the starter died: the watchdog kills the server's
process group and removes FOLDER, its temporary data. It imports the standard library only, to start in milliseconds.
"""

import contextlib
import os
import shutil
import signal
import sys
import time


def main() -> None:
    """Wait for the starter's byte or for the end of the pipe."""
    server_pid, *folders = sys.argv[1:]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if os.read(sys.stdin.fileno(), 1):
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(int(server_pid), signal.SIGKILL)
    for folder in folders:
        # The server may still write until the kernel has ended it.
        for _ in range(20):
            shutil.rmtree(folder, ignore_errors=True)
            if not os.path.exists(folder):  # noqa: PTH110 - pathlib would double the start-up time
                break
            time.sleep(0.1)


if __name__ == "__main__":
    main()
