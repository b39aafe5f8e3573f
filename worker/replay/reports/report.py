"""NEW FILE."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, BinaryIO

from worker.replay.pair_archive import Standing
from worker.replay.recorded_syncs import Line

Flat = Mapping[str, Any]


class Report(ABC):
    """Takes what was found, piece by piece, and prints it to `to`."""

    def __init__(self, to: BinaryIO) -> None:
        self.to = to

    @abstractmethod
    def decided(self, line: Line) -> None:
        """One decision."""

    @abstractmethod
    def final(
        self,
        standings: Iterable[tuple[str, Standing]],
        violations: Sequence[tuple[str, Flat]],
        *,
        heading: str = "in the end",
    ) -> None:
        """How it ended, and which promises are broken then."""

    @abstractmethod
    def remark(self, text: str) -> None:
        """A last line for people."""

    @abstractmethod
    def explored(self, explored: Flat) -> None:
        """One conversation's exploration, as interfaces.md has it, with the conversation's id."""

    def line(self, text: str) -> None:
        """One line of text."""
        self.to.write(text.encode("utf-8", "backslashreplace") + b"\n")
