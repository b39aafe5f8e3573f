"""Every metric of the worker, by name, and how it reaches the Datadog agent.

Tags come from finite sets only: codes, rules, known event names. A host that does not answer, or no host at all,
costs nothing and fails nothing.
"""

import asyncio
import socket
from enum import StrEnum
from typing import Final, Protocol

from datadog.dogstatsd.base import DogStatsd
from msgspec import Struct

from handlers.events.readers import HANDLED
from worker.telemetry.logs import Log


class Metric(StrEnum):
    """The names. Tags in brackets."""

    RECEIVED = "routing_sync.messages.received"
    """Messages taken from the queue."""
    OUTCOME = "routing_sync.messages.outcome"
    """Messages settled [outcome: done, retry, poison; event; reason]."""
    UNSUPPORTED = "routing_sync.messages.unsupported"
    """Well-formed events that are none of ours."""
    DEAD_LETTER = "routing_sync.messages.dead_letter"
    """Messages sent to the dead-letter queue [code]."""
    NEAR_RECEIVE_MAX = "routing_sync.messages.near_receive_max"
    """Messages that go back for one of their last deliveries before SQS moves them to the dead-letter queue."""
    UNSETTLED = "routing_sync.messages.unsettled"
    """Messages that SQS would not settle; they come again [action: delete, hide, dead_letter; code]."""
    HANDED_BACK = "routing_sync.messages.handed_back"
    """Messages given back at the end of the process."""
    VISIBILITY_LOST = "routing_sync.messages.visibility_lost"
    """Messages in hand whose visibility could not be extended."""
    IN_HAND = "routing_sync.messages.in_hand"
    """Gauge: messages received and not settled."""
    APPLIED = "routing_sync.sync.applied"
    """Writes by rule [direction; rule; event]."""
    REFUSED = "routing_sync.sync.refused"
    """Updates that the commands refused [event]."""
    COMMAND_USED = "routing_sync.commands.used"
    """Updates [fields: sorted, joined by +; count: how many; origin: sync, api, router; engine; composed]."""
    SUPPRESSED = "routing_sync.sync.suppressed"
    """Fields that a rule asked for and the policy refused [code; field]."""
    SHADOW_DIFFERS = "routing_sync.sync.shadow_differs"
    """Under SYNC_POLICY=shadow: events of which causal would have made something else [event]."""
    WAITING = "routing_sync.sync.waiting"
    """Gauge: pairs with a field that waits for an event."""
    WAITING_OLDEST = "routing_sync.sync.waiting_oldest_s"
    """Gauge, seconds: how long the oldest of them has waited."""
    GAP_CLOSED = "routing_sync.sync.gap_closed"
    """Pairs decided by the poll, because an event did not come [outcome]."""
    LAG = "routing_sync.sync.lag_ms"
    """Distribution, milliseconds: publication to handled [event]."""
    BATCH_SIZE = "routing_sync.batch.size"
    """Distribution: events a batch."""
    BATCH_DURATION = "routing_sync.batch.duration_ms"
    """Distribution, milliseconds: load to commit."""
    BATCH_FAULT = "routing_sync.batch.fault"
    """Batches that met a fault in our code."""
    TRANSACTION_DURATION = "routing_sync.store.transaction_ms"
    """Distribution, milliseconds: one transaction, committed or not."""
    CONFLICT = "routing_sync.store.conflict"
    """Plans that lost against another writer."""
    TRANSACTION_ABORTED = "routing_sync.store.transaction_aborted"
    """Transactions that did not commit [batch: many, whose halves were then tried; one]."""
    STORE_PAUSE = "routing_sync.store.pause"
    """Times that receiving stopped because the store was away."""
    QUEUE_AWAY = "routing_sync.queue.away"
    """Calls to receive that found SQS away."""
    PUBLISHED = "routing_sync.outbox.published"
    """Events announced."""
    PUBLISH_LEFT = "routing_sync.outbox.left_to_relay"
    """Announcements that the publisher left to the relay [reason: overflow, topics_away, refused, store_away]."""
    RELAYED = "routing_sync.outbox.relayed"
    """Announcements that the relay found waiting."""
    SET_ASIDE = "routing_sync.outbox.set_aside"
    """Announcements that can never be published [reason: too_large, unreadable, refused]."""
    OUTBOX_BACKLOG = "routing_sync.outbox.backlog"
    """Gauge: entries waiting."""
    OUTBOX_OLDEST = "routing_sync.outbox.oldest_s"
    """Gauge, seconds: age of the entry that waits longest."""

    OUTBOX_SET_ASIDE = "routing_sync.outbox.set_aside_total"
    """Gauge: entries that were set aside and are still kept."""


KNOWN_EVENTS: Final = frozenset(HANDLED)


def event_tag(name: str | None) -> str:
    """An event's name as a tag: a name that is none of ours is `other`, for anybody can send one."""
    return name if name in KNOWN_EVENTS else "other"


class Metrics(Protocol):
    """Where figures go. Never raises, never waits."""

    def count(self, metric: Metric, value: int = 1, **tags: str) -> None:
        """So many more."""
        ...

    def gauge(self, metric: Metric, value: float, **tags: str) -> None:
        """So many now."""
        ...

    def distribution(self, metric: Metric, value: float, **tags: str) -> None:
        """One measurement."""
        ...

    def close(self) -> None:
        """Send what is buffered."""
        ...


class NoMetrics:
    """Where no agent was named."""

    def count(self, metric: Metric, value: int = 1, **tags: str) -> None:
        """Nothing."""

    def gauge(self, metric: Metric, value: float, **tags: str) -> None:
        """Nothing."""

    def distribution(self, metric: Metric, value: float, **tags: str) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class StatsdMetrics:
    """The Datadog agent over UDP; figures are gathered and sent several times a second."""

    def __init__(self, *, address: str, port: int, service: str, version: str, environment: str | None) -> None:
        constant = [f"service:{service}", f"version:{version}", *([f"env:{environment}"] if environment else [])]
        self._statsd = DogStatsd(
            host=address,
            port=port,
            constant_tags=constant,
            disable_telemetry=True,
            disable_buffering=False,
            origin_detection_enabled=False,
        )

    def count(self, metric: Metric, value: int = 1, **tags: str) -> None:
        """So many more."""
        self._statsd.increment(metric.value, value, tags=_tags(tags))

    def gauge(self, metric: Metric, value: float, **tags: str) -> None:
        """So many now."""
        self._statsd.gauge(metric.value, value, tags=_tags(tags))

    def distribution(self, metric: Metric, value: float, **tags: str) -> None:
        """One measurement."""
        self._statsd.distribution(metric.value, value, tags=_tags(tags))

    def close(self) -> None:
        """Send what is buffered."""
        self._statsd.stop(timeout=1)


async def resolved(host: str, port: int) -> str | None:
    """The host's address, or None: looked up once, so that no name server can hold up the worker later."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except OSError:
        return None
    return str(found[0][4][0])


class StoreMetrics:
    """The store's observer (store_observer.py)."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def aborted(self, plans: int) -> None:
        """A transaction of so many plans did not commit."""
        self._metrics.count(Metric.TRANSACTION_ABORTED, batch="many" if plans > 1 else "one")

    def conflict(self) -> None:
        """One plan's fate was a conflict."""
        self._metrics.count(Metric.CONFLICT)

    def transaction_seconds(self, seconds: float) -> None:
        """How long one transaction took, committed or not."""
        self._metrics.distribution(Metric.TRANSACTION_DURATION, seconds * 1_000)


def _tags(tags: dict[str, str]) -> list[str]:
    return [f"{name}:{value}" for name, value in tags.items()]


class StoreObserver(Protocol):
    """Told as things happen, in the coroutine that commits: must neither block nor raise."""

    def aborted(self, plans: int) -> None:
        """A transaction of so many plans did not commit, whatever became of the plans afterwards."""
        ...

    def conflict(self) -> None:
        """One plan's fate was a conflict."""
        ...

    def transaction_seconds(self, seconds: float) -> None:
        """How long one transaction took, committed or not."""
        ...


class _Nobody:
    def aborted(self, plans: int) -> None:
        pass

    def conflict(self) -> None:
        pass

    def transaction_seconds(self, seconds: float) -> None:
        pass


NOBODY: Final[StoreObserver] = _Nobody()
"""The observer where nobody watches."""


class Telemetry(Struct, frozen=True, kw_only=True):
    """Neither ever fails the worker."""

    metrics: Metrics
    log: Log
