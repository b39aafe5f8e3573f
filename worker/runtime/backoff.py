"""Backoff: exponential, jittered delays between tries, so that workers do not retry in step."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type
from tenacity.wait import wait_base, wait_exponential

from handlers.ports import Chance, Clock
from worker.errors import SERVICE_AWAY, first_line

T = TypeVar("T")

_RETRYING: Final = AsyncRetrying()


class JitteredBackoff(wait_base):
    """A delay with a ceiling that doubles from `first_s` up to `max_s`; each delay falls between half of
    the ceiling and the whole ceiling.

    It is a `wait` of tenacity. `after` serves attempts that are counted elsewhere, such as SQS's receive count.
    """

    def __init__(self, *, first_s: float, max_s: float, chance: Chance) -> None:
        self._growth = wait_exponential(multiplier=first_s, max=max_s)
        self._chance = chance

    def __call__(self, retry_state: RetryCallState) -> float:
        """Seconds to wait after the attempt that `retry_state` describes."""
        return self._growth(retry_state) * (0.5 + self._chance.random() / 2)

    def after(self, attempt: int) -> float:
        """Seconds to wait after attempt number `attempt`; the first attempt is 1."""
        state = RetryCallState(_RETRYING, None, (), {})
        state.attempt_number = max(attempt, 1)
        return self(state)


async def retry_until_done(
    once: Callable[[], Awaitable[bool]], *, tries_max: int, pause: JitteredBackoff, clock: Clock
) -> None:
    """Call `once` until it returns True, at most `tries_max` times, with a growing pause between the calls.

    A plain loop, because the first call mostly succeeds and tenacity's machinery costs more than the call.
    """
    attempt = 1
    while not await once() and attempt < tries_max:
        await clock.sleep(pause.after(attempt))
        attempt += 1


async def call_until_available(
    work: Callable[[], Awaitable[T]], *, pause: JitteredBackoff, clock: Clock, report_away: Callable[[str], object]
) -> T:
    """The result of `work`, which is called again, after a growing pause, as long as its service is away.

    `report_away` gets one line, the reason, before each pause.
    """

    def before_sleep(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        report_away(first_line(error) if error else "no answer")

    result: T = await AsyncRetrying(
        retry=retry_if_exception_type(SERVICE_AWAY), wait=pause, before_sleep=before_sleep, sleep=clock.sleep
    )(work)
    return result
