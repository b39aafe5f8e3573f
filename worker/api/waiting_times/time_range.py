"""A range of time as a client writes it: `{from, to, time_zone}`.

`from` and `to` are ISO 8601. A time without an offset, and a date, which is its midnight, are of the zone; without a
zone, of UTC. Both belong to the range.
"""

from datetime import UTC, datetime, tzinfo
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from msgspec import Struct

from worker.api.errors import ApiError, Fault


class TimeRange(Struct, frozen=True, kw_only=True):
    """The instants from `begin` to `end`, both included, in UTC."""

    begin: datetime
    end: datetime


def time_range(begin: str, end: str, time_zone: str | None) -> TimeRange:
    """The range. Raises ApiError, which names every fault."""
    faults: list[Fault] = []
    zone = _zone(time_zone, faults)
    instants = [_instant(name, text, zone, faults) for name, text in (("from", begin), ("to", end))]
    first, last = instants
    if first is None or last is None:
        raise ApiError(400, *faults)
    if not faults and first > last:
        faults.append(Fault(parameter="range", detail="'from' must not be after 'to'"))
    if faults:
        raise ApiError(400, *faults)
    return TimeRange(begin=first, end=last)


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _zone(name: str | None, faults: list[Fault]) -> tzinfo:
    if name is None or name.upper() in {"UTC", "Z"}:
        return UTC
    # Not ZoneInfo itself: it looks for a file of the name.
    if name in _zones():
        return ZoneInfo(name)
    faults.append(Fault(parameter="time_zone", detail="it is not the name of a time zone, as Europe/Berlin"))
    return UTC


def _instant(name: str, text: str, zone: tzinfo, faults: list[Fault]) -> datetime | None:
    try:
        instant = datetime.fromisoformat(text)
        aware = instant if instant.tzinfo is not None else instant.replace(tzinfo=zone)
        return aware.astimezone(UTC)
    except (ValueError, OverflowError):
        faults.append(Fault(parameter=name, detail="it is not a time in ISO 8601, as 2022-03-02T19:13:26Z"))
        return None
