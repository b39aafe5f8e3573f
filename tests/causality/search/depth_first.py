"""The search: visits every reachable state once, depth first, and checks the contract in the quiet ones."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.causality.search.node import Node
from tests.causality.search.steps import successors


@dataclass(slots=True)
class Found:
    """Figures of a search. `ends`: quiet states, whatever is left of their budget. `bad`: quiet states in violation."""

    states: int = 0
    ends: int = 0
    bad: int = 0
    by_point: Counter[str] = field(default_factory=Counter)
    examples: list[tuple[tuple[str, ...], str]] = field(default_factory=list)

    def add(self, other: "Found") -> None:
        self.states += other.states
        self.ends += other.ends
        self.bad += other.bad
        self.by_point.update(other.by_point)
        self.examples = sorted((*self.examples, *other.examples), key=lambda each: len(each[0]))[:5]


def search(starts: Iterable[Node], *, may_wait: bool = False, to_the_first: bool = False) -> Found:
    """The figures of all states reachable from `starts`; with `to_the_first`, up to the first violation.

    Every quiet state is an end state: without further writes the contract must hold. `may_wait`: an event may never
    come, so a field may still wait there until the gap poll.
    """
    found = Found()
    visited: set[int] = set()
    stack = list(starts)
    while stack and not (to_the_first and found.bad):
        node = stack.pop()
        key = hash(node.key())
        if key in visited:
            continue
        visited.add(key)
        found.states += 1
        if node.quiet():
            _judge(node, found, may_wait=may_wait)
        stack.extend(successors(node))
    return found


def _judge(node: Node, found: Found, *, may_wait: bool) -> None:
    found.ends += 1
    if node.waits() and not may_wait:
        _bad(node, found, ["0 waiting: a field waits though every event was delivered"])
        return
    settled = node.settled()
    said = list(settled.broken())
    if said:
        _bad(settled, found, said)


def _bad(node: Node, found: Found, said: list[str]) -> None:
    found.bad += 1
    found.by_point.update({each.partition(":")[0] for each in said})
    found.examples = sorted((*found.examples, (node.steps, "; ".join(said))), key=lambda each: len(each[0]))[:5]
