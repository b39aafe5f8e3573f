"""Backoff: delays grow up to a maximum and differ between workers."""

from random import Random

import pytest

from tests.worker.stand_ins.fake_clock import AutoAdvancingClock, MiddleChance
from worker.runtime.backoff import JitteredBackoff, retry_until_done


@pytest.mark.parametrize(
    ("attempt", "seconds"), [(-1, 1.5), (0, 1.5), (1, 1.5), (2, 3), (5, 24), (12, 675), (5_000, 675)]
)
def test_a_delay_doubles_up_to_its_maximum(attempt: int, seconds: float) -> None:
    assert JitteredBackoff(first_s=2, max_s=900, chance=MiddleChance()).after(attempt) == seconds


def test_a_delay_falls_between_half_of_its_ceiling_and_the_ceiling() -> None:
    delay = JitteredBackoff(first_s=8, max_s=900, chance=Random(7))
    drawn = [delay.after(1) for _ in range(500)]
    assert 4 <= min(drawn) < 4.2
    assert 7.8 < max(drawn) <= 8


@pytest.mark.parametrize(("tries_needed", "slept"), [(1, []), (2, [1.5]), (3, [1.5, 3]), (9, [1.5, 3, 6])])
async def test_a_call_is_retried_until_done_or_until_the_limit_with_a_growing_pause(
    tries_needed: int, slept: list[float]
) -> None:
    clock, tries = AutoAdvancingClock(), 0

    async def once() -> bool:
        nonlocal tries
        tries += 1
        return tries == tries_needed

    await retry_until_done(
        once, tries_max=4, pause=JitteredBackoff(first_s=2, max_s=900, chance=MiddleChance()), clock=clock
    )
    assert (tries, clock.slept) == (min(tries_needed, 4), slept)
