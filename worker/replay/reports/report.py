"""NEW FILE."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, BinaryIO

from worker.replay.pair_archive import PairState
from worker.replay.recorded_syncs import DecisionLine

Flat = Mapping[str, Any]


class Report(ABC):
    """Takes what was found, piece by piece, and prints it to `to`."""

    def __init__(self, to: BinaryIO) -> None:
        self.to = to

    @abstractmethod
    def decided(self, line: DecisionLine) -> None:
        """One decision."""

    @abstractmethod
    def final(
        self,
        pair_states: Iterable[tuple[str, PairState]],
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
