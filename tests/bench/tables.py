"""The tables of `make bench`, in Markdown."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from rich.table import Table

from tests.bench.decisions import MeasuredStep
from tests.bench.loads.workload import LoadKind
from tests.bench.markdown import markdown_table
from tests.bench.profiling.profile import Profile
from tests.bench.runs.rounds import Cell

_PACKAGES_SHOWN: Final = 18
_FUNCTIONS_SHOWN: Final = 30


def cost_table(cells: Sequence[Cell], *, messages: int, rounds: int) -> Table:
    """A row a consumer, a column a load: CPU seconds per 1,000 messages, and their ratio to the bare loop."""
    title = "CPU seconds of the consumer's process per 1,000 messages, and their ratio to the bare loop"
    rows = {(cell.consumer, cell.kind): _seconds_and_ratio(cell.cpu_s_per_1000, cell.cpu) for cell in cells}
    return _by_kind(f"{title} ({messages:,} messages a run, medians of {rounds})", rows)


def wall_table(cells: Sequence[Cell]) -> Table:
    """A row a consumer, a column a load: wall seconds per 1,000 messages, and their ratio to the bare loop."""
    rows = {(cell.consumer, cell.kind): _seconds_and_ratio(cell.wall_s_per_1000, cell.wall) for cell in cells}
    return _by_kind("Wall seconds per 1,000 messages, and their ratio to the bare loop", rows)


def _seconds_and_ratio(seconds: float, ratio: float) -> str:
    return f"{seconds:.3f} s {ratio:6.2f}"


def _by_kind(title: str, cells: Mapping[tuple[str, LoadKind], str]) -> Table:
    kinds = [kind for kind in LoadKind if any(kind is one for _, one in cells)]
    table = markdown_table(title, "", *(kind.value for kind in kinds))
    for name in dict.fromkeys(name for name, _ in cells):
        table.add_row(name, *(cells.get((name, kind), "–") for kind in kinds))
    return table


def decisions_table(steps: Sequence[MeasuredStep]) -> Table:
    """A row a step, a column a load: microseconds an event, and their ratio to `orjson.loads` of the same body."""
    rows = {(step.name, step.kind): f"{step.us:,.1f} µs {step.ratio:6.1f}" for step in steps}
    return _by_kind("Decisions alone: microseconds of CPU an event, and their ratio to orjson.loads of its body", rows)


def packages_table(profiles: Mapping[LoadKind, Profile]) -> Table:
    """The packages with the largest shares of the worker's CPU time."""
    shares = {(one.name, kind): one.share for kind, profile in profiles.items() for one in profile.packages}
    title = "Shares of the worker's CPU time by package (cProfile; C code counts for its caller)"
    return _by_kind(title, _largest(shares, profiles, _PACKAGES_SHOWN))


def functions_table(profiles: Mapping[LoadKind, Profile]) -> Table:
    """The functions with the largest shares of the worker's CPU time, without the functions that they call."""
    shares = {(one.name, kind): one.share for kind, profile in profiles.items() for one in profile.functions}
    return _by_kind(
        "Shares of the worker's CPU time by function, without the functions that it calls",
        _largest(shares, profiles, _FUNCTIONS_SHOWN),
    )


def _largest(
    shares: Mapping[tuple[str, LoadKind], float], kinds: Iterable[LoadKind], shown_max: int
) -> dict[tuple[str, LoadKind], str]:
    greatest: dict[str, float] = {}
    for (name, _), share in shares.items():
        greatest[name] = max(share, greatest.get(name, 0))
    shown = sorted(greatest, key=lambda name: -greatest[name])[:shown_max]
    return {(name, kind): f"{shares.get((name, kind), 0):.1%}" for kind in kinds for name in shown}
