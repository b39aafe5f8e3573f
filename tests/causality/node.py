"""One state of the world and every step out of it, by the worker's own handlers on its in-memory store.

A step is an outside write, a delivery, a repeated delivery, a delivery that meets another step between its load and its
commit (two workers), a sync of the predecessor's, the creation of a work-item, or the loss of an event.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from commands.work_item import WorkItem
from handlers.batch_handler import BatchHandler
from handlers.documents.document_mapping import conversation_of, updated_conversation_document, work_item_of
from handlers.events.event import Event
from handlers.events.parser import read_message
from handlers.options import Options
from handlers.outcome import Retry
from handlers.ports import Document, Store
from sync.contract import FieldHistory, Violation, sync_writes_max, violations
from sync.conversation import FIELDS, Field
from tests.causality.keys import conversation_key, event_key, history_key, state_key, work_item_key
from tests.causality.outside import (
    NOW,
    conversation_writes,
    event_of_write,
    with_outside_write,
    with_unknown_knew,
    with_unknown_knew_of_fields,
    work_item_created,
    work_item_writes,
)
from tests.causality.ports import AnyIds, FixedClock, InterruptedStore, NoJitter, run_to_end
from tests.causality.predecessor import predecessors_writes, with_overwritten_values
from worker.store.documents import Collection
from worker.store.memory import MemoryStore

C: Final = "c"
Step = tuple[str, Callable[["Node"], None]]


class Budget(Struct, frozen=True, kw_only=True):
    """The number of steps still allowed, and their kinds."""

    writes: int
    conversation_kinds: tuple[str, ...]
    work_item_kinds: tuple[str, ...]
    creations: bool = True
    silent: bool = False
    late: bool = True
    repeats: int = 0
    meetings: int = 0
    foreign: int = 0
    losses: int = 0


@dataclass(slots=True, kw_only=True)
class Node:
    """A state of the world. `known`: the start's revisions are observed. `pending`: events not delivered yet. `seen`:
    delivered events. `steps`: the steps that led here."""

    store: MemoryStore
    options: Options
    budget: Budget
    start_rev: int
    known: bool = True
    pending: tuple[Event, ...] = ()
    seen: tuple[Event, ...] = ()
    history: FieldHistory = field(default_factory=FieldHistory)
    outside: int = 0
    syncs: int = 0
    announced: tuple[str, ...] = ()
    lost: bool = False
    without_lost: FieldHistory | None = None
    unsure: frozenset[Field] = frozenset()
    steps: tuple[str, ...] = ()

    # Reading the state

    def key(self) -> tuple[Any, ...]:
        """The node's key: nodes with the same key have the same future."""
        return (
            conversation_key(self._conversation()),
            tuple(map(work_item_key, self.store.documents(Collection.WORK_ITEMS))),
            state_key(self.store.state(C)),
            frozenset(map(event_key, self.pending)),
            frozenset(map(event_key, self.seen)) if self.budget.repeats or self.budget.foreign else None,
            self.budget,
            self.lost,
            self.unsure,
            history_key(self.history),
            None if self.without_lost is None else history_key(self.without_lost),
        )

    def quiet(self) -> bool:
        """True where every event is delivered; the budget may allow more steps."""
        return not self.pending

    def settled(self) -> "Node":
        """The world after the gap poll, a day later; the node itself where no field waits.

        Where an event was lost, a last write of no shared field comes first: the poll takes only pairs that wait, and
        the lost event may leave none.
        """
        node = self
        if self.lost:
            node = self._copy("conversation: something else")
            node._touch()
        if not node.waits():
            return node
        node = node._copy("the poll looks")
        handler = self._handler(node.store, NOW + timedelta(days=1))
        run_to_end(handler.close_gaps([C]))
        node._count_syncs()
        return node

    def violations(self) -> tuple[Violation, ...]:
        """The broken promises of a quiet state. Either side may have the fields of a lost event, which would have said
        what its write knew, unless a decision knew as much."""
        conversation, item = conversation_of(self._conversation()), self._item()
        broken = violations(self.history, conversation, item)
        if self.without_lost is not None:
            # The time of a lost write's change is unknown, and so is a change of a field that was never viewed.
            unsure = self.unsure if self.known else frozenset(FIELDS)
            history = with_unknown_knew_of_fields(self.without_lost, unsure)
            without = {each.field for each in violations(history, conversation, item)}
            broken = tuple(each for each in broken if each.field in without)
        return broken

    def loops(self) -> bool:
        """Whether syncs cause syncs: there are too many, or their events, handled as foreign ones, lead to another."""
        if self.syncs > sync_writes_max(self.outside):
            return True
        if not self.announced:
            return False
        node = self._copy("our own syncs come back")
        node.options = replace(self.options, own_syncs_stored=False)
        run_to_end(node._handler(node.store).handle([_event_of(message) for message in self.announced]))
        return bool(node.store.documents(Collection.OUTBOX))

    def waits(self) -> bool:
        return self.store.state(C).waiting_since is not None

    # The steps out of the state

    def successors(self) -> Iterator["Node"]:
        """Every state one step on."""
        for name, act in self._steps():
            node = self._copy(name)
            act(node)
            yield node
            if self.budget.meetings:
                yield from self._meetings(name, act)

    def _steps(self) -> Iterator[Step]:
        yield from self._deliveries()
        if self.budget.writes:
            yield from self._writes()
        if self.budget.foreign:
            for event in (*self.pending, *self.seen):
                yield f"the predecessor takes {_event_name(event)}", partial(Node._foreign, event=event)
        if self.budget.losses:
            for event in self.pending:
                yield f"lose {_event_name(event)}", partial(Node._lose, event=event)

    def _deliveries(self) -> Iterator[Step]:
        for event in self.pending:
            yield f"deliver {_event_name(event)}", partial(Node._deliver, event=event)
        if self.budget.repeats:
            for event in self.seen:
                yield f"deliver again {_event_name(event)}", partial(Node._repeat, event=event)

    def _meetings(self, name: str, other: Callable[["Node"], None]) -> Iterator["Node"]:
        """The step while another worker loads, between state and documents, or before that worker commits."""
        for event in self.pending:
            if name == f"deliver {_event_name(event)}":
                continue
            for within_load in (True, False):
                when = "while it loads" if within_load else "before it commits"
                node = self._copy(f"deliver {_event_name(event)}, {when}: {name}")
                node.budget = replace(node.budget, meetings=node.budget.meetings - 1)
                node._deliver(event, InterruptedStore(node.store, partial(other, node), within_load=within_load))
                yield node

    def _writes(self) -> Iterator[Step]:
        document = self._conversation()
        for name, _ in conversation_writes(document, self.budget.conversation_kinds):
            yield f"conversation: {name}", partial(Node._write_conversation, name=name)
        item = self._item_document()
        if item is None:
            if self.budget.creations:
                for knew in self._knowable():
                    yield f"new work-item, knows {knew}", partial(Node._create, knew=knew)
            return
        knowable: list[int | None] = [*self._knowable(), *([None] if self.budget.silent else [])]
        for name, _ in work_item_writes(item, self.budget.work_item_kinds):
            for read in knowable:
                yield f"work-item: {name}, knows {read}", partial(Node._write_item, name=name, knew=read)

    def _knowable(self) -> Sequence[int]:
        now = self._conversation()["rev"]
        return range(self.start_rev, now + 1) if self.budget.late else (now,)

    # Taking a step

    def _write_conversation(self, name: str) -> None:
        before = self._conversation()
        found = dict(conversation_writes(before, (name,)))
        if name not in found:
            return
        self.store.put_conversation(found[name])
        self._tell(event_of_write(before, found[name]))

    def _write_item(self, name: str, knew: int | None) -> None:
        before = self._item_document()
        found = dict(work_item_writes(before, (name,))) if before is not None else {}
        if name not in found:
            return
        self.store.put_work_item(found[name])
        self._tell(event_of_write(before, found[name], knew=knew), knew)

    def _touch(self) -> None:
        before = self._conversation()
        after = updated_conversation_document(before, {}, now=NOW)
        self.store.put_conversation(after)
        event = event_of_write(before, after)
        self.pending = (event,)
        self._deliver(event)

    def _create(self, knew: int) -> None:
        if self._item_document() is not None:
            return
        number = len(self.store.documents(Collection.WORK_ITEMS)) + 1
        document = work_item_created(C, number, knew)
        self.store.put_work_item(document)
        self.history = replace(self.history, work_item={})
        self._tell(event_of_write(None, document, knew=knew), knew)

    def _tell(self, event: Event, knew: int | None = None) -> None:
        self.budget = replace(self.budget, writes=self.budget.writes - 1)
        self.outside += 1
        self.pending = (*self.pending, event)
        document = self._conversation() if event.side == "conversation" else self.store.work_item(event.document_id)
        assert document is not None
        self.history = with_outside_write(self.history, event, document, knew)
        if self.without_lost is not None:
            self.without_lost = with_outside_write(self.without_lost, event, document, knew)

    def _deliver(self, event: Event, meeting: InterruptedStore | None = None) -> None:
        if event not in self.pending:
            return
        self.pending = tuple(each for each in self.pending if each is not event)
        self.seen = (*self.seen, event)
        ends = run_to_end(self._handler(meeting or self.store).handle([event]))
        if isinstance(ends[0].outcome, Retry):
            self.pending = (*self.pending, event)
        self._count_syncs()

    def _repeat(self, event: Event) -> None:
        self.budget = replace(self.budget, repeats=self.budget.repeats - 1)
        run_to_end(self._handler(self.store).handle([event]))
        self._count_syncs()

    def _lose(self, event: Event) -> None:
        self.budget = replace(self.budget, losses=self.budget.losses - 1)
        self.lost = True
        self.pending = tuple(each for each in self.pending if each is not event)
        without = self.without_lost or self.history
        if event.side == "work-item":
            self.without_lost = with_unknown_knew(without, event)
        else:
            self.without_lost = without
            self.unsure = event.changed_fields

    def _foreign(self, event: Event) -> None:
        """The predecessor handles the event."""
        self.budget = replace(self.budget, foreign=self.budget.foreign - 1)
        item = self._item_document()
        if item is None:
            return
        for before, after in predecessors_writes(event, self._conversation(), item):
            put = self.store.put_conversation if after["type"] == "conversation" else self.store.put_work_item
            put(after)
            sync = event_of_write(before, after, sync=True)
            self.pending = (*self.pending, sync)
            self.history = with_overwritten_values(self.history, sync, after)

    def _count_syncs(self) -> None:
        entries = self.store.documents(Collection.OUTBOX)
        self.syncs += len(entries)
        self.announced = (*self.announced, *(entry["message"] for entry in entries))
        run_to_end(self.store.remove_entries([entry["_id"] for entry in entries]))

    # Parts

    def _handler(self, store: Store, at: datetime = NOW) -> BatchHandler:
        return BatchHandler(store=store, clock=FixedClock(at), ids=AnyIds(), chance=NoJitter(), options=self.options)

    def _copy(self, step: str) -> "Node":
        return Node(
            store=self.store.copy(),
            options=self.options,
            budget=self.budget,
            start_rev=self.start_rev,
            known=self.known,
            pending=self.pending,
            seen=self.seen,
            history=self.history,
            outside=self.outside,
            syncs=self.syncs,
            announced=self.announced,
            lost=self.lost,
            without_lost=self.without_lost,
            unsure=self.unsure,
            steps=(*self.steps, step),
        )

    def _conversation(self) -> Document:
        document = self.store.conversation(C)
        assert document is not None
        return document

    def _item_document(self) -> Document | None:
        return next((item for item in self.store.documents(Collection.WORK_ITEMS) if item["active"]), None)

    def _item(self) -> WorkItem | None:
        """The pair's work-item: the active one, else the latest."""
        items = sorted(
            self.store.documents(Collection.WORK_ITEMS), key=lambda item: (item["active"], item["workItemNumber"])
        )
        return work_item_of(items[-1]) if items else None


def _event_name(event: Event) -> str:
    sync = " (sync)" if event.is_sync else ""
    return f"{event.document_id} {event.rev}{sync}"


def _event_of(message: str) -> Event:
    event = read_message(message)
    assert isinstance(event, Event)
    return event
