"""How long to wait before the next try: tenacity's exponential growth, jittered so that workers do not move in step."""

from collections.abc import Awaitable, Callable
from typing import Final

from tenacity import AsyncRetrying, RetryCallState
from tenacity.wait import wait_base, wait_exponential

from handlers.ports import Chance, Clock

_RETRYING: Final = AsyncRetrying()


class JitteredBackoff(wait_base):
    """Doubles from `first_seconds` up to `max_seconds`; each delay falls between half of that and all of it.

    Serves tenacity as its `wait`, and answers for a count that was kept elsewhere, such as SQS' receive count.
    """

    def __init__(self, *, first_seconds: float, max_seconds: float, chance: Chance) -> None:
        self._growth = wait_exponential(multiplier=first_seconds, max=max_seconds)
        self._chance = chance

    def __call__(self, retry_state: RetryCallState) -> float:
        """Seconds to wait after the attempt that `retry_state` describes."""
        return self._growth(retry_state) * (0.5 + self._chance.random() / 2)

    def after(self, attempt: int) -> float:
        """Seconds to wait after the attempt of that number, the first being 1."""
        state = RetryCallState(_RETRYING, None, (), {})
        state.attempt_number = max(attempt, 1)
        return self(state)


async def retry_until_done(
    once: Callable[[], Awaitable[bool]], *, tries_max: int, pause: JitteredBackoff, clock: Clock
) -> None:
    """Call `once` until it says that it is done, `tries_max` times at most, with a pause in between.

    A plain loop: the first try mostly does it, and tenacity's machinery costs more than what it would repeat.
    """
    attempt = 1
    while not await once() and attempt < tries_max:
        await clock.sleep(pause.after(attempt))
        attempt += 1
