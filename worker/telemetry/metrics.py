"""Metrics: the name of every metric, and the protocol that takes the values.

Tag values come from finite sets only: codes, rules, known event names, and at most QUEUE_METRICS_MAX stored queues.
Metrics never fail the worker: an agent that is down or not configured costs nothing.
"""

from enum import StrEnum
from typing import Final, Protocol

from msgspec import Struct

from handlers.events.heartbeat import HEARTBEAT_NAME
from handlers.events.readers import READERS_BY_NAME
from worker.telemetry.logs import Log
from worker.telemetry.recent_decisions import RecentDecisions


class Metric(StrEnum):
    """The metric names. A metric is a count unless its sentence says otherwise. Tags stand in brackets."""

    # Messages
    RECEIVED = "routing_sync.messages.received"
    """Messages received from the queue."""
    OUTCOME = "routing_sync.messages.outcome"
    """Messages settled [outcome: done, retry, poison; event; reason]."""
    UNSUPPORTED = "routing_sync.messages.unsupported"
    """Well-formed events that the worker does not sync, without its own heartbeats."""
    MENDED = "routing_sync.messages.mended"
    """Events with half a surrogate pair in a text that no field models; U+FFFD took its place [event]."""
    DEAD_LETTER = "routing_sync.messages.dead_letter"
    """Messages sent to the dead-letter queue [code]."""
    NEAR_RECEIVE_MAX = "routing_sync.messages.near_receive_max"
    """Messages that were returned and have few deliveries left before SQS moves them to the dead-letter queue."""
    UNSETTLED = "routing_sync.messages.unsettled"
    """Entries that SQS refused; their messages are delivered again [action: delete, hide, dead_letter; code]."""
    HANDED_BACK = "routing_sync.messages.handed_back"
    """Messages made visible again, unhandled, at the end of the process or while the store is away."""
    VISIBILITY_LOST = "routing_sync.messages.visibility_lost"
    """Messages in flight whose visibility could not be extended: another worker may receive them too."""
    IN_HAND = "routing_sync.messages.in_hand"
    """Gauge: messages in flight, received and not settled."""

    # Syncs
    APPLIED = "routing_sync.sync.applied"
    """Rules that led to a write [direction; rule; event]."""
    REFUSED = "routing_sync.sync.refused"
    """Events whose update the work-item's commands refused [event]."""
    COMMAND_USED = "routing_sync.commands.used"
    """Updates [fields: names, sorted, joined by +; count: of fields; origin: sync, api, router; engine; composed]."""
    SUPPRESSED = "routing_sync.sync.suppressed"
    """Fields that a rule would have written and the policy withheld [code; field]."""
    SHADOW_DIFFERS = "routing_sync.sync.shadow_differs"
    """Under SYNC_POLICY=shadow: events that the policy causal would have decided otherwise [event]."""
    WAITING = "routing_sync.sync.waiting"
    """Gauge: pairs with a field that waits for an event."""
    WAITING_OLDEST = "routing_sync.sync.waiting_oldest_s"
    """Gauge, seconds: how long the pair that waits longest has waited."""
    WATERMARK_BEHIND = "routing_sync.watermark.behind_s"
    """Gauge, seconds: how far the watermark is behind SQS's clock."""
    WATERMARK_MISSING = "routing_sync.watermark.missing"
    """Gauge: 1 while there is no watermark, and waiting pairs wait on; else 0."""
    GAP_CLOSED = "routing_sync.sync.gap_closed"
    """Pairs that the gap poll decided without the missing event [outcome]."""
    GAP_GIVEN_UP = "routing_sync.sync.gap_given_up"
    """Gaps of unobserved revisions that were closed because a document had more than 256 runs of observed ones."""
    SWEPT = "routing_sync.sweep.pairs"
    """Pairs that the sweep looked at."""
    DRIFT = "routing_sync.sweep.drift"
    """Drifts that the sweep found [drift: the class; age: hour, day, older, unknown; end: repaired, planned, told,
    refused]."""
    SWEEP_BEHIND = "routing_sync.sweep.behind_s"
    """Gauge, seconds: how long ago the documents were written up to which the sweep has come."""
    LAG = "routing_sync.sync.lag_ms"
    """Distribution, milliseconds: from an event's publication until it was handled [event]."""

    # Routing
    ROUTED = "routing_sync.routing.written"
    """Outside writes of routing [action: create_work_item, unassign_conversation, queue_work_item; code; event]."""
    RULE_UNREADABLE = "routing_sync.routing.rule_unreadable"
    """Queue rules and default queues that cannot be used and are passed over, each time they are read."""

    # Batches and the store
    BATCH_SIZE = "routing_sync.batch.size"
    """Distribution: events of one batch."""
    BATCH_DURATION = "routing_sync.batch.duration_ms"
    """Distribution, milliseconds: one batch, from load to commit."""
    BATCH_FAULT = "routing_sync.batch.fault"
    """Batches that met an unexpected error."""
    TRANSACTION_DURATION = "routing_sync.store.transaction_ms"
    """Distribution, milliseconds: one transaction, committed or not."""
    CONFLICT = "routing_sync.store.conflict"
    """Plans that lost against another writer."""
    TRANSACTION_ABORTED = "routing_sync.store.transaction_aborted"
    """Transactions that did not commit [batch: many, when its halves are tried next; one]."""
    STORE_PAUSE = "routing_sync.store.pause"
    """Outages of the store, in which receiving paused."""
    QUEUE_AWAY = "routing_sync.queue.away"
    """Receive calls that failed because SQS was away."""

    # Outbox
    PUBLISHED = "routing_sync.outbox.published"
    """Events published to SNS."""
    PUBLISH_LEFT = "routing_sync.outbox.left_to_relay"
    """Announcements that the publisher left to the relay [reason: overflow, topics_away, refused, store_away]."""
    RELAYED = "routing_sync.outbox.relayed"
    """Outbox entries that the relay took."""
    SET_ASIDE = "routing_sync.outbox.set_aside"
    """Outbox entries set aside, because they can never be published [reason: too_large, unreadable, refused]."""
    OUTBOX_BACKLOG = "routing_sync.outbox.backlog"
    """Gauge: outbox entries that wait."""
    OUTBOX_OLDEST = "routing_sync.outbox.oldest_s"
    """Gauge, seconds: age of the outbox entry that waits longest."""
    OUTBOX_SET_ASIDE = "routing_sync.outbox.set_aside_total"
    """Gauge: outbox entries that were set aside and are still stored."""

    # Queues of work-items
    WORK_ITEMS_WAITING = "routing_sync.routing.queued"
    """Gauge: work-items that wait in a queue [queue]."""
    LATEST_WAIT = "routing_sync.routing.latest_wait_s"
    """Gauge, seconds: the wait in a queue that ended last, none longer ago than a day [queue]."""

    # The API
    API_REQUESTS = "routing_sync.api.requests"
    """Requests that were answered [method; route: its pattern; status]."""
    API_DURATION = "routing_sync.api.duration_ms"
    """Distribution, milliseconds: from a request's arrival to its answer [route]."""

    # Log
    LOG_DROPPED = "routing_sync.log.dropped"
    """Log lines that standard output did not take: it failed, or its reader stood still."""


_KNOWN_EVENTS: Final = frozenset({*READERS_BY_NAME, HEARTBEAT_NAME})


def event_tag(name: str | None) -> str:
    """An event's name as a tag value; `other` for an unknown name, because anyone can send one."""
    return name if name in _KNOWN_EVENTS else "other"


class Metrics(Protocol):
    """Takes the values. A call never raises and never waits."""

    def count(self, metric: Metric, value: int = 1, **tags: str) -> None:
        """Add `value` to a count."""
        ...

    def gauge(self, metric: Metric, value: float, **tags: str) -> None:
        """Set a gauge."""
        ...

    def distribution(self, metric: Metric, value: float, **tags: str) -> None:
        """Add one measurement to a distribution."""
        ...

    def close(self) -> None:
        """Send the values that are still buffered."""
        ...


class Telemetry(Struct, frozen=True, kw_only=True):
    """Metrics and log of the process, and its last decisions if it reports them. None of them fails the worker."""

    metrics: Metrics
    log: Log
    decisions: RecentDecisions | None = None


class NoMetrics:
    """Metrics without an agent: drops every value."""

    def count(self, metric: Metric, value: int = 1, **tags: str) -> None:
        """Drop the value."""

    def gauge(self, metric: Metric, value: float, **tags: str) -> None:
        """Drop the value."""

    def distribution(self, metric: Metric, value: float, **tags: str) -> None:
        """Drop the value."""

    def close(self) -> None:
        """Do nothing."""


class StoreObserver(Protocol):
    """Receives the events inside the store, in the coroutine that commits: a call must not block or raise."""

    def aborted(self, plans: int) -> None:
        """A transaction of `plans` plans did not commit, whatever becomes of the plans afterwards."""
        ...

    def conflict(self) -> None:
        """One plan lost against another writer."""
        ...

    def transaction_seconds(self, seconds: float) -> None:
        """One transaction took `seconds`, committed or not."""
        ...


class StoreMetrics:
    """The store observer that counts."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def aborted(self, plans: int) -> None:
        """Count the transaction."""
        self._metrics.count(Metric.TRANSACTION_ABORTED, batch="many" if plans > 1 else "one")

    def conflict(self) -> None:
        """Count the conflict."""
        self._metrics.count(Metric.CONFLICT)

    def transaction_seconds(self, seconds: float) -> None:
        """Measure the transaction."""
        self._metrics.distribution(Metric.TRANSACTION_DURATION, seconds * 1_000)


NO_OBSERVER: Final[StoreObserver] = StoreMetrics(NoMetrics())
"""The observer of a store that nothing measures."""
