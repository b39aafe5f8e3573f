"""The lanes: a conversation always goes to the same one, so that a process never conflicts with itself.

What a lane does with its messages: `lane.py`.
"""

import asyncio
from zlib import crc32

from handlers.event import Event
from worker.lane import Entry, Lane, LaneParts


class Lanes:
    """`count` lanes for what asks the store; a batch holds up to `batch_max` messages.

    Two more never ask it. A sync of our own has no order to keep but a message group's: with its like it makes larger
    batches, and it waits for nobody's store. What is no event of ours waits for no lane, and holds up none while the
    dead-letter queue refuses it.
    """

    def __init__(self, *, count: int, batch_max: int, parts: LaneParts) -> None:
        self._for_pairs = [Lane(batch_max, parts) for _ in range(count)]
        self._for_own = Lane(batch_max, parts)
        self._for_rest = Lane(batch_max, parts)
        self._all = (*self._for_pairs, self._for_own, self._for_rest)
        self._fifo = parts.fifo

    def put(self, entry: Entry) -> None:
        """Line up behind what came before."""
        self._lane(entry.read).put(entry)

    def _lane(self, read: object) -> Lane:
        if not isinstance(read, Event):
            return self._for_rest
        if read.ours and not self._fifo:
            return self._for_own
        return self._for_pairs[crc32(read.conversation_id.encode()) % len(self._for_pairs)]

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for lane in self._all:
                tasks.create_task(lane.run())

    async def idle(self) -> None:
        """Wait until every lane is empty and no batch is under way."""
        for lane in self._all:
            await lane.idle.wait()
