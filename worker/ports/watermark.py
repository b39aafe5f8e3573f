"""The port of the watermark."""

from datetime import datetime
from typing import Protocol


class Watermark(Protocol):
    """The time before which nothing sent to the queue is still undelivered, by SQS's clock."""

    def current(self) -> datetime | None:
        """The present watermark; None while there is none. A later call may return an earlier time."""
        ...
