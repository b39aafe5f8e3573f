"""A cancellation that must not be lost.

Until Python 3.12 `asyncio.wait_for` loses a cancellation that comes as what it waited for is just done, and pymongo
writes to its sockets with it. A task that was told to end would go on, and whoever waits for its end, wait in vain.
"""

import asyncio
import contextlib
from collections.abc import Iterator


@contextlib.contextmanager
def cancellation_kept() -> Iterator[None]:
    """Raises `CancelledError` at the end of the block if the task was told within it to end and did not hear."""
    task = asyncio.current_task()
    asked = task.cancelling() if task is not None else 0
    try:
        yield
    finally:
        if task is not None and task.cancelling() > asked:
            raise asyncio.CancelledError
