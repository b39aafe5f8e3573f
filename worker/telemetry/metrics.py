"""Metrics: every metric with its kind, unit, tags and meaning, and the protocol that takes the values.

docs/metrics.md and deploy/datadog/metric-metadata.json are made from the members of `Metric`. Tag values come from
finite sets only: codes, rules, known event names, and at most QUEUE_METRICS_MAX stored queues. Metrics never fail the
worker: an agent that is down or not configured costs nothing.
"""

from enum import StrEnum
from typing import Final, Protocol

from msgspec import Struct

from commands.engines.rollout import Engine, UpdateOrigin
from handlers.drift import DriftClass, DriftEnd
from handlers.events.heartbeat import HEARTBEAT_NAME
from handlers.events.readers import READERS_BY_NAME
from sync.audit import AuditOutcome
from worker.telemetry.datadog_event import AgentEvent
from worker.telemetry.logs import Log
from worker.telemetry.metric_form import MetricForm, count, distribution, gauge
from worker.telemetry.status_page.decisions import RecentDecisions


def _one_of(values: type[StrEnum]) -> str:
    return ", ".join(value.value for value in values)


_EVENT: Final = "the event's name, or other"
_EVENT_OR_NONE: Final = "the event's name, other, or none where no event triggered it"


class Metric(StrEnum):
    """The metrics. A member's value is the metric's name."""

    _value_: str
    form: MetricForm

    def __new__(cls, form: MetricForm) -> "Metric":
        """The member that has the form's name as its value."""
        metric = str.__new__(cls, form.name)
        metric._value_ = form.name
        metric.form = form
        return metric

    # Messages
    RECEIVED = count("messages.received", "message", "Messages received from the queue.")
    OUTCOME = count(
        "messages.outcome",
        "message",
        "Messages settled.",
        outcome="done, retry or poison",
        event=_EVENT,
        reason="why the message is retried or poison, else none",
    )
    UNSUPPORTED = count(
        "messages.unsupported", "event", "Well-formed events that the worker does not sync, without its own heartbeats."
    )
    MENDED = count(
        "messages.mended",
        "event",
        "Events with half a surrogate pair in a text that no field models; U+FFFD took its place.",
        event=_EVENT,
    )
    DEAD_LETTER = count(
        "messages.dead_letter",
        "message",
        "Messages sent to the dead-letter queue.",
        code="the `error_code` of docs/events.md",
    )
    NEAR_RECEIVE_MAX = count(
        "messages.near_receive_max",
        "message",
        "Messages that were returned and have few deliveries left before SQS moves them to the dead-letter queue.",
    )
    UNSETTLED = count(
        "messages.unsettled",
        "message",
        "Entries that SQS refused; their messages are delivered again.",
        action="delete, hide or dead_letter",
        code="SQS's error code",
    )
    HANDED_BACK = count(
        "messages.handed_back",
        "message",
        "Messages made visible again, unhandled, at the end of the process or while the store is away.",
    )
    VISIBILITY_LOST = count(
        "messages.visibility_lost",
        "message",
        "Messages in flight whose visibility could not be extended: another worker may receive them too.",
    )
    IN_HAND = gauge("messages.in_hand", "message", "Messages in flight, received and not settled.")

    # Syncs
    APPLIED = count(
        "sync.applied",
        "write",
        "Rules that led to a write.",
        direction="forward, reverse, both or none",
        rule="the rule's id",
        event=_EVENT_OR_NONE,
    )
    REFUSED = count(
        "sync.refused", "event", "Events whose update the work-item's commands refused.", event=_EVENT_OR_NONE
    )
    COMMAND_USED = count(
        "commands.used",
        "update",
        "Updates.",
        fields="their names, sorted, joined by +",
        count="the number of fields",
        origin=_one_of(UpdateOrigin),
        engine=_one_of(Engine),
        composed="true or false",
    )
    SUPPRESSED = count(
        "sync.suppressed",
        "item",
        "Fields that a rule would have written and the policy withheld.",
        code="the reason code",
        field="the field of the sync",
    )
    SHADOW_DIFFERS = count(
        "sync.shadow_differs",
        "event",
        "Under SYNC_POLICY=shadow: events that the policy causal would have decided otherwise.",
        event=_EVENT,
    )
    WAITING = gauge("sync.waiting", "item", "Pairs with a field that waits for an event.")
    WAITING_OLDEST = gauge("sync.waiting_oldest_s", "second", "How long the pair that waits longest has waited.")
    WATERMARK_BEHIND = gauge("watermark.behind_s", "second", "How far the watermark is behind SQS's clock.")
    WATERMARK_MISSING = gauge(
        "watermark.missing", "unit", "1 while there is no watermark, and waiting pairs wait on; else 0."
    )
    GAP_CLOSED = count(
        "sync.gap_closed",
        "item",
        "Pairs that the gap poll decided without the missing event.",
        outcome=_one_of(AuditOutcome),
    )
    GAP_GIVEN_UP = count(
        "sync.gap_given_up",
        "item",
        "Gaps of unobserved revisions that were closed because a document had more than 256 runs of observed ones.",
    )
    SWEPT = count("sweep.pairs", "item", "Pairs that the sweep looked at.")
    DRIFT = count(
        "sweep.drift",
        "item",
        "Drifts that the sweep found.",
        drift=_one_of(DriftClass),
        age="hour, day, older or unknown",
        end=_one_of(DriftEnd),
    )
    SWEEP_BEHIND = gauge(
        "sweep.behind_s", "second", "How long ago the documents were written up to which the sweep has come."
    )
    LAG = distribution("sync.lag_ms", "millisecond", "From an event's publication until it was handled.", event=_EVENT)

    # Routing
    ROUTED = count(
        "routing.written",
        "write",
        "Outside writes of routing.",
        action="create_work_item, unassign_conversation or queue_work_item",
        code="the reason code",
        event=_EVENT_OR_NONE,
    )
    RULE_UNREADABLE = count(
        "routing.rule_unreadable",
        "document",
        "Queue rules and default queues that cannot be used and are passed over, each time they are read.",
    )

    DELIVERY_FINDINGS = gauge(
        "delivery.findings",
        "item",
        "What keeps published events from the queue: its policy, a subscription or its filter; 0 where nothing does.",
    )

    # Batches and the store
    BATCH_SIZE = distribution("batch.size", "event", "Events of one batch, without the worker's own syncs.")
    BATCH_DURATION = distribution("batch.duration_ms", "millisecond", "One batch, from load to commit.")
    BATCH_FAULT = count("batch.fault", "fault", "Batches that met an unexpected error.")
    TRANSACTION_DURATION = distribution("store.transaction_ms", "millisecond", "One transaction, committed or not.")
    CONFLICT = count("store.conflict", "transaction", "Plans that lost against another writer.")
    TRANSACTION_ABORTED = count(
        "store.transaction_aborted",
        "transaction",
        "Transactions that did not commit.",
        batch="many where its halves are tried next, else one",
    )
    STORE_PAUSE = count("store.pause", "occurrence", "Outages of the store, in which receiving paused.")
    STORE_AWAY = gauge("store.away", "unit", "1 while the store is away and for half a minute after, else 0.")
    QUEUE_AWAY = count("queue.away", "request", "Receive calls that failed because SQS was away.")

    # Outbox
    PUBLISHED = count("outbox.published", "event", "Events published to SNS.")
    PUBLISH_LEFT = count(
        "outbox.left_to_relay",
        "event",
        "Announcements that the publisher left to the relay.",
        reason="overflow, topics_away, refused or store_away",
    )
    RELAYED = count("outbox.relayed", "event", "Outbox entries that the relay took.")
    SET_ASIDE = count(
        "outbox.set_aside",
        "event",
        "Outbox entries set aside, because they can never be published.",
        reason="too_large, unreadable or refused",
    )
    OUTBOX_BACKLOG = gauge("outbox.backlog", "event", "Outbox entries that wait.")
    OUTBOX_OLDEST = gauge("outbox.oldest_s", "second", "Age of the outbox entry that waits longest.")
    OUTBOX_SET_ASIDE = gauge(
        "outbox.set_aside_total", "event", "Outbox entries that were set aside and are still stored."
    )

    # Queues of work-items
    WORK_ITEMS_WAITING = gauge("routing.queued", "item", "Work-items that wait in a queue.", queue="the queue's id")
    LATEST_WAIT = gauge(
        "routing.latest_wait_s",
        "second",
        "The wait in a queue that ended last, none longer ago than a day.",
        queue="the queue's id",
    )

    # The API
    API_REQUESTS = count(
        "api.requests",
        "request",
        "Requests that were answered.",
        method="the request's method",
        route="the pattern of the request's path",
        status="the answer's status",
    )
    API_DURATION = distribution(
        "api.duration_ms",
        "millisecond",
        "From a request's arrival to its answer.",
        route="the pattern of the request's path",
    )

    # Log
    LOG_DROPPED = count(
        "log.dropped", "item", "Log lines that standard output did not take: it failed, or its reader stood still."
    )


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

    def event(self, event: AgentEvent) -> None:
        """Show an event beside the graphs."""
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

    def event(self, event: AgentEvent) -> None:
        """Drop the event."""

    def close(self) -> None:
        """Do nothing."""
