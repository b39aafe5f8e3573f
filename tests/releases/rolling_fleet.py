"""Two workers on one queue and one database, each of the last version or of this one, replaced one at a time."""

from collections.abc import Callable, Iterator
from typing import Final, Literal

from tests.e2e.worker_process import WorkerProcess

Version = Literal["old", "new"]
Fleet = tuple[Version, Version]

UPGRADE: Final[tuple[Fleet, ...]] = (("old", "old"), ("new", "old"), ("new", "new"))
ROLL_BACK: Final[tuple[Fleet, ...]] = (("old", "new"), ("old", "old"))


class RollingFleet:
    """The fleet as a deployment replaces it: a new worker is ready before the one in its place is stopped.

    `start` starts a worker of a version and waits until it is ready.
    """

    def __init__(self, start: Callable[[Version], WorkerProcess]) -> None:
        self._start = start
        self._places: list[tuple[Version, WorkerProcess]] = []
        self.workers: list[tuple[Version, WorkerProcess]] = []

    def roll(self, *fleets: Fleet) -> Iterator[Fleet]:
        """Makes the fleet each of these in turn, and yields after each. Every worker stops by SIGTERM with status 0."""
        for fleet in fleets:
            for place, version in enumerate(fleet):
                if place == len(self._places):
                    self._places.append(self._started(version))
                elif self._places[place][0] != version:
                    _, before = self._places[place]
                    self._places[place] = self._started(version)
                    status, _ = before.terminate()
                    assert status == 0, f"the worker ended with {status}: {before.log.read_text()[-2_000:]}"
            yield fleet

    def handled(self) -> dict[Version, int]:
        """The events that the workers of each version have handled, by their audit lines."""
        counts: dict[Version, int] = {"old": 0, "new": 0}
        for version, worker in self.workers:
            counts[version] += len(worker.audits())
        return counts

    def _started(self, version: Version) -> tuple[Version, WorkerProcess]:
        started = version, self._start(version)
        self.workers.append(started)
        return started
