"""Time and ids as the process has them; tests bring their own (handlers/ports.py)."""

import asyncio
import time
from datetime import UTC, datetime

from bson import ObjectId


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
    """Ids as MongoDB makes them: unique without asking anybody, growing with time."""

    def new(self) -> str:
        """24 hexadecimal digits."""
        return str(ObjectId())
