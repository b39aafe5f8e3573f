"""Every step out of a state: an outside write, the creation of a work-item, the removal of the conversation, a
delivery of one event or of two together, a repeated delivery, the loss of an event, the gap poll; and each of them
between a worker's load and its commit (two workers)."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import combinations

from msgspec.structs import replace

from handlers.events.event import Event
from tests.causality.outside import conversation_writes, work_item_writes
from tests.causality.ports import InterruptedStore
from tests.causality.search.node import Node

Act = Callable[[Node], None]
Step = tuple[str, Act]


def successors(node: Node) -> Iterator[Node]:
    """Every state one step on."""
    for name, act in steps(node):
        after = node.copy(name)
        act(after)
        yield after
        if node.budget.meetings:
            yield from _meetings(node, name, act)


def steps(node: Node) -> Iterator[Step]:
    """The steps that the node's budget allows, but for meetings."""
    yield from _deliveries(node)
    if node.waits():
        # The core leaves a pair alone that waits since the watermark or later. The step is there all the same: a core
        # that closes it must be found.
        yield "the poll looks", Node.poll
    if node.budget.writes:
        yield from writes(node)
    if node.budget.removals and node.removed is None:
        yield "conversation: removed", Node.remove
    if node.budget.foreign and node.removed is None:
        yield "conversation: a sync of another worker's", Node.write_foreign_sync
    if node.budget.losses:
        for each in node.pending:
            yield f"lose {event_name(each.event)}", partial(Node.lose, event=each.event)


def writes(node: Node) -> Iterator[Step]:
    """The outside writes."""
    if node.removed is None:
        document = node.conversation()
        for name, _ in conversation_writes(document, node.budget.conversation_kinds):
            yield f"conversation: {name}", partial(Node.write_conversation, name=name)
        if node.budget.touches and not document["attributes"].get("deleted"):
            yield "conversation: something else", Node.touch_conversation
    item = node.active_item()
    if item is None:
        if node.budget.creations:
            for knew in node.knowable():
                yield f"new work-item, knows {knew}", partial(Node.create, knew=knew)
        return
    knowable: list[int | None] = [*node.knowable(), *([None] if node.budget.silent else [])]
    for name, _ in work_item_writes(item, node.budget.work_item_kinds):
        for read in knowable:
            yield f"work-item: {name}, knows {read}", partial(Node.write_item, name=name, knew=read)
    if node.budget.touches:
        yield "work-item: something else", Node.touch_item


def event_name(event: Event) -> str:
    """The event in a step's name."""
    return f"{event.document_id} {event.rev}"


def _deliveries(node: Node) -> Iterator[Step]:
    for each in node.pending:
        yield f"deliver {event_name(each.event)}", partial(Node.deliver, events=[each.event])
    if node.budget.batches:
        for one, other in combinations((each.event for each in node.pending), 2):
            yield (
                f"deliver {event_name(one)} and {event_name(other)} together",
                partial(Node.deliver, events=[one, other]),
            )
    if node.budget.repeats:
        for event in node.seen:
            yield f"deliver again {event_name(event)}", partial(Node.deliver_again, event=event)


def _meetings(node: Node, name: str, other: Act) -> Iterator[Node]:
    """The step while a worker loads, between state and documents, or before that worker commits."""
    outer: list[tuple[str, Callable[[Node, InterruptedStore], None]]] = [
        (f"deliver {event_name(each.event)}", partial(_deliver_meeting, event=each.event)) for each in node.pending
    ]
    if node.waits():
        outer.append(("the poll looks", Node.poll))
    for own_name, own in outer:
        if own_name == name:
            continue
        for within_load in (True, False):
            when = "while it loads" if within_load else "before it commits"
            after = node.copy(f"{own_name}, {when}: {name}")
            after.budget = replace(after.budget, meetings=after.budget.meetings - 1)
            own(after, InterruptedStore(after.store, partial(other, after), within_load=within_load))
            yield after


def _deliver_meeting(node: Node, meeting: InterruptedStore, *, event: Event) -> None:
    node.deliver([event], meeting)
