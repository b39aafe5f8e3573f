"""The lateness of events: the time from publication to now."""

from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from handlers.planning.event_batch import IN_TIME, lateness
from tests.handlers.small_ports import START
from tests.handlers.wire_events import conversation, event, read

SECOND, DAY = timedelta(seconds=1), timedelta(days=1)


def late(*published_at: datetime | None) -> timedelta:
    one = read(event(conversation(2)))
    return lateness([replace(one, published_at=at) for at in published_at], START)


def test_from_publication_to_now_of_the_latest() -> None:
    assert late(START - SECOND, START - 3 * SECOND, START - 2 * SECOND) == 3 * SECOND
    assert late(START - 14 * DAY) == 14 * DAY


@pytest.mark.parametrize("at", [None, START, START + SECOND, START - 14 * DAY - SECOND], ids=str)
def test_an_event_without_a_time_from_a_faster_clock_or_from_a_capture_is_in_time(at: datetime | None) -> None:
    assert late(at) == IN_TIME
    assert late(at, START - SECOND) == SECOND


def test_of_no_events() -> None:
    assert late() == IN_TIME
