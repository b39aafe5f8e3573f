"""SNS and SQS of the simulation: a topic that may fall silent, and a standard queue at its worst."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random

from msgspec.structs import replace

from handlers.events.event import Event
from tests.causality.simulation.tally import SimulationSettings
from tests.causality.simulation.weather import Weather, Window
from tests.causality.virtual_time import VirtualTime


@dataclass(slots=True, eq=False)
class SimulatedMessage:
    """A message in the queue. `event` None: the heartbeat. `written_s`: when the announced write was made."""

    id: str
    event: Event | None
    written_s: float
    sent_at: datetime | None = None
    receives: int = 0
    first_received_s: float | None = None
    deleted: bool = False
    visible: bool = False
    counts: bool = False


class SimulatedQueue:
    """A topic and the queue that is subscribed to it."""

    def __init__(self, settings: SimulationSettings, weather: Weather, random: Random, time: VirtualTime) -> None:
        self.settings, self.weather, self.random, self.time = settings, weather, random, time
        self._visible: list[SimulatedMessage] = []
        self._open = self._sent = 0

    @property
    def empty(self) -> bool:
        """True where every event's message is deleted; heartbeats do not count."""
        return not self._open

    def publish(self, event: Event | None) -> None:
        """Announce a write that is made now; None: the heartbeat."""
        copies = 2 if event is not None and self.random.random() < self.settings.duplicate else 1
        for _ in range(copies):
            long_after = self.random.random() < self.settings.long_delay
            most_s = self.settings.long_delay_s if long_after else self.settings.delay_s
            self.send(event, after_s=self.random.random() * most_s)

    def send(self, event: Event | None, *, after_s: float, receives: int = 0, redriven: bool = False) -> None:
        """Send one message after a delay, as SNS does; or as a redrive does, which no run waits for."""
        copy = None if event is None else replace(event)
        self._sent += 1
        message = SimulatedMessage(
            str(self._sent), copy, written_s=self.time.passed_s + (after_s if redriven else 0.0), receives=receives
        )
        message.counts = event is not None and not redriven
        self._open += message.counts
        self.time.begin(self._deliver(message), after_s=after_s)

    async def _deliver(self, message: SimulatedMessage) -> None:
        silence = _window(self.weather.topic_silent, self.time.passed_s)
        if silence is not None:
            await self.time.sleep(silence.end_s - self.time.passed_s + self.random.random() * self.settings.release_s)
        message.sent_at = self.time.now()
        self._show(message)

    async def receive(self, most: int) -> list[SimulatedMessage] | None:
        """Long-poll for messages, in random order. None: SQS did not answer."""
        ends_s = self.time.passed_s + self.settings.long_poll_s
        while True:
            if _window(self.weather.queue_away, self.time.passed_s) is not None:
                return None
            self._visible = [message for message in self._visible if not message.deleted]
            if self._visible or self.time.passed_s >= ends_s:
                break
            await self.time.sleep(0.3 + 0.9 * self.random.random())
        self.random.shuffle(self._visible)
        taken, self._visible = self._visible[:most], self._visible[most:]
        for message in taken:
            message.receives += 1
            message.visible = False
            if message.first_received_s is None:
                message.first_received_s = self.time.passed_s
        return taken

    def delete(self, messages: Sequence[SimulatedMessage]) -> None:
        """Delete handled messages, also one that is visible again."""
        for message in messages:
            if not message.deleted:
                message.deleted = True
                self._open -= message.counts

    def give_back(self, messages: Sequence[SimulatedMessage], *, after_s: float | None = None) -> None:
        """Make messages visible again; without `after_s` at the end of their visibility timeout."""
        for message in messages:
            self.time.begin(self._reappear(message), after_s=self.settings.visibility_s if after_s is None else after_s)

    def may_be_hidden(self, messages: Sequence[SimulatedMessage]) -> bool:
        """Whether these messages, hidden for one more visibility timeout, would still be within the gap.

        It is the gap after their write, or after the first receive if they lay in SNS or in the queue for longer.
        """
        visible_s, gap_s = self.time.passed_s + self.settings.visibility_s, self.settings.gap_s
        return all(visible_s <= _due_s(message, gap_s) for message in messages)

    async def _reappear(self, message: SimulatedMessage) -> None:
        if not message.deleted and not message.visible:
            self._show(message)

    def _show(self, message: SimulatedMessage) -> None:
        message.visible = True
        self._visible.append(message)


def _due_s(message: SimulatedMessage, gap_s: float) -> float:
    first_s = message.first_received_s
    in_time = first_s is None or first_s <= message.written_s + gap_s
    return gap_s - 5 + (message.written_s if in_time or first_s is None else first_s)


def _window(windows: Sequence[Window], at_s: float) -> Window | None:
    return next((each for each in windows if each.holds(at_s)), None)
