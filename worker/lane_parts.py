"""What a lane works with: its messages as they were read, and the ports behind which they are handled and end."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from commands.record import record
from handlers.batch import Contended
from handlers.event import Event, Malformed, Unsupported
from handlers.outcome import Handled
from handlers.ports import Announcement, Clock
from sync.rule import Policy
from worker.backlog_lag import BacklogLag
from worker.code_fault import CodeFault
from worker.delay import JitteredDelay
from worker.health import Health
from worker.message import Message
from worker.outage import Outage
from worker.settle import Settlement
from worker.telemetry import Telemetry


@record
class Entry:
    """A message with what it was read as."""

    message: Message
    read: Event | Unsupported | Malformed | CodeFault

    @property
    def name(self) -> str | None:
        """The event's name, where it could be read."""
        return self.read.name if isinstance(self.read, Event | Unsupported) else None

    def ties(self, *, fifo: bool) -> frozenset[str]:
        """What messages have in common of which one may have to wait for the other: the conversation and, of a FIFO
        queue, the message group. The two share their names: a group named like a conversation is mostly its own."""
        conversation = self.read.conversation_id if isinstance(self.read, Event) else None
        return frozenset(each for each in (conversation, self.message.group if fifo else None) if each)


class Handler(Protocol):
    """What a lane does with its events (handlers/batch.py)."""

    async def handle(self, events: Sequence[Event], ends: dict[int, Handled], contended: Contended) -> list[Handled]:
        """Each event's end, in order; raises StoreAway, and goes on with the same `ends`. `contended` gets those of a
        conversation that met another writer, which have no end yet."""
        ...

    async def again(self, events: Sequence[Event]) -> list[Handled]:
        """Their ends: one conversation's, after all. Raises StoreAway."""
        ...


class Settler(Protocol):
    """Where a lane's messages end (settle.py)."""

    async def settle(self, settlements: Sequence[Settlement]) -> frozenset[str]:
        """Settle; the FIFO groups of which something went back."""
        ...


class Announcer(Protocol):
    """Where a lane's announcements go (publisher.py)."""

    def offer(self, announcements: Sequence[Announcement]) -> None:
        """Take them or leave them to the relay; never waits."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneParts:
    """What every lane works with. `fifo`: the queue keeps groups in order. `failed` makes the end of an event that met
    a fault in our code; `store_pause` is the delay between tries while the store is away."""

    handler: Handler
    fifo: bool
    policy: Policy
    failed: Callable[[Event, Exception], Handled]
    settler: Settler
    announcer: Announcer
    outage: Outage
    lag: BacklogLag
    store_pause: JitteredDelay
    health: Health
    clock: Clock
    telemetry: Telemetry
