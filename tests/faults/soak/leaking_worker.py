"""`routing-sync run` that leaks on purpose: a thread beside the worker keeps memory and descriptors, more each second.

It shows that the verdict of a soak finds a leak. Every second it keeps as much as a worker that never forgot an event
would, at some hundred events a second, and every other second a descriptor.
"""

import os
import sys
import threading
from typing import Final

from worker.cli.main import run

KEPT_BYTES_A_SECOND: Final = 250_000
_DESCRIPTOR_EVERY_S: Final = 2


def _leak(kept: list[object], ended: threading.Event) -> None:
    second = 0
    while not ended.wait(1):
        second += 1
        # Random bytes: pages of zeros would take no memory.
        kept.append(os.urandom(KEPT_BYTES_A_SECOND))
        if second % _DESCRIPTOR_EVERY_S == 0:
            kept.append(os.open(os.devnull, os.O_RDONLY))


def main() -> int:
    """Runs the worker beside the leak; returns its exit status."""
    kept: list[object] = []
    ended = threading.Event()
    threading.Thread(target=_leak, args=(kept, ended), daemon=True).start()
    try:
        return run(["run"])
    finally:
        ended.set()


if __name__ == "__main__":
    sys.exit(main())
