"""The lanes: a conversation always goes to the same one, so that a process never conflicts with itself.

What a lane does with its messages: `lane.py`.
"""

import asyncio
from zlib import crc32

from handlers.event import Event, Malformed
from worker.lane import Lane
from worker.lane_parts import Entry, LaneParts


class Lanes:
    """`count` lanes for what asks the store; a batch holds up to `batch_max` messages.

    Two more never ask it. What is no event of ours has no order to keep, a sync of our own none but a message group's:
    together they make larger batches, and they wait for nobody's store. What is malformed is by itself, and holds up
    nothing else while the dead-letter queue refuses it.
    """

    def __init__(self, *, count: int, batch_max: int, parts: LaneParts) -> None:
        self._for_pairs = [Lane(batch_max, parts) for _ in range(count)]
        self._for_storeless = Lane(batch_max, parts)
        self._for_malformed = Lane(batch_max, parts)
        self._all = (*self._for_pairs, self._for_storeless, self._for_malformed)
        self._fifo = parts.fifo

    def put(self, entry: Entry) -> None:
        """Line up behind what came before."""
        self._lane(entry.read).put(entry)

    def _lane(self, read: object) -> Lane:
        if isinstance(read, Malformed):
            return self._for_malformed
        if not isinstance(read, Event) or (read.ours and not self._fifo):
            return self._for_storeless
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
