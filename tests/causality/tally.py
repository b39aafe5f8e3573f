"""The settings of a simulation, and the figures of its runs."""

from dataclasses import dataclass, field, fields

from msgspec import Struct


class SimulationSettings(Struct, frozen=True, kw_only=True):
    """Ranges are drawn from. Chances are per run, event, step of a worker or call. Seconds are virtual."""

    conversations: tuple[int, int] = (100, 120)
    writes: tuple[int, int] = (1, 3)
    writing_s: float = 8.0
    reading_late_s: float = 3.0
    delay_s: float = 3.0
    long_delay: float = 0.05
    duplicate: float = 0.1
    lost: float = 0.01
    call_s: float = 0.3
    crash: float = 0.03
    away_before: float = 0.02
    away_after: float = 0.02
    visibility_s: float = 10.0
    gap_s: float = 60.0
    outage: float = 0.3
    outage_s: float = 200.0
    workers: int = 4
    batch_max: int = 30


@dataclass(slots=True)
class Tally:
    """The figures of runs; `wrong` names seed and conversation."""

    seeds: int = 0
    conversations: int = 0
    outside: int = 0
    syncs: int = 0
    deliveries: int = 0
    crashes: int = 0
    conflicts: int = 0
    away: int = 0
    lost: int = 0
    gaps: int = 0
    wrong: list[str] = field(default_factory=list)

    def add(self, other: "Tally") -> None:
        """Add the figures of another run."""
        for each in fields(self):
            if each.name != "wrong":
                setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))
        self.wrong.extend(other.wrong)
