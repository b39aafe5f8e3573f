"""Ends a local server when the process that started it has gone, even if that one was killed.

Usage: watchdog.py PID [FOLDER], with standard input a pipe that the starter holds open. A byte on it means that the
server was stopped in order: nothing to do. Its end without a byte means that the starter died: the server's
process group is killed and FOLDER, its temporary data, removed. Standard library only: it is up in milliseconds.
"""

import contextlib
import os
import shutil
import signal
import sys
import time


def main() -> None:
    """Wait for the starter's word or its end."""
    server_pid, *folders = sys.argv[1:]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if os.read(sys.stdin.fileno(), 1):
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(int(server_pid), signal.SIGKILL)
    for folder in folders:
        # The server may write for as long as the kernel takes to end it.
        for _ in range(20):
            shutil.rmtree(folder, ignore_errors=True)
            if not os.path.exists(folder):  # noqa: PTH110 - pathlib would double the start-up time
                break
            time.sleep(0.1)


if __name__ == "__main__":
    main()
