"""Time and ids as the process has them; tests bring their own (handlers/ports.py)."""

import asyncio
import secrets
import time
from datetime import UTC, datetime
from itertools import count


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Aware, UTC, cut off below the millisecond: what is stored and logged has no more digits."""
        now = datetime.now(UTC)
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def monotonic(self) -> float:
        """Seconds that no setting of the machine's clock moves."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


class ObjectIds:
    """Ids as MongoDB makes them: unique without asking anybody, growing with time.

    Seconds, five bytes of the process's own, and a count from anywhere (BSON's ObjectId), put together here: the
    driver's class takes six times as long, twice an announced event.
    """

    def __init__(self) -> None:
        self._own = secrets.token_hex(5)
        self._counts = count(secrets.randbelow(1 << 24))

    def new(self) -> str:
        """24 hexadecimal digits."""
        return f"{int(time.time()):08x}{self._own}{next(self._counts) & 0xFFFFFF:06x}"
