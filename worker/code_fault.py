"""The one place that catches what nobody expected: a fault in our code, met while working on a batch.

It becomes a value, so that the batch can be taken apart and the rest of it goes on. What is expected has its own
exceptions (`StoreAway`, `AwsAway`), which pass through; so does being cancelled.
"""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeVar

from handlers.ports import StoreAway
from worker.aws import AwsAway

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeFault:
    """A fault in our code."""

    error: Exception


async def or_fault(work: Awaitable[T]) -> T | CodeFault:
    """What the work on a batch yields, or the fault it met."""
    try:
        return await work
    except (StoreAway, AwsAway):
        raise
    except Exception as error:  # noqa: BLE001 - argued for in this file's head
        return CodeFault(error=error)
