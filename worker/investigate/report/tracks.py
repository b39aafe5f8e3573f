"""The lines of the syncs: which track each runs in, and its part in every row that it passes."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from worker.investigate.timeline.entry import TimelineEntry
from worker.investigate.timeline.timeline import EntryKey, Timeline

TRACKS: Final = 6
"""How many lines run side by side; more share a track."""


class Line(Struct, frozen=True, kw_only=True):
    """The part of a sync's line in one row, in percent of the row: `(x, y)` from where, to where."""

    start: tuple[int, int]
    end: tuple[int, int]
    lost: bool
    number: int


class Arrow(Struct, frozen=True, kw_only=True):
    """A line: from the row of the write to that of the sync, `first` the upper one."""

    cause: EntryKey
    sync: EntryKey
    first: int
    last: int


def arrows_of(timeline: Timeline, rows: Mapping[EntryKey, int]) -> Sequence[Arrow]:
    """The lines whose two ends are drawn, by their first row."""
    found = [
        Arrow(
            cause=answer.cause,
            sync=answer.sync,
            first=min(rows[answer.cause], rows[answer.sync]),
            last=max(rows[answer.cause], rows[answer.sync]),
        )
        for answer in timeline.answers
        if answer.cause is not None and answer.cause in rows and answer.sync in rows
    ]
    return sorted(found, key=lambda arrow: (arrow.first, arrow.last))


def tracks_of(arrows: Sequence[Arrow]) -> Sequence[int]:
    """The track of each line: the first one that is free from its first row on; else the one that is free soonest."""
    free_from = [0] * TRACKS
    tracks: list[int] = []
    for arrow in arrows:
        free = [track for track, row in enumerate(free_from) if row <= arrow.first]
        track = free[0] if free else min(range(TRACKS), key=free_from.__getitem__)
        free_from[track] = max(free_from[track], arrow.last)
        tracks.append(track)
    return tracks


def drawn_lines(
    arrows: Sequence[Arrow], tracks: Sequence[int], overwrote: Collection[EntryKey], entries: Sequence[TimelineEntry]
) -> tuple[Sequence[Sequence[Line]], Sequence[Sequence[Line]]]:
    """By row: the parts of the lines in it, and those that come to it from above.

    Lines that share a track coincide, and one of them is drawn, a lost update's before others: so a row has a few lines
    however many syncs answer one write. `overwrote`: the syncs whose lines are those of a lost update.
    """
    rows: list[dict[tuple[tuple[int, int], tuple[int, int]], Line]] = [{} for _ in entries]
    above: list[dict[int, Line]] = [{} for _ in entries]
    width = max(tracks, default=0) + 1
    numbered = [(arrow.sync in overwrote, number) for number, arrow in enumerate(arrows)]
    for lost, number in sorted(numbered, key=lambda each: not each[0]):
        arrow, x = arrows[number], _track_x(tracks[number], width)
        for row in range(arrow.first, arrow.last + 1):
            edge = 0 if entries[row].side == "conversation" else 100
            start = (edge, 50) if row == arrow.first else (x, 0)
            end = (edge, 50) if row == arrow.last else (x, 100)
            if (start, end) not in rows[row]:
                rows[row][start, end] = Line(start=start, end=end, lost=lost, number=number)
            if row > arrow.first and x not in above[row]:
                above[row][x] = Line(start=(x, 0), end=(x, 100), lost=lost, number=number)
    return [_by_number(each.values()) for each in rows], [_by_number(each.values()) for each in above]


def _by_number(lines: Iterable[Line]) -> Sequence[Line]:
    return tuple(sorted(lines, key=lambda line: line.number))


def _track_x(track: int, tracks: int) -> int:
    return 100 * (track + 1) // (tracks + 1)
