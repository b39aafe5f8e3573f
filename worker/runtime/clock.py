"""The system clock and the generator of ids; the ports are in `handlers/ports.py`."""

import asyncio
import secrets
import time
from datetime import UTC, datetime
from itertools import count


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The time in UTC, truncated to milliseconds: BSON dates and log lines hold no more digits."""
        now = datetime.now(UTC)
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def monotonic(self) -> float:
        """Seconds of the monotonic clock, which is unaffected when the machine's time is set."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds`."""
        await asyncio.sleep(seconds)


class ObjectIds:
    """Ids in the format of MongoDB's ObjectId: seconds since 1970, five random bytes of the process, a counter.

    They are built here because `bson.ObjectId` takes six times as long, and each announced event needs two.
    """

    def __init__(self) -> None:
        self._process = secrets.token_hex(5)
        self._counter = count(secrets.randbelow(1 << 24))

    def new(self) -> str:
        """24 hexadecimal digits."""
        return f"{int(time.time()):08x}{self._process}{next(self._counter) & 0xFFFFFF:06x}"
