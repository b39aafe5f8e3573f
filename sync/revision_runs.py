"""Which revisions have been observed, as unbroken runs: `((1, 6), (8, 8))`."""

from typing import Final

RevisionRuns = tuple[tuple[int, int], ...]

RUNS_MAX: Final = 64


def with_revision(runs: RevisionRuns, rev: int) -> RevisionRuns:
    """`runs` with `rev` in it; `runs` itself where it was. Beyond 64 runs the lowest gap is closed."""
    if contains(runs, rev):
        return runs
    merged: list[tuple[int, int]] = []
    low = high = rev
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
    # There is mostly one run, and `any` would take three times as long over it.
    for start, end in runs:  # noqa: SIM110
        if start <= rev <= end:
            return True
    return False


def covers(runs: RevisionRuns, low: int, high: int) -> bool:
    """True where every revision from `low` to `high` has been observed; of none of them, too."""
    if low > high:
        return True
    for start, end in runs:  # noqa: SIM110
        if start <= low and high <= end:
            return True
    return False


def highest(runs: RevisionRuns) -> int:
    """The highest revision observed; 0 for none."""
    return runs[-1][1] if runs else 0
