"""A straight line through readings that outliers do not bend: the median of the slopes of all pairs (Theil and Sen).

A leak is a slope that lasts. A burst, a garbage collection or a connection that comes and goes bends a least-squares
line and leaves this one where it was.
"""

from collections.abc import Sequence
from itertools import combinations
from statistics import median
from typing import Final

from msgspec import Struct

_READINGS_MAX: Final = 400
"""Of more readings every so manieth is taken: the number of pairs grows with the square."""


class Trend(Struct, frozen=True, kw_only=True):
    """The line through the readings after the warm-up.

    - `first`, `last`: the first and the last reading of all, the warm-up included.
    - `per_hour`: the slope, in units an hour.
    - `growth`: what the line rises from the first reading after the warm-up to the last.
    - `level`: the median after the warm-up.
    """

    first: float
    last: float
    per_hour: float
    growth: float
    level: float


def trend(times_s: Sequence[float], values: Sequence[float], *, warm_up_s: float) -> Trend:
    """The trend of values read at these times. `warm_up_s`: so many seconds from the first reading are left out.

    Raises ValueError where fewer than three readings are left.
    """
    left = [(at, value) for at, value in zip(times_s, values, strict=True) if at - times_s[0] >= warm_up_s]
    if len(left) < 3:
        raise ValueError(f"{len(left)} readings after a warm-up of {warm_up_s:.0f} s: run longer")
    some = left[:: len(left) // _READINGS_MAX + 1]
    slope = median((b - a) / (t - s) for (s, a), (t, b) in combinations(some, 2) if t > s)
    return Trend(
        first=values[0],
        last=values[-1],
        per_hour=slope * 3_600,
        growth=slope * (left[-1][0] - left[0][0]),
        level=median(value for _, value in left),
    )
