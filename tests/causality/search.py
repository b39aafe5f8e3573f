"""Every state that can be reached, once each: depth first, with what was found in the quiet ones."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.causality.node import Node


@dataclass(slots=True)
class Found:
    """Figures of a search. `ends`: quiet states with the whole budget spent or not; `bad`: those in violation."""

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
    """All states reachable from `starts`, or so many as it takes `to_the_first` violation.

    Every quiet state is an end: if nobody writes any more, all must be in order. `may_wait`: an event may be missing
    for good, so that a field still waits there, and the poll has to look.
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
        stack.extend(node.successors())
    return found


def _judge(node: Node, found: Found, *, may_wait: bool) -> None:
    found.ends += 1
    if node.waits() and not may_wait:
        _bad(node, found, ["a field waits though every event was delivered"])
        return
    settled = node.settled()
    said = [
        f"{each.point} {each.field}: {each.expected!r} expected, {each.found!r} found" for each in settled.violations()
    ]
    if settled.loops():
        said.append(f"3 loops: {settled.syncs} syncs of {settled.outside} writes")
    if said:
        _bad(node, found, said)


def _bad(node: Node, found: Found, said: list[str]) -> None:
    found.bad += 1
    found.by_point.update({" ".join(each.split()[:2]) for each in said})
    found.examples = sorted((*found.examples, (node.steps, "; ".join(said))), key=lambda each: len(each[0]))[:5]
