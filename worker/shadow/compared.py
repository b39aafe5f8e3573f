"""Which audit lines compare the policies, and how much evidence they are.

An audit line without a difference looks the same under `legacy` and under `shadow`. A process is under `shadow` where
its line `worker started` says so, or where it wrote a difference.

Containers that start again keep name and process id. So where the lines of a process go back in time, as in rotated
logs that are read newest first, nothing that is known of it holds for them.
"""

from collections import Counter
from datetime import datetime, timedelta
from typing import Final

from worker.shadow.audit_lines import AuditLine, StartLine
from worker.shadow.distinct import DistinctIds

_PROCESSES_MAX: Final = 1_000
_VERSIONS_MAX: Final = 50
_OTHER_VERSIONS: Final = "others"
_HOUR_S: Final = 3_600
_CLOCK_STEP: Final = timedelta(minutes=1)
"""So far a line may go back where the clock was set."""

Process = tuple[str, int]


class ShadowEvidence:
    """How many events, pairs and hours both policies decided."""

    def __init__(self) -> None:
        self.events = 0
        self.differing_events = 0
        self.pairs = DistinctIds()
        self.versions: Counter[str] = Counter()
        self.first: datetime | None = None
        self.last: datetime | None = None
        self._hours: set[int] = set()

    @property
    def hours(self) -> int:
        """In how many hours of the clock an event was compared."""
        return len(self._hours)

    def add(self, line: AuditLine) -> None:
        """Note a line."""
        self.events += 1
        self.differing_events += line.shadow is not None
        if line.conversation_id is not None and line.work_item_id is not None:
            self.pairs.add(line.conversation_id)
        known = line.dd.version in self.versions or len(self.versions) < _VERSIONS_MAX
        self.versions[line.dd.version if known else _OTHER_VERSIONS] += 1
        self._hours.add(int(line.time.timestamp()) // _HOUR_S)
        self._extend(line.time, line.time)

    def merge(self, other: "ShadowEvidence") -> None:
        """Note the lines of another."""
        self.events += other.events
        self.differing_events += other.differing_events
        self.pairs.merge(other.pairs)
        self.versions += other.versions
        self._hours |= other._hours  # noqa: SLF001 - of the same class
        if other.first is not None and other.last is not None:
            self._extend(other.first, other.last)

    def _extend(self, first: datetime, last: datetime) -> None:
        self.first = first if self.first is None else min(self.first, first)
        self.last = last if self.last is None else max(self.last, last)


class ComparedLines:
    """Sorts the lines by what is known of the process that wrote them."""

    def __init__(self, *, assume_shadow: bool) -> None:
        self.evidence = ShadowEvidence()
        self._assume_shadow = assume_shadow
        self._policies: dict[Process, str] = {}
        self._undecided: dict[Process, ShadowEvidence] = {}
        self._latest: dict[Process, datetime] = {}
        self._not_kept = 0
        self.other_policies: Counter[str] = Counter()

    def start(self, line: StartLine) -> None:
        """Note that a process has started, under which policy. A container's processes all have the same number."""
        process = (line.hostname, line.pid)
        self._give_up(process)
        if process in self._policies or len(self._policies) < _PROCESSES_MAX:
            self._policies[process] = line.policy

    def add(self, line: AuditLine) -> None:
        """Note a line of an event."""
        process = (line.hostname, line.pid)
        self._keep_order(process, line.time)
        if line.policy != "legacy":
            self.other_policies[line.policy] += 1
            return
        policy = self._policies.get(process, "shadow" if self._assume_shadow else None)
        if policy is None and line.shadow is not None:
            policy = "shadow"
            if len(self._policies) < _PROCESSES_MAX:
                self._policies[process] = policy
            if process in self._undecided:
                self.evidence.merge(self._undecided.pop(process))
        if policy == "shadow" or line.shadow is not None:
            self.evidence.add(line)
        elif policy is not None:
            self.other_policies[policy] += 1
        elif process in self._undecided or len(self._undecided) < _PROCESSES_MAX:
            self._undecided.setdefault(process, ShadowEvidence()).add(line)
        else:
            self._not_kept += 1

    @property
    def unknown_policy(self) -> int:
        """How many lines may be of `legacy` or of `shadow`."""
        return self._not_kept + sum(each.events for each in self._undecided.values())

    def _keep_order(self, process: Process, time: datetime) -> None:
        latest = self._latest.get(process)
        if latest is not None and time < latest - _CLOCK_STEP:
            self._give_up(process)
            self._policies.pop(process, None)
        if latest is not None or len(self._latest) < _PROCESSES_MAX:
            self._latest[process] = time

    def _give_up(self, process: Process) -> None:
        earlier = self._undecided.pop(process, None)
        if earlier is not None:
            self._not_kept += earlier.events
