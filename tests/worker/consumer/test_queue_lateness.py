"""Queue lateness: the lateness of a batch, and of the queue as the gap poll reads it."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from handlers.events.event import Event
from handlers.planning.event_batch import IN_TIME, lateness
from tests.handlers.small_ports import START, HandClock
from tests.handlers.wire_events import conversation, event, read
from tests.worker.fake_clock import FakeClock
from worker.consumer.queue_lateness import QueueLatenessTracker


def _published(ago: timedelta | None) -> Event:
    return replace(read(event(conversation())), published_at=None if ago is None else START - ago)


@pytest.mark.parametrize(
    ("ago", "late"),
    [
        ([], IN_TIME),
        ([None], IN_TIME),
        ([timedelta(seconds=3), timedelta(minutes=5), None], timedelta(minutes=5)),
        # The worker's clock is behind the publisher's.
        ([timedelta(seconds=-3)], IN_TIME),
        ([timedelta(days=14)], timedelta(days=14)),
        # A replayed capture: no queue keeps a message so long.
        ([timedelta(days=14, milliseconds=1), timedelta(seconds=1)], timedelta(seconds=1)),
    ],
)
def test_a_batch_is_as_late_as_its_latest_event(ago: list[timedelta | None], late: timedelta) -> None:
    assert lateness(map(_published, ago), START) == late


def test_the_greatest_lateness_of_the_last_minute_counts() -> None:
    clock = HandClock()
    tracker = QueueLatenessTracker(clock)
    tracker.note_response()
    assert tracker.current() == IN_TIME
    tracker.note_lateness(timedelta(seconds=90))
    tracker.note_lateness(timedelta(seconds=2))
    clock.at += timedelta(seconds=60)
    tracker.note_response()
    assert tracker.current() == timedelta(seconds=90)
    clock.at += timedelta(milliseconds=1)
    assert tracker.current() == IN_TIME
    tracker.note_lateness(timedelta(seconds=2))
    assert tracker.current() == timedelta(seconds=2)


def test_the_lateness_is_unknown_while_the_queue_is_silent() -> None:
    clock = HandClock()
    tracker = QueueLatenessTracker(clock)
    assert tracker.current() is None
    tracker.note_response()
    tracker.note_lateness(timedelta(minutes=10))
    clock.at += timedelta(minutes=5)
    assert tracker.current() is None
    tracker.note_response()
    # The lateness from before the silence keeps the rest of its minute.
    assert tracker.current() == timedelta(minutes=10)
    for _ in range(2):
        clock.at += timedelta(seconds=31)
        tracker.note_response()
    assert tracker.current() == IN_TIME


@pytest.mark.parametrize("jump_seconds", [-3_600, 3_600])
async def test_setting_the_clock_is_not_a_silence_of_the_queue(jump_seconds: float) -> None:
    clock = FakeClock()
    tracker = QueueLatenessTracker(clock)
    tracker.note_response()
    tracker.note_lateness(timedelta(seconds=9))
    clock.put(jump_seconds)
    assert tracker.current() == timedelta(seconds=9)
    await clock.advance(61)
    assert tracker.current() is None
