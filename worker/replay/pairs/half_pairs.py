"""Pairs of which a capture has one record alone: no verdict on the contract rests on such a half."""

from collections.abc import Iterable, Iterator
from typing import Final

from handlers.ports import Pair
from sync.gates import Side

NAMED_MAX: Final = 3
"""How many conversations one line names."""


def lack_of(sides: Iterable[Side]) -> str | None:
    """What a capture with events of these sides lacks for a verdict on the pair; None where it has both."""
    there = set(sides)
    if "conversation" not in there:
        return "the capture has no event of the conversation itself"
    return None if "work-item" in there else "the capture has no event of a work-item"


class HalfPairs:
    """Counts the pairs of a replay. `whole`: those with both records; `halves`: the others; `named`: the first,
    each with what it lacks."""

    def __init__(self) -> None:
        self.whole = 0
        self.halves = 0
        self.named: list[tuple[str, str]] = []

    def counted(self, pairs: Iterable[tuple[str, Pair]]) -> Iterator[tuple[str, Pair]]:
        """The same pairs, counted as they pass."""
        for conversation_id, pair in pairs:
            lack = lack_of(sides_of(pair))
            if lack is None:
                self.whole += 1
            else:
                self.halves += 1
                if len(self.named) < NAMED_MAX:
                    self.named.append((conversation_id, lack))
            yield conversation_id, pair


def sides_of(pair: Pair) -> Iterator[Side]:
    """The sides of which the pair has a record."""
    if pair.conversation is not None:
        yield "conversation"
    if pair.work_items:
        yield "work-item"
