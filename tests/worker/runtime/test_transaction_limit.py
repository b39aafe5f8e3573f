"""The transaction limit: it falls where a commit times out, and grows again in time."""

import pytest

from tests.worker.stand_ins.fake_clock import FakeClock
from worker.runtime.transaction_limit import TransactionLimit


class LimitBench:
    """A limit of 200, on a clock of its own."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.limit = TransactionLimit(200, self.clock)
        self.falls = self.wholes = 0

    def time_out(self, conversations: int, *, began_with: int | None = None) -> int:
        """A commit without an answer, under the present limit where no other is given; returns the limit after it."""
        began_with = self.limit.conversations_max if began_with is None else began_with
        self.falls += self.limit.timed_out(conversations, began_with=began_with)
        return self.limit.conversations_max

    async def handle_after(self, seconds: float) -> int:
        """A batch that is handled after so long; returns the limit after it."""
        await self.clock.advance(seconds)
        self.wholes += self.limit.handled()
        return self.limit.conversations_max


@pytest.fixture
def bench() -> LimitBench:
    return LimitBench()


def test_it_falls_to_half_of_what_was_tried_and_not_below_ten(bench: LimitBench) -> None:
    assert [bench.time_out(tried) for tried in (200, 100, 31, 15, 10)] == [100, 50, 15, 10, 10]
    assert bench.falls == 4


def test_a_commit_of_ten_that_times_out_says_nothing_of_the_size(bench: LimitBench) -> None:
    assert [bench.time_out(tried) for tried in (10, 3, 1, 11)] == [200, 200, 200, 10]


def test_a_commit_of_more_than_the_limit_never_raises_it(bench: LimitBench) -> None:
    assert [bench.time_out(tried) for tried in (30, 30, 100)] == [15, 15, 15]
    assert bench.falls == 1


def test_a_whole_below_ten_stays() -> None:
    limit = TransactionLimit(4, FakeClock())
    assert not limit.timed_out(4, began_with=4)
    assert limit.conversations_max == 4


def test_a_lane_that_was_under_way_with_more_lowers_it_no_further(bench: LimitBench) -> None:
    tried = [(200, 200), (200, 200), (60, 200), (100, 100), (60, 100)]
    assert [bench.time_out(size, began_with=limit) for size, limit in tried] == [100, 100, 100, 50, 50]
    assert bench.falls == 2


async def test_it_doubles_a_minute_after_its_last_change(bench: LimitBench) -> None:
    bench.time_out(200)
    await bench.clock.advance(30)
    bench.time_out(100)
    assert [await bench.handle_after(seconds) for seconds in (59, 1, 0, 59)] == [50, 100, 100, 100]
    assert bench.wholes == 0
    assert await bench.handle_after(1) == 200
    assert await bench.handle_after(600) == 200
    assert bench.wholes == 1


async def test_a_limit_that_is_not_a_fraction_of_the_whole_ends_at_the_whole(bench: LimitBench) -> None:
    bench.time_out(150)
    assert [await bench.handle_after(60) for _ in range(2)] == [150, 200]


async def test_each_attempt_that_fails_doubles_the_wait_up_to_an_hour(bench: LimitBench) -> None:
    bench.time_out(200)
    bench.time_out(100)
    for seconds in (60, 120, 240, 480, 960, 1_920, 3_600, 3_600):
        assert await bench.handle_after(seconds - 1) == 50
        assert await bench.handle_after(1) == 100
        assert bench.time_out(100) == 50


async def test_falling_further_without_growth_does_not_double_the_wait(bench: LimitBench) -> None:
    for tried in (200, 100, 50, 25):
        bench.time_out(tried)
    assert [await bench.handle_after(60) for _ in range(2)] == [24, 48]


async def test_falling_further_after_growth_doubles_the_wait_once(bench: LimitBench) -> None:
    bench.time_out(200)
    await bench.handle_after(60)
    for tried in (200, 100, 50):
        bench.time_out(tried)
    assert [await bench.handle_after(seconds) for seconds in (119, 1)] == [25, 50]


@pytest.mark.parametrize(("stood", "wait"), [(119, 240), (120, 60)])
async def test_it_is_a_minute_again_where_the_whole_has_stood_as_long_as_it_was_waited_for(
    bench: LimitBench, stood: float, wait: float
) -> None:
    bench.time_out(200)
    await bench.handle_after(60)
    bench.time_out(200)
    assert [await bench.handle_after(seconds) for seconds in (119, 1, stood)] == [100, 200, 200]
    bench.time_out(200)
    assert [await bench.handle_after(seconds) for seconds in (wait - 1, 1)] == [100, 200]


async def test_an_outage_a_day_in_which_no_commit_is_answered_keeps_it_low_for_minutes(bench: LimitBench) -> None:
    for _ in range(8):
        for tried in (80, 40, 20, 10, 10):
            bench.time_out(tried)
        assert bench.limit.conversations_max == 10
        assert [await bench.handle_after(60) for _ in range(5)] == [20, 40, 80, 160, 200]
        assert await bench.handle_after(86_400) == 200
