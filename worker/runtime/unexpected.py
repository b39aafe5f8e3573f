"""The one place that catches what nobody expected: a fault in our code, met while working on a batch.

It becomes a value, so that the batch can be taken apart and the rest of it goes on. What is expected has its own
exceptions (`StoreAway`, `AwsAway`), which pass through; so does being cancelled.
"""

from collections.abc import Awaitable, Sequence
from typing import TypeVar

from msgspec import Struct

from handlers.events.event import Event
from worker.errors import SERVICE_AWAY
from worker.telemetry.logs import error_fields
from worker.telemetry.metrics import Metric, Telemetry

T = TypeVar("T")


class UnexpectedError(Struct, frozen=True, kw_only=True):
    """A fault in our code."""

    error: Exception


async def catch_unexpected(work: Awaitable[T]) -> T | UnexpectedError:
    """What the work on a batch yields, or the fault it met."""
    try:
        return await work
    except SERVICE_AWAY:
        raise
    except Exception as error:  # noqa: BLE001 - argued for in this file's head
        return UnexpectedError(error=error)


def log_unexpected(events: Sequence[Event], fault: UnexpectedError, telemetry: Telemetry) -> dict[str, list[Event]]:
    """Log and count what these events met; the events by conversation."""
    telemetry.metrics.count(Metric.BATCH_FAULT)
    by_conversation: dict[str, list[Event]] = {}
    for event in events:
        by_conversation.setdefault(event.conversation_id, []).append(event)
    telemetry.log.error(
        "a batch met a fault in our code",
        conversations=sorted(by_conversation),
        events=len(events),
        **error_fields(fault.error),
    )
    return by_conversation
