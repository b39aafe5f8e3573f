"""The settings of a simulation, and the figures of its runs."""

from collections import Counter
from dataclasses import dataclass, field, fields

from msgspec import Struct

from tests.causality.simulation.weather import Trouble


class SimulationSettings(Struct, frozen=True, kw_only=True):
    """Ranges are drawn from. Chances are per run, conversation, event, step of a worker or call. Seconds are virtual.

    `troubles`, `stories`: only these, in every run; None: drawn. `routes`: the workers create work-items, un-assign and
    queue by rules; one of the agents is always away.
    """

    troubles: tuple[Trouble, ...] | None = None
    stories: tuple[str, ...] | None = None
    trouble: float = 0.25
    conversations: tuple[int, int] = (20, 30)
    writes: tuple[int, int] = (1, 4)
    reading_late_s: float = 3.0
    delay_s: float = 3.0
    long_delay: float = 0.05
    long_delay_s: float = 25.0
    release_s: float = 20.0
    duplicate: float = 0.1
    lost: float = 0.08
    unsaid: float = 0.5
    no_changes: float = 0.3
    call_s: float = 0.3
    crash: float = 0.02
    sleep: float = 0.01
    away_before: float = 0.02
    away_after: float = 0.02
    visibility_s: float = 25.0
    long_poll_s: float = 20.0
    heartbeat_s: float = 20.0
    gap_s: float = 60.0
    batch_max: int = 30
    waiting_s_max: float = 3_600.0
    routes: bool = False


@dataclass(slots=True)
class Tally:
    """The figures of runs; `wrong` names seed and conversation.

    `waited`: pairs that waited by story. `longest_s`: their longest wait in seconds. `longest_calm_s`: the same of runs
    in which nothing keeps the watermark back. `found`: violations by story and kind.
    """

    seeds: int = 0
    conversations: int = 0
    outside: int = 0
    syncs: int = 0
    deliveries: int = 0
    crashes: int = 0
    sleeps: int = 0
    conflicts: int = 0
    away: int = 0
    lost: int = 0
    redriven: int = 0
    closed: int = 0
    swept: int = 0
    swept_early: int = 0
    swept_waits: int = 0
    waited: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    longest_s: dict[str, float] = field(default_factory=dict)
    longest_calm_s: dict[str, float] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def add(self, other: "Tally") -> None:
        """Add the figures of another run."""
        for each in fields(self):
            mine, theirs = getattr(self, each.name), getattr(other, each.name)
            if isinstance(mine, int):
                setattr(self, each.name, mine + theirs)
        self.waited += other.waited
        self.found += other.found
        self.wrong.extend(other.wrong)
        for story, seconds in other.longest_s.items():
            self.note_longest(story, seconds, calm=False)
        for story, seconds in other.longest_calm_s.items():
            self.note_longest(story, seconds, calm=True)

    def note_longest(self, story: str, seconds: float, *, calm: bool) -> None:
        """Keep the longest wait of a story; `calm`: nothing keeps the watermark back."""
        self.longest_s[story] = max(self.longest_s.get(story, 0.0), seconds)
        if calm:
            self.longest_calm_s[story] = max(self.longest_calm_s.get(story, 0.0), seconds)
