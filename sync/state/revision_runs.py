"""The revisions of a document that have been observed, as unbroken runs: `((1, 6), (8, 8))`. Pure."""

from typing import Final

RevisionRuns = tuple[tuple[int, int], ...]
"""First and last revision of each run, ascending."""

RUNS_MAX: Final = 256
"""A document keeps at most so many runs: beyond them the lowest gap is closed, and the revisions in it count as
observed (docs/rules.md, *The sync state*)."""


def with_revision(runs: RevisionRuns, rev: int) -> RevisionRuns:
    """The runs with `rev` observed; the very same object where it was observed before."""
    return with_range(runs, rev, rev)


def with_range(runs: RevisionRuns, first: int, last: int) -> RevisionRuns:
    """The runs with every revision from `first` to `last` observed; the very same object where they were observed
    before, and where `first` is above `last`."""
    if covers(runs, first, last):
        return runs
    merged: list[tuple[int, int]] = []
    low, high = first, last
    for start, end in runs:
        if end + 1 < low or start > high + 1:
            merged.append((start, end))
        else:
            low, high = min(low, start), max(high, end)
    merged.append((low, high))
    merged.sort()
    if len(merged) > RUNS_MAX:
        merged[:2] = [(merged[0][0], merged[1][1])]
    return tuple(merged)


def contains(runs: RevisionRuns, rev: int) -> bool:
    """True where the revision has been observed."""
    # Mostly there is one run, for which `any` takes three times as long.
    for start, end in runs:  # noqa: SIM110
        if start <= rev <= end:
            return True
    return False


def covers(runs: RevisionRuns, low: int, high: int) -> bool:
    """True where every revision from `low` to `high` has been observed, and where `low` is above `high`."""
    if low > high:
        return True
    for start, end in runs:  # noqa: SIM110
        if start <= low and high <= end:
            return True
    return False


def count(runs: RevisionRuns) -> int:
    """The number of revisions observed."""
    return sum(end - start + 1 for start, end in runs)


def highest_gap(runs: RevisionRuns, last: int) -> int:
    """The highest revision up to `last` that was not observed; 0 where every one was."""
    for start, end in reversed(runs):
        if start <= last <= end:
            return start - 1
    return last


def highest(runs: RevisionRuns) -> int:
    """The highest revision observed; 0 for none."""
    return runs[-1][1] if runs else 0
