"""The weather of a run: what goes wrong while it lasts, and when, drawn from the seed.

Only what the contract covers is drawn (docs/rules.md, *The contract*): an event becomes visible in the queue within the
gap after its write, unless SNS as a whole is silent or the queue holds messages for a time that SentTimestamp shows.
"""

from collections.abc import Iterable
from datetime import timedelta
from enum import StrEnum
from random import Random
from typing import Final

from msgspec import Struct


class Trouble(StrEnum):
    """One kind of trouble. Each is drawn for a run by itself."""

    TOPIC_SILENT = "topic-silent"
    """SNS holds every message for minutes, then releases them in random order."""
    QUEUE_AWAY = "queue-away"
    """SQS does not answer for minutes; the messages that it holds come in random order."""
    FLEET_STOPPED = "fleet-stopped"
    """No worker runs for minutes; then workers start into a backlog."""
    STORE_AWAY = "store-away"
    """The store is away, for one worker or for all of them."""
    CRASHES = "crashes"
    """Workers crash between any two steps, and their messages come again after the visibility timeout."""
    SLEEPS = "sleeps"
    """The process of a worker stands still for minutes, in the middle of its work."""
    CLOCKS_WRONG = "clocks-wrong"
    """The clocks of the services and of the workers are wrong by minutes."""
    EVENTS_LOST = "events-lost"
    """An event in some never comes, or comes hours later from the dead-letter queue."""
    REDRIVES = "redrives"
    """Events of long ago come again, each as a new message."""
    NO_CHANGES = "no-changes"
    """Updates bring no `changes`."""
    OLD_PAIRS = "old-pairs"
    """The first worker starts beside pairs that stand already, some of them written seconds before."""
    UNSAID = "unsaid"
    """Writes of a work-item do not say what they knew."""


class Window(Struct, frozen=True, kw_only=True):
    """A stretch of virtual time, in seconds of the run."""

    begin_s: float
    end_s: float

    def holds(self, at_s: float) -> bool:
        return self.begin_s <= at_s < self.end_s


class StoreOutage(Struct, frozen=True, kw_only=True):
    """The store is away for the worker with this number; None: for every worker."""

    window: Window
    worker: int | None = None


class Weather(Struct, frozen=True, kw_only=True):
    """The weather of one run. Clocks are offsets from the true time. After `calm_from_s` nothing goes wrong."""

    troubles: frozenset[Trouble] = frozenset()
    writing_s: float = 8.0
    calm_from_s: float = 0.0
    workers: int = 2
    topic_silent: tuple[Window, ...] = ()
    queue_away: tuple[Window, ...] = ()
    fleet_stopped: tuple[Window, ...] = ()
    store_away: tuple[StoreOutage, ...] = ()
    conversation_clock: timedelta = timedelta()
    work_item_clock: timedelta = timedelta()
    worker_clock_s: float = 0.0
    heartbeat: bool = False

    def has(self, trouble: Trouble) -> bool:
        return trouble in self.troubles

    @property
    def keeps_watermark(self) -> bool:
        """False where something stops receiving, or the topic."""
        return self.troubles.isdisjoint(_WATERMARK_AWAY)

    def store_is_away(self, worker: int, at_s: float) -> bool:
        return any(each.window.holds(at_s) for each in self.store_away if each.worker in (None, worker))


_WATERMARK_AWAY: Final = frozenset(
    {
        Trouble.TOPIC_SILENT,
        Trouble.QUEUE_AWAY,
        Trouble.FLEET_STOPPED,
        Trouble.STORE_AWAY,
        Trouble.CRASHES,
        Trouble.SLEEPS,
    }
)
_WRITING_S: Final = (8.0, 8.0, 90.0, 720.0)
"""For how long services write: a burst, minutes, many minutes."""
_CLOCK_S: Final = 300.0


def draw_weather(random: Random, *, troubles: Iterable[Trouble] | None, chance: float, gap_s: float) -> Weather:
    """The weather of one run. `troubles` None: each trouble is drawn with this chance."""
    drawn = frozenset(each for each in Trouble if random.random() < chance)
    chosen = drawn if troubles is None else frozenset(troubles)
    writing_s = random.choice(_WRITING_S)
    workers = random.randint(1, 4)

    def window(trouble: Trouble) -> tuple[Window, ...]:
        begin_s, length_s = random.random() * (writing_s + gap_s), random.uniform(20, 2 * gap_s)
        if random.random() < 0.5:
            length_s = random.uniform(2 * gap_s, 10 * gap_s)
        return (Window(begin_s=begin_s, end_s=begin_s + length_s),) if trouble in chosen else ()

    queue_away, fleet_stopped = window(Trouble.QUEUE_AWAY), window(Trouble.FLEET_STOPPED)
    topic_silent = tuple(map(_silence, window(Trouble.TOPIC_SILENT)))
    if random.random() < 0.5:
        # SNS cannot deliver to a queue that is away: it tries again later.
        topic_silent += tuple(map(_silence, queue_away))
    outages = window(Trouble.STORE_AWAY)
    store_away = tuple(StoreOutage(window=each, worker=random.choice((None, 0, 1))) for each in outages)
    every = (*queue_away, *fleet_stopped, *topic_silent, *outages)
    wrong = _CLOCK_S if Trouble.CLOCKS_WRONG in chosen else 0.0
    return Weather(
        troubles=chosen,
        writing_s=writing_s,
        calm_from_s=max((writing_s + 2 * gap_s, *(each.end_s for each in every))),
        workers=workers,
        topic_silent=topic_silent,
        queue_away=queue_away,
        fleet_stopped=fleet_stopped,
        store_away=store_away,
        conversation_clock=timedelta(seconds=random.uniform(-wrong, wrong)),
        work_item_clock=timedelta(seconds=random.uniform(-wrong, wrong)),
        worker_clock_s=wrong,
        heartbeat=random.random() < 0.7,
    )


SILENCE_S: Final = 65.0
"""A worker notices a silence of a minute. A shorter one that ends late is an event that comes later than the gap."""


def _silence(window: Window) -> Window:
    return Window(begin_s=window.begin_s, end_s=max(window.end_s, window.begin_s + SILENCE_S))
