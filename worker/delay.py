"""How long to wait before the next try: tenacity's exponential growth, jittered so that workers do not move in step."""

from typing import Final

from tenacity import AsyncRetrying, RetryCallState
from tenacity.wait import wait_base, wait_exponential

from handlers.ports import Chance

_RETRYING: Final = AsyncRetrying()


class JitteredDelay(wait_base):
    """Doubles from `first_seconds` up to `max_seconds`; each delay falls between half of that and all of it.

    Serves tenacity as its `wait`, and answers for a count that was kept elsewhere, such as SQS' receive count.
    """

    def __init__(self, *, first_seconds: float, max_seconds: float, chance: Chance) -> None:
        self._growth = wait_exponential(multiplier=first_seconds, max=max_seconds)
        self._chance = chance

    def __call__(self, retry_state: RetryCallState) -> float:
        """Seconds to wait after the attempt that `retry_state` describes."""
        return self._growth(retry_state) * (0.5 + self._chance.random() / 2)

    @property
    def once_tried(self) -> wait_base:
        """The same for those who made the first attempt themselves: where it mostly succeeds, tenacity's machinery
        costs more than what it repeats."""
        return _OnceTried(self)

    def after(self, attempt: int) -> float:
        """Seconds to wait after the attempt of that number, the first being 1."""
        state = RetryCallState(_RETRYING, None, (), {})
        state.attempt_number = max(attempt, 1)
        return self(state)


class _OnceTried(wait_base):
    def __init__(self, delay: JitteredDelay) -> None:
        self._delay = delay

    def __call__(self, retry_state: RetryCallState) -> float:
        return self._delay.after(retry_state.attempt_number + 1)
