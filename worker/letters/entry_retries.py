"""Batch calls whose refused entries are sent again a few times."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from handlers.ports import Clock
from worker.ports.aws_calls import EntryResults, RefusedEntry
from worker.runtime.backoff import JitteredBackoff, retry_until_done

TRIES_MAX: Final = 4

E = TypeVar("E")


async def send_with_retries(
    call: Callable[[Sequence[E]], Awaitable[EntryResults]],
    entries: Sequence[E],
    *,
    pause: JitteredBackoff,
    clock: Clock,
) -> dict[int, RefusedEntry]:
    """Send the entries, and those that SQS refuses for now again; returns the refusals that remain, by index."""
    left = dict(enumerate(entries))
    refusals: dict[int, RefusedEntry] = {}

    async def once() -> bool:
        indexes = list(left)
        for index, refused in zip(indexes, await call([left[index] for index in indexes]), strict=True):
            if refused is None:
                refusals.pop(index, None)
            else:
                refusals[index] = refused
            if refused is None or refused.final:
                del left[index]
        return not left

    if left:
        await retry_until_done(once, tries_max=TRIES_MAX, pause=pause, clock=clock)
    return refusals
