"""The measured costs of one event, and their provenance: `measured_costs.json`, which `make bench-growth` writes.

A run measures pure loads (letters a, b, c) and one mix of them (d). The cost of any other mix is the weighted sum of
the pure ones, times what the measured mix costs above its own weighted sum: in a mix, batches are less full.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec
from msgspec import Struct

Letter = Literal["a", "b", "c", "d"]
OWN, UNSHARED, SYNCS, MIX = LETTERS = ("a", "b", "c", "d")
"""The worker's own syncs that come back; events without a shared field; events that end in a sync; the measured mix."""
MEASURED_SHARES: Final[Mapping[str, float]] = {OWN: 0.80, UNSHARED: 0.15, SYNCS: 0.05}
"""The shares of the measured mix."""
MEASURED_FILE: Final = Path(__file__).parent / "measured_costs.json"
_SUMMED: Final = ("published", "stored_bytes")
"""Figures that a mix does not make dearer: they are properties of each event."""


class Measurement(Struct, frozen=True, kw_only=True):
    """Where, when and on what a part was measured. `date` is ISO 8601, `commit` git's."""

    machine: str
    commit: str
    date: str
    messages: int
    rounds: int


class EventCost(Struct, frozen=True, kw_only=True):
    """The costs of one event while the worker is fully busy; medians of the rounds, all per event. `kind` begins with
    the load's letter."""

    kind: str
    worker_cpu_s: float
    mongod_cpu_s: float
    receive_calls: float
    empty_receive_calls: float
    delete_calls: float
    publish_calls: float
    published: float
    transactions: float
    stored_bytes: float
    journal_bytes: float
    network_bytes: float


class Footprint(Struct, frozen=True, kw_only=True):
    """What does not go by the event: the worker's resident memory after the mix, the bytes of a pair's documents in
    MongoDB, not compressed, with their indexes, and the bytes of log for each event of the mix."""

    resident_bytes: float
    pair_bytes: float
    logged_bytes: float


class MeasuredCosts(Struct, frozen=True, kw_only=True):
    """The file's content. `measured` has the provenance of `costs` and of `footprint`."""

    measured: Mapping[str, Measurement]
    costs: Sequence[EventCost]
    footprint: Footprint

    def of(self, letter: str) -> EventCost:
        """The cost under a load. For the mix, what `mixed` says of the measured shares."""
        return self.mixed(MEASURED_SHARES) if letter == MIX else self._pure(letter)

    def mixed(self, shares: Mapping[str, float]) -> EventCost:
        """The cost of an event of a mix. `shares`: by the letters a, b and c; their sum is 1."""
        some = {letter: share for letter, share in shares.items() if share > 0}
        linear = {name: self._sum(name, some) for name in _FIGURES}
        if len(some) > 1:
            linear = {name: value * self._mixing_factor(name) for name, value in linear.items()}
        named = "/".join(f"{shares.get(letter, 0):.0%}".removesuffix("%") for letter in (OWN, UNSHARED, SYNCS))
        return EventCost(kind=f"d  mix {named}", **linear)

    def _pure(self, letter: str) -> EventCost:
        return next(cost for cost in self.costs if cost.kind.startswith(letter))

    def _sum(self, name: str, shares: Mapping[str, float]) -> float:
        # A load without growth measures some bytes below zero.
        values = ((share, float(getattr(self._pure(letter), name))) for letter, share in shares.items())
        return sum(share * max(value, 0.0) for share, value in values)

    def _mixing_factor(self, name: str) -> float:
        if name in _SUMMED:
            return 1.0
        measured: float = getattr(self._pure(MIX), name)
        linear = self._sum(name, MEASURED_SHARES)
        return measured / linear if linear > 0 and measured > 0 else 1.0


_FIGURES: Final = tuple(name for name in EventCost.__struct_fields__ if name != "kind")


class UnusableFigures(Exception):
    """A file that holds no measured costs. The message says why."""


def read_costs(path: Path = MEASURED_FILE) -> MeasuredCosts:
    """The measured costs of a file. Raises OSError, or UnusableFigures."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=MeasuredCosts)
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise UnusableFigures(str(fault)) from fault
    absent = [letter for letter in LETTERS if not any(cost.kind.startswith(letter) for cost in found.costs)]
    if absent:
        raise UnusableFigures(f"it has no costs of the loads {', '.join(absent)}")
    parts = [part for part in ("costs", "footprint") if part not in found.measured]
    if parts:
        raise UnusableFigures(f"`measured` does not say where {' and '.join(parts)} come from")
    dear = [cost for cost in found.costs if cost.worker_cpu_s <= 0 or cost.mongod_cpu_s <= 0]
    if dear:
        raise UnusableFigures(f"load {dear[0].kind!r} has no CPU time of the worker or of mongod")
    return found
