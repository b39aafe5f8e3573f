"""Putting letters back: which, how fast, what stays, and what a stop in the middle leaves."""

import asyncio
from collections import deque
from typing import Any

import pytest

from handlers.events.envelope import DEFAULT_LIMITS
from tests.handlers.wire_events import conversation, event, published, text
from tests.worker.letters.stand_in_letters import REFUSED, THROTTLED, StandInLetters
from tests.worker.stand_ins.fake_clock import AutoAdvancingClock, MiddleChance
from worker.errors import QueueAway
from worker.letters.letter import Letter
from worker.letters.letter_filter import LetterFilter
from worker.letters.redrive import LetterEnd, Redrive, RedriveRequest
from worker.letters.scan import LetterScan
from worker.ports.aws_calls import EntryResults
from worker.ports.letters import ReturnedMessage
from worker.runtime.backoff import JitteredBackoff


def good(number: int = 0) -> str:
    return text(published(event(conversation(2, key=f"c-{number}"))))


class RecordingObserver:
    """A `RedriveObserver` that keeps what it is told."""

    def __init__(self) -> None:
        self.ends: dict[str, tuple[LetterEnd, str | None]] = {}
        self.looked = 0

    def ended(self, letter: Letter, end: LetterEnd, detail: str | None) -> None:
        assert letter.id not in self.ends
        self.ends[letter.id] = (end, detail)

    def looked_at(self, count: int) -> None:
        self.looked += count

    def count(self, end: LetterEnd) -> int:
        return [each for each, _ in self.ends.values()].count(end)


async def redriven(queue: StandInLetters, *, give_back: bool = True, **request: Any) -> RecordingObserver:
    told = RecordingObserver()
    pause = JitteredBackoff(first_s=0.2, max_s=5, chance=MiddleChance())
    asked = {"chosen": LetterFilter(), "also_unreadable": False, "dry_run": False, "per_s": 100.0, **request}
    state = await queue.describe()
    wanted = RedriveRequest(**asked)
    scan = LetterScan(queue, state, limits=wanted.scan_limits, clock=queue.clock, pause=pause)
    run = Redrive(
        wanted,
        queue=queue,
        scan=scan,
        reader_limits=DEFAULT_LIMITS,
        observer=told,
        clock=queue.clock,
        pause=pause,
    )
    try:
        await run.run(queue.clock.now())
    finally:
        if give_back:
            await scan.give_back()
    return told


def queue_of(*bodies: str, fifo: bool = False) -> StandInLetters:
    queue = StandInLetters(AutoAdvancingClock(), fifo=fifo)
    for body in bodies:
        queue.add(body, group="g" if fifo else None, error_code="NOT_JSON", error_reason="r", own="kept")
    return queue


async def test_what_the_reader_takes_goes_back_once_as_it_was_and_the_rest_stays() -> None:
    queue = queue_of(*(good(number) if number % 3 else "no JSON" for number in range(60)))
    told = await redriven(queue)
    assert sorted(message.body for message in queue.put_back) == sorted(good(n) for n in range(60) if n % 3)
    assert queue.put_back[0].attributes == {"own": {"DataType": "String", "StringValue": "kept"}}
    assert (told.count(LetterEnd.PUT_BACK), told.count(LetterEnd.UNREADABLE), told.looked) == (40, 20, 60)
    assert {kept.message.body for kept in queue.letters.values()} == {"no JSON"}
    assert (len(queue.letters), queue.hidden) == (20, [])


async def test_a_dry_run_changes_nothing() -> None:
    queue = queue_of(good(), "no JSON")
    told = await redriven(queue, dry_run=True)
    assert sorted(end.value for end, _ in told.ends.values()) == ["planned", "unreadable"]
    assert (queue.put_back, len(queue.letters), queue.hidden) == ([], 2, [])


async def test_letters_that_are_not_meant_stay_and_are_not_told() -> None:
    queue = queue_of(good(1), good(2))
    told = await redriven(queue, chosen=LetterFilter(conversations=frozenset({"c-2"})))
    assert [message.body for message in queue.put_back] == [good(2)]
    assert (len(told.ends), told.looked, len(queue.letters)) == (1, 2, 1)


async def test_a_letter_that_dies_again_meanwhile_does_not_go_round() -> None:
    queue = queue_of(*["no JSON"] * 30)
    queue.came_back = lambda message: message.body
    # Slowly, so that the first ones are back before the last ones have gone.
    told = await redriven(queue, also_unreadable=True, per_s=2.0)
    assert (told.count(LetterEnd.PUT_BACK), len(queue.put_back), len(queue.letters)) == (30, 30, 30)


@pytest.mark.parametrize(("per_s", "least_s"), [(50.0, 4.6), (4.0, 61), (0.5, 490)])
async def test_the_rate_is_kept(per_s: float, least_s: float) -> None:
    queue = queue_of(*(good(number) for number in range(250)))
    await redriven(queue, per_s=per_s)
    assert len(queue.put_back) == 250
    seconds = queue.clock.monotonic()
    assert least_s <= seconds <= 1.2 * (250 / per_s) + 5


async def test_a_letter_that_sqs_refuses_stays_with_the_reason_and_a_throttled_one_goes_at_a_later_try() -> None:
    queue = queue_of(good(1), good(2), good(3))
    queue.send_refusals = {good(1): deque([REFUSED]), good(2): deque([THROTTLED, THROTTLED])}
    told = await redriven(queue)
    assert sorted(message.body for message in queue.put_back) == [good(2), good(3)]
    assert told.ends["letter-0"] == (LetterEnd.REFUSED, "InvalidMessageContents: no")
    assert [kept.message.body for kept in queue.letters.values()] == [good(1)]
    assert queue.hidden == []


async def test_a_service_that_stays_away_ends_the_run_and_the_letters_stay() -> None:
    queue = queue_of(*(good(number) for number in range(30)))
    queue.send_refusals = {good(number): deque([THROTTLED] * 9) for number in range(10, 30)}
    with pytest.raises(QueueAway):
        await redriven(queue)
    assert (len(queue.put_back), len(queue.letters), queue.hidden) == (10, 20, [])


async def test_a_letter_that_cannot_be_deleted_is_told_and_not_sent_again_by_the_same_run() -> None:
    queue = queue_of(*(good(number) for number in range(400)))
    queue.delete_refusal = REFUSED
    # So slowly that the first letters are visible again before the last ones are sent.
    told = await redriven(queue, per_s=0.5)
    assert told.count(LetterEnd.NOT_DELETED) == len(told.ends) == len(queue.put_back)
    assert len(queue.letters) == 400


class _TheFirstCallDiesAtOnce(StandInLetters):
    calls = 0

    async def put_back_batch(self, messages: Any) -> EntryResults:
        self.calls += 1
        if self.calls == 1:
            raise Killed
        for _ in range(100):
            await asyncio.sleep(0)
        return await super().put_back_batch(messages)


async def test_what_one_call_meets_does_not_leave_the_letters_of_the_others_sent_and_not_deleted() -> None:
    queue = _TheFirstCallDiesAtOnce(AutoAdvancingClock())
    for number in range(80):
        queue.add(good(number))
    with pytest.raises(Killed):
        await redriven(queue, per_s=1_000.0)
    assert len(queue.put_back) == len(queue.deleted) == 70
    assert (len(queue.letters), queue.hidden) == (10, [])


class Killed(Exception):
    """The process ends here."""


class _DiesBeforeTheSecondDelete(StandInLetters):
    deletes = 0

    async def delete_batch(self, receipts: Any) -> EntryResults:
        self.deletes += 1
        if self.deletes == 2:
            raise Killed
        return await super().delete_batch(receipts)


@pytest.mark.parametrize("fifo", [False, True])
async def test_a_kill_between_sending_and_deleting_leaves_the_letters_of_one_call_twice(fifo: bool) -> None:
    queue = _DiesBeforeTheSecondDelete(AutoAdvancingClock(), fifo=fifo)
    for number in range(45):
        queue.add(good(number), group=f"g-{number % 7}" if fifo else None)
    with pytest.raises(Killed):
        await redriven(queue, give_back=False)
    left = len(queue.letters)
    await queue.clock.sleep(600)
    assert queue.hidden == []
    await redriven(queue)
    assert (queue.letters, left > 0) == ({}, True)
    bodies = [message.body for message in queue.put_back]
    assert set(bodies) == {good(number) for number in range(45)}
    assert len(bodies) - len(set(bodies)) <= 10
    # A FIFO queue drops the second copy: it has the same deduplication id.
    ids = [message.deduplication_id for message in queue.put_back]
    assert len(set(ids)) == (45 if fifo else 1)


async def test_on_a_fifo_queue_a_groups_letters_keep_their_order() -> None:
    queue = StandInLetters(AutoAdvancingClock(), fifo=True)
    for number in range(60):
        queue.add(good(number), group=f"g-{number % 2}")
    await redriven(queue, per_s=1_000.0)
    groups: dict[str | None, list[ReturnedMessage]] = {}
    for message in queue.put_back:
        groups.setdefault(message.group, []).append(message)
    for parity in (0, 1):
        assert [message.body for message in groups[f"g-{parity}"]] == [good(n) for n in range(60) if n % 2 == parity]
