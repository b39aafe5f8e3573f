"""Every letter once, none kept: the end of the queue, letters that come back, a service that is away."""

import asyncio
import tracemalloc
from collections import deque
from collections.abc import Sequence
from itertools import repeat

import pytest

from tests.worker.letters.stand_in_letters import REFUSED, THROTTLED, StandInLetters
from tests.worker.stand_ins.fake_clock import AutoAdvancingClock, MiddleChance
from worker.errors import QueueAway
from worker.letters.scan import EMPTY_MAX, HIDDEN_S_MAX, LetterScan, NotGivenBack, ScanLimits
from worker.ports.letters import LetterDelivery
from worker.runtime.backoff import JitteredBackoff


def queue_of(count: int, **more: float) -> StandInLetters:
    queue = StandInLetters(AutoAdvancingClock(), call_s=more.get("call_s", 0.01))
    for number in range(count):
        queue.add(f"body {number}")
    return queue


async def scan_of(queue: StandInLetters, limits: ScanLimits | None = None) -> LetterScan:
    pause = JitteredBackoff(first_s=0.2, max_s=5, chance=MiddleChance())
    return LetterScan(queue, await queue.describe(), limits=limits or ScanLimits(), clock=queue.clock, pause=pause)


async def seen_by(scan: LetterScan) -> list[str]:
    return [delivery.message.id async for deliveries in scan.rounds() for delivery in deliveries]


async def test_every_letter_comes_once_is_hidden_meanwhile_and_given_back_at_the_end() -> None:
    queue = queue_of(337)
    scan = await scan_of(queue)
    ids = await seen_by(scan)
    assert sorted(ids) == sorted(queue.letters)
    assert len(queue.hidden) == 337
    assert await scan.give_back() is None
    assert (queue.hidden, scan.unseen) == ([], 0)


async def test_an_empty_queue_needs_one_empty_answer() -> None:
    queue = queue_of(0)
    assert await seen_by(await scan_of(queue)) == []
    assert queue.receives == 1


async def test_empty_answers_of_a_queue_that_counts_letters_are_not_its_end() -> None:
    queue = queue_of(35)
    queue.empty_answers = EMPTY_MAX - 1
    assert len(await seen_by(await scan_of(queue))) == 35


async def test_a_count_that_stays_too_high_does_not_keep_the_scan_from_ending() -> None:
    queue = queue_of(35)
    queue.stale_count = 40
    scan = await scan_of(queue)
    assert len(await seen_by(scan)) == 35
    assert scan.unseen == 5
    assert queue.receives <= 4 + EMPTY_MAX


async def test_letters_that_were_sent_after_the_start_are_left_alone() -> None:
    queue = queue_of(3)
    scan = await scan_of(queue)
    await queue.clock.sleep(2)
    queue.add("late")
    assert len(await seen_by(scan)) == 3
    assert scan.came_meanwhile == 1
    await scan.give_back()
    assert queue.hidden == []


async def test_letters_whose_time_is_over_come_again_and_are_known() -> None:
    """Each call takes ten seconds here, so a letter comes back after a few calls."""
    queue = queue_of(90, call_s=10)
    scan = await scan_of(queue, ScanLimits(calls=1))
    ids = await seen_by(scan)
    assert len(ids) == len(set(ids))
    assert len(ids) + scan.unseen == 90
    await scan.give_back()
    assert queue.hidden == []


async def test_the_time_for_which_letters_are_hidden_grows_with_their_number_to_ten_minutes() -> None:
    assert [(await scan_of(queue_of(n))).hidden_s for n in (0, 2_000)] == [30, 40]
    queue = queue_of(0)
    queue.stale_count = 10_000_000
    assert (await scan_of(queue)).hidden_s == HIDDEN_S_MAX


async def test_a_scan_ends_at_its_limit() -> None:
    queue = queue_of(100)
    scan = await scan_of(queue, ScanLimits(letters_max=30))
    assert len(await seen_by(scan)) == 30
    assert (scan.unseen, scan.is_cut) == (70, True)
    await scan.give_back()
    assert queue.hidden == []


async def test_a_service_that_is_away_for_a_moment_is_asked_again() -> None:
    queue = queue_of(12)
    queue.away = deque([True, True, False, True])
    assert len(await seen_by(await scan_of(queue))) == 12


class LateLetters(StandInLetters):
    """A queue whose answers are on their way: its letters are hidden already."""

    def __init__(self) -> None:
        super().__init__(AutoAdvancingClock())
        self.taken, self.answered = asyncio.Event(), asyncio.Event()

    async def receive(self, *, count_max: int, hidden_s: int, wait_s: int) -> Sequence[LetterDelivery]:
        letters = await super().receive(count_max=count_max, hidden_s=hidden_s, wait_s=wait_s)
        self.taken.set()
        await self.answered.wait()
        return letters


async def test_letters_that_are_on_their_way_when_a_scan_is_cancelled_are_given_back() -> None:
    queue = LateLetters()
    for number in range(35):
        queue.add(f"body {number}")
    scan = await scan_of(queue, ScanLimits(letters_max=20))
    looking = asyncio.ensure_future(seen_by(scan))
    await queue.taken.wait()
    looking.cancel()
    asyncio.get_running_loop().call_soon(queue.answered.set)
    with pytest.raises(asyncio.CancelledError):
        await looking
    assert len(queue.hidden) == 20
    assert await scan.give_back() is None
    assert queue.hidden == []


class FaultyOnce(StandInLetters):
    """A queue whose fourth answer meets a fault of ours; its letters are hidden."""

    answers = 0

    async def receive(self, *, count_max: int, hidden_s: int, wait_s: int) -> Sequence[LetterDelivery]:
        letters = await super().receive(count_max=count_max, hidden_s=hidden_s, wait_s=wait_s)
        self.answers += 1
        if self.answers == 4:
            raise ZeroDivisionError
        return letters


async def test_a_fault_of_ours_in_one_call_leaves_no_letter_of_another_hidden() -> None:
    queue = FaultyOnce(AutoAdvancingClock())
    for number in range(40):
        queue.add(f"body {number}")
    scan = await scan_of(queue)
    with pytest.raises(ZeroDivisionError):
        await seen_by(scan)
    assert len(queue.hidden) == 40
    await scan.give_back()
    assert len(queue.hidden) == 10


async def test_a_cancelled_scan_waits_for_no_service_that_hangs() -> None:
    queue = LateLetters()
    scan = await scan_of(queue)
    looking = asyncio.ensure_future(seen_by(scan))
    await queue.taken.wait()
    looking.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(10):
            await looking


async def test_a_service_that_stays_away_ends_the_scan_and_what_the_other_calls_brought_is_given_back() -> None:
    queue = queue_of(20)
    # Of two calls the first one and its repetitions fail.
    queue.away = deque([True, False, True, True, True])
    scan = await scan_of(queue)
    with pytest.raises(QueueAway):
        await seen_by(scan)
    assert len(queue.hidden) == 10
    assert await scan.give_back() is None
    assert queue.hidden == []


async def test_letters_that_cannot_be_given_back_are_counted() -> None:
    queue = queue_of(25)
    scan = await scan_of(queue)
    await seen_by(scan)
    queue.away = deque(repeat(True, 3))
    assert await scan.give_back() == NotGivenBack(count=25, reason="SQS is away")


async def test_a_letter_that_is_refused_for_now_is_given_back_at_a_later_try() -> None:
    queue = queue_of(3)
    scan = await scan_of(queue)
    await seen_by(scan)
    queue.give_back_refusals = deque([THROTTLED, REFUSED])
    assert await scan.give_back() is None
    # What SQS refuses for good is visible already.
    assert len(queue.hidden) == 1


async def test_letters_behind_others_of_their_group_are_not_seen_and_counted() -> None:
    queue = StandInLetters(AutoAdvancingClock(), fifo=True)
    for number in range(26):
        queue.add("body", group="one" if number < 25 else "two")
    scan = await scan_of(queue)
    seen = await seen_by(scan)
    assert (len(seen), scan.unseen) == (11, 15)
    await scan.give_back()
    assert queue.hidden == []


class _Flooded(StandInLetters):
    """Workers dead-letter a thousand messages a second, twice as many as are received."""

    async def receive(self, *, count_max: int, hidden_s: int, wait_s: int) -> Sequence[LetterDelivery]:
        for _ in range(20):
            self.add("late")
        return await super().receive(count_max=count_max, hidden_s=hidden_s, wait_s=wait_s)


async def test_a_scan_ends_although_letters_come_faster_than_they_are_received() -> None:
    queue = _Flooded(AutoAdvancingClock(), call_s=0.02)
    for _ in range(300):
        queue.add("old")
    scan = await scan_of(queue)
    seen = await seen_by(scan)
    # Those of the second in which the scan began cannot be told apart.
    assert 300 <= len(seen) <= 1_500
    assert scan.came_meanwhile > 0
    assert queue.clock.monotonic() < 5
    await scan.give_back()
    assert queue.hidden == []


class _Many(StandInLetters):
    """It forgets each letter once it is received."""

    left = 20_000

    async def receive(self, *, count_max: int, hidden_s: int, wait_s: int) -> Sequence[LetterDelivery]:
        self.letters.clear()
        self._receipts.clear()
        while self.left and len(self.letters) < count_max:
            self.left -= 1
            self.add("x" * 2_000)
        return await super().receive(count_max=count_max, hidden_s=hidden_s, wait_s=wait_s)


@pytest.mark.thorough
async def test_letters_need_less_than_a_kilobyte_each() -> None:
    """Held are the id and the receipt, which AWS makes some 400 characters long."""
    queue = _Many(AutoAdvancingClock(), receipt_length=400, call_s=0)
    queue.stale_count = 20_000
    scan = await scan_of(queue, ScanLimits(calls=1))
    tracemalloc.start()
    count = 0
    async for deliveries in scan.rounds():
        count += len(deliveries)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 20_000
    assert peak < 20_000_000
