"""Instants are UTC with milliseconds in every record, whatever the zone of the machine or of the text."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest

from commands.instant import format_instant, parse_instant


@pytest.fixture(params=["UTC0", "JST-9", "PST8"])
def _machine_in(request: pytest.FixtureRequest) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", request.param)
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("_machine_in")
class TestInEveryZone:
    def test_read(self) -> None:
        for text in ("2022-03-02T19:13:26.158Z", "2022-03-02T20:13:26.158+01:00", "2022-03-02T11:13:26.158-08:00"):
            instant = parse_instant(text)
            assert instant == datetime(2022, 3, 2, 19, 13, 26, 158_000, tzinfo=UTC)
            assert instant.utcoffset() == timedelta(0)

    def test_written(self) -> None:
        there = datetime(2022, 3, 2, 20, 13, 26, 158_999, tzinfo=timezone(timedelta(hours=1)))
        assert format_instant(there) == "2022-03-02T19:13:26.158Z"
