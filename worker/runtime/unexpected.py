"""Unexpected errors: the one place that catches `Exception`, around the work on a batch.

An unexpected error is a defect in the code. It becomes a value, so that the batch can be split and the rest of it
handled. `StoreAway` and `AwsAway` are expected and pass through; so does `CancelledError`.
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
    """An exception that no part of the worker expects."""

    error: Exception


async def catch_unexpected(work: Awaitable[T]) -> T | UnexpectedError:
    """The result of `work`, or the unexpected error that it raised."""
    try:
        return await work
    except SERVICE_AWAY:
        raise
    except Exception as error:  # noqa: BLE001 - argued for in this file's head
        return UnexpectedError(error=error)


def log_unexpected(
    events: Sequence[Event], unexpected: UnexpectedError, telemetry: Telemetry
) -> dict[str, list[Event]]:
    """Log and count the error that a batch of events met; returns the events by conversation id."""
    telemetry.metrics.count(Metric.BATCH_FAULT)
    by_conversation: dict[str, list[Event]] = {}
    for event in events:
        by_conversation.setdefault(event.conversation_id, []).append(event)
    telemetry.log.error(
        "a batch met a fault in our code",
        conversations=sorted(by_conversation),
        events=len(events),
        **error_fields(unexpected.error),
    )
    return by_conversation
