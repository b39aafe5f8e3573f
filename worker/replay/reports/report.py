"""The interface of a replay's report."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, BinaryIO

from handlers.ports import Pair
from worker.replay.recorded_syncs import DecisionLine

JsonObject = Mapping[str, Any]


class Report(ABC):
    """Prints the results of a replay to `to`, piece by piece. Nothing in it comes from the machine or its clock."""

    def __init__(self, to: BinaryIO) -> None:
        self.to = to

    @abstractmethod
    def decided(self, line: DecisionLine) -> None:
        """Print one decision."""

    @abstractmethod
    def final(
        self,
        pairs: Iterable[tuple[str, Pair]],
        violations: Sequence[tuple[str, JsonObject]],
        *,
        heading: str = "in the end",
    ) -> None:
        """Print the pairs at the end and their violations of the contract, both by conversation id."""

    @abstractmethod
    def remark(self, text: str) -> None:
        """Print a last line for people."""

    @abstractmethod
    def explored(self, explored: JsonObject) -> None:
        """Print one conversation's exploration: `{conversation, policy, interleavings, endStates}`."""

    def line(self, text: str) -> None:
        """Print one line of text."""
        self.to.write(text.encode("utf-8", "backslashreplace") + b"\n")
