"""The same deliveries in every partition into batches: do they lead to the same end? Times are left out of an end, but
not which of them stand: reports must not depend on the batch in which an event came."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations, permutations
from typing import Any

from handlers.documents.document_mapping import conversation_of, work_item_of
from handlers.events.event import Event
from sync.state import shared_values
from tests.causality.node import Node
from tests.causality.steps import event_name, writes
from worker.store.documents import Collection

TIMES = ("lastRevision", "handle", "wrapUp", "ivr", "resourceFirstAssignTime", "resourceFirstQueueTime", "completedAt")


@dataclass(slots=True)
class Partitions:
    """Figures. `orders`: orders of delivery. `ends`: partitions of an order into batches. `bad`: orders whose
    partitions have more than one end."""

    orders: int = 0
    ends: int = 0
    bad: int = 0
    examples: list[str] = field(default_factory=list)


def compare_partitions(start: Node) -> Partitions:
    """Compare the ends of all partitions of all orders of delivery, after every choice of the start's writes."""
    found = Partitions()
    for node in _written(start):
        for order in permutations([each.event for each in node.pending]):
            ends = [(batches, _end(node, batches)) for batches in _partitions(order)]
            found.orders += 1
            found.ends += len(ends)
            if len({repr(end) for _, end in ends}) > 1:
                found.bad += 1
                found.examples.append(_told(node, ends))
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


def _end(node: Node, batches: Sequence[Sequence[Event]]) -> tuple[Any, ...]:
    node = node.copy("the batches")
    for batch in batches:
        node.deliver(batch)
    node = node.settled()
    items = node.store.documents(Collection.WORK_ITEMS)
    return (
        shared_values(conversation_of(node.conversation())),
        [(w.id, w.status.value, w.assigned_to, w.queue, w.paused) for w in map(work_item_of, items)],
        [sorted(_times_that_stand(item["attributes"])) for item in items],
    )


def _times_that_stand(attributes: dict[str, Any]) -> Iterator[str]:
    for name in TIMES:
        value = attributes.get(name)
        if isinstance(value, dict):
            yield from (f"{name}.{key}" for key in value)
        elif value is not None:
            yield name


def _told(node: Node, ends: Sequence[tuple[Sequence[Sequence[Event]], tuple[Any, ...]]]) -> str:
    lines = [" | ".join(node.steps)]
    lines += [
        f"{' then '.join(' + '.join(map(event_name, batch)) for batch in batches)} → {end}"
        for batches, end in ends
    ]
    return "\n    ".join(lines)
