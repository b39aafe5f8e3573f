"""The same deliveries in every partition into batches: does each lead to an end to which the events lead one by one?

A batch has no order of its own, so its end may be that of any order. Times are left out of an end, but for whether an
assignment and its handling were timed at all: reports must not depend on the batch in which an event came.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations, permutations

from msgspec import Struct

from handlers.documents.document_mapping import conversation_of, work_item_of
from handlers.events.event import Event
from sync.state.agreement import shared_values
from tests.causality.search.node import Node
from tests.causality.search.steps import event_name, writes
from worker.store.documents import Collection


class PairEnd(Struct, frozen=True):
    """An end: the values of both sides, and for each work-item whether its acceptance and its handling were timed."""

    values: str
    timed: tuple[tuple[bool, bool], ...]


@dataclass(slots=True)
class Partitions:
    """Figures. `histories`: the choices of writes. `partitions`: all orders of their events, cut into batches in every
    way. `bad`: partitions with an end to which no order leads one by one."""

    histories: int = 0
    partitions: int = 0
    bad: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, other: "Partitions") -> None:
        self.histories += other.histories
        self.partitions += other.partitions
        self.bad += other.bad
        self.examples += other.examples


def compare_partitions(start: Node) -> Partitions:
    """Compare the ends of all partitions, after every choice of the start's writes."""
    found = Partitions()
    for node in _written(start):
        found.histories += 1
        orders = list(permutations([each.event for each in node.pending]))
        one_by_one = {_end(node, [[event] for event in order]) for order in orders}
        for batches in (batches for order in orders for batches in _partitions(order)):
            found.partitions += 1
            end = _end(node, batches)
            if end not in one_by_one:
                found.bad += 1
                found.examples.append(_told(node, batches, end, one_by_one))
    return found


def _written(node: Node) -> Iterator[Node]:
    if not node.budget.writes:
        yield node
        return
    for name, act in writes(node):
        after = node.copy(name)
        act(after)
        yield from _written(after)


def _partitions(order: Sequence[Event]) -> Iterator[tuple[tuple[Event, ...], ...]]:
    """The order cut into batches at every choice of places."""
    places = range(1, len(order))
    for count in range(len(order)):
        for cuts in combinations(places, count):
            yield tuple(tuple(order[low:high]) for low, high in zip((0, *cuts), (*cuts, len(order)), strict=True))


def _end(node: Node, batches: Sequence[Sequence[Event]]) -> PairEnd:
    node = node.copy("the batches")
    for batch in batches:
        node.deliver(batch)
    node = node.settled()
    items = [work_item_of(document) for document in node.store.documents(Collection.WORK_ITEMS)]
    values = [(item.id, item.status.value, item.assigned_to, item.queue, item.paused) for item in items]
    return PairEnd(
        f"{shared_values(conversation_of(node.conversation()))}, {values}",
        tuple((bool(item.last_revision and item.last_revision.accepted_at), item.handle is not None) for item in items),
    )


def _told(node: Node, batches: Sequence[Sequence[Event]], end: PairEnd, one_by_one: Iterable[PairEnd]) -> str:
    said = " then ".join(" with ".join(map(event_name, batch)) for batch in batches)
    return "\n    ".join((" | ".join(node.steps), f"{said} → {end}", *(f"one by one → {each}" for each in one_by_one)))
