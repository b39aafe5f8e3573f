"""One state of the world, what it must keep, and every act that leads out of it, by the worker's own handlers on its
in-memory store.

There is no clock. Acts come one after the other, and the number of acts so far is the time, of SQS too: an event is
sent by the act that writes it, and a pair waits since the act that decided it. So the watermark is an adversary's: it
may pass whatever was sent before the oldest event that is neither delivered nor lost, and a poll may come at any time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace as with_changes

from commands.work_item import Status, WorkItem
from handlers.batch_handler import BatchHandler
from handlers.documents.document import document_from_snapshot
from handlers.documents.document_mapping import conversation_of, work_item_of
from handlers.events.event import Event
from handlers.options import Options
from handlers.outcome import Retry
from handlers.ports import Document, Store
from handlers.routing.queue_rules import QueueRules
from sync.contract import sync_writes_max
from sync.conversation import Conversation, ConversationStatus
from sync.state.agreement import shared_values
from sync.state.sync_state import Waiting, for_pair
from tests.causality.outside import (
    NOW,
    ChangesForm,
    conversation_writes,
    event_of_removal,
    event_of_write,
    touched,
    work_item_created,
    work_item_writes,
)
from tests.causality.ports import AnyIds, FixedClock, InterruptedStore, NoJitter, run_to_end
from tests.causality.search.acts import ActClock, C, event_of, time_of, without_conversation
from tests.causality.search.budget import Budget
from tests.causality.search.keys import conversation_key, event_key, state_key, version_key, work_item_key
from tests.causality.search.record import OutsideHistory
from worker.store.documents import Collection
from worker.store.memory.store import MemoryStore

_POLLS_MAX: Final = 4
"""So many polls end every waiting where no event is on its way: each one closes what the one before it noted."""


class SentEvent(Struct, frozen=True):
    """An event that is neither delivered nor lost, and the act by which it was sent."""

    event: Event
    at: int


@dataclass(slots=True, kw_only=True)
class Node:
    """A state of the world.

    - `known`: the start's revisions are observed.
    - `services_now`: the time that the services write into their documents.
    - `form`: the form of the changes in the services' events.
    - `pending`: events that are neither delivered nor lost. `seen`: delivered events.
    - `removed`: the conversation as it was removed from the store. `removed_unnoted`: the sync state had noted no
      revision of it by then, so an older event is its first sight and stores it.
    - `queue_rules`: for a worker that queues by rules.
    - `closed_rev`: the revision at which the conversation was closed; None while it is open.
    - `overstayed`: a pair waited on although the watermark had passed the time since which it waits.
    - `steps`: the steps that led here.
    """

    store: MemoryStore
    options: Options
    budget: Budget
    writes: OutsideHistory
    known: bool = True
    services_now: datetime = NOW
    form: ChangesForm = "those that changed"
    instant: int = 0
    pending: tuple[SentEvent, ...] = ()
    seen: tuple[Event, ...] = ()
    queue_rules: QueueRules | None = None
    closed_rev: int | None = None
    syncs: int = 0
    announced: tuple[str, ...] = ()
    lost: bool = False
    removed: Document | None = None
    removed_unnoted: bool = False
    overstayed: bool = False
    steps: tuple[str, ...] = ()

    # Reading the state

    def key(self) -> tuple[Any, ...]:
        """The node's key: nodes with the same key have the same future.

        Of the times only their order matters: which events were sent before the pair began to wait.
        """
        state = self.store.state(C)
        since = None if state.waiting is None else state.waiting.since
        return (
            conversation_key(self.conversation()),
            tuple(map(work_item_key, self.store.documents(Collection.WORK_ITEMS))),
            state_key(state),
            frozenset(
                (event_key(each.event), since is not None and time_of(each.at) <= since) for each in self.pending
            ),
            frozenset(map(event_key, self.seen)) if self.budget.repeats else None,
            self.budget,
            self.lost,
            self.writes.unsure,
            (self.writes.unaware, self.writes.closed_outside, self.writes.emptied),
            self.closed_rev,
            version_key(self.writes.written),
            None if self.writes.without_lost is None else version_key(self.writes.without_lost),
            (self.removed_unnoted, self.store.conversation(C) is not None) if self.removed else None,
            self.overstayed,
        )

    def quiet(self) -> bool:
        """True where no event is on its way; the budget may allow more acts."""
        return not self.pending

    def waits(self) -> bool:
        return self.store.state(C).waiting is not None

    def conversation(self) -> Document:
        document = self.removed or self.store.conversation(C)
        assert document is not None
        return document

    def active_item(self) -> Document | None:
        return next((item for item in self.store.documents(Collection.WORK_ITEMS) if item["active"]), None)

    def pair_item(self) -> WorkItem | None:
        """The pair's work-item: the active one, else the latest."""
        items = sorted(
            self.store.documents(Collection.WORK_ITEMS), key=lambda item: (item["active"], item["workItemNumber"])
        )
        return work_item_of(items[-1]) if items else None

    def knowable(self) -> Sequence[int]:
        """The conversation's revisions that a writer of the work-item may have read."""
        now = self.conversation()["rev"]
        return range(self.writes.start_rev, now + 1) if self.budget.late else (now,)

    # The end

    def settled(self) -> "Node":
        """The world once the watermark has passed everything.

        Where an event was lost, the pair may wait for nothing. Then the sweep looks at it.
        """
        node = self._polled_out()
        if self.lost:
            node = node.copy("the sweep looks")
            node._look()
            node = node._polled_out()
        return node

    def broken(self) -> Iterator[str]:
        """The broken promises of a settled state."""
        conversation = conversation_of(self.conversation())
        yield from self.writes.broken(conversation, self.pair_item(), all_unsure=not self.known)
        if self.waits():
            yield "0 waiting: a field waits for ever"
        if self.overstayed:
            yield "0 waiting: the watermark passed and the field waited on"
        if self.removed is not None and not self.removed_unnoted and self.store.conversation(C) is not None:
            yield "2 status: the removed conversation is stored again"
        yield from self._unrouted(conversation)
        if self._loops():
            yield f"3 loops: {self.syncs} syncs of {self.writes.count} writes"

    def _unrouted(self, conversation: Conversation) -> Iterator[str]:
        """What a worker that routes leaves undone, once it has heard of the conversation."""
        if self.removed is not None or not self.writes.count:
            return
        items = [work_item_of(item) for item in self.store.documents(Collection.WORK_ITEMS) if item["active"]]
        is_routable = conversation.status is ConversationStatus.OPEN and not conversation.ended
        if self.options.create_work_items and is_routable and not conversation.deleted and not items:
            yield "4 routing: an open conversation has no active work-item"
        unqueued = [item for item in items if item.status is Status.IVR and not item.queued_count]
        if self.options.queue_rules and unqueued:
            yield "4 routing: no queue rule has looked at an ivr work-item"

    def _loops(self) -> bool:
        """Whether syncs cause syncs: there are too many, or their events, handled as foreign ones, lead to another."""
        if self.syncs > sync_writes_max(self.writes.count):
            return True
        if not self.announced:
            return False
        node = self.copy("our own syncs come back")
        node.options = with_changes(self.options, own_syncs_stored=False)
        run_to_end(node._handler(node.store).handle([event_of(message) for message in self.announced]))
        return bool(node.store.documents(Collection.OUTBOX))

    def _polled_out(self) -> "Node":
        node = self
        for _ in range(_POLLS_MAX):
            if node.waits():
                node = node.copy("the poll looks")
                node.poll()
                while node.pending:
                    node.deliver([node.pending[0].event])
        return node

    # Acts: each changes this node

    def write_conversation(self, name: str) -> None:
        """An outside write of the conversation."""
        before = self.conversation()
        found = dict(conversation_writes(before, (name,), self.services_now))
        if name in found:
            self.store.put_conversation(found[name])
            self._tell(before, found[name])

    def touch_conversation(self) -> None:
        """A write of the conversation that changes no shared field."""
        before = self.conversation()
        after = touched(before, self.services_now)
        self.store.put_conversation(after)
        self._tell(before, after)

    def write_item(self, name: str, knew: int | None) -> None:
        """An outside write of the work-item, by a service that had read revision `knew` of the conversation."""
        before = self.active_item()
        found = {} if before is None else dict(work_item_writes(before, (name,), self.services_now))
        if name in found:
            self.store.put_work_item(found[name])
            self._tell(before, found[name], knew)

    def touch_item(self) -> None:
        """A write of the work-item that changes no shared field."""
        before = self.active_item()
        if before is not None:
            after = touched(before, self.services_now)
            self.store.put_work_item(after)
            self._tell(before, after)

    def create(self, knew: int) -> None:
        """A new work-item, made from the conversation's revision `knew`."""
        if self.active_item() is not None:
            return
        number = len(self.store.documents(Collection.WORK_ITEMS)) + 1
        document = work_item_created(C, number, knew, self.services_now)
        self.store.put_work_item(document)
        unaware = self.closed_rev is not None and knew < self.closed_rev
        self.writes = self.writes.after_creation(unaware=unaware and not self.budget.meetings)
        self._tell(None, document, knew)

    def remove(self) -> None:
        """The conversation's owner removes it from the store."""
        last = self.store.conversation(C)
        if last is None:
            return
        event = event_of_removal(last)
        removed = touched(last, self.services_now)
        self.removed = {**removed, "attributes": {**removed["attributes"], "deleted": True}}
        self.removed_unnoted = not self.store.state(C).conversation_rev
        self.store = without_conversation(self.store)
        self.budget = with_changes(self.budget, removals=self.budget.removals - 1)
        self.writes = self.writes.after_conversation(event, frozenset({"status"}), self.removed)
        self._send(event)

    def write_foreign_sync(self) -> None:
        """A sync of another deployment's, or of the predecessor's, that writes no shared field."""
        before = self.conversation()
        after = touched(before, self.services_now)
        self.store.put_conversation(after)
        self.budget = with_changes(self.budget, foreign=self.budget.foreign - 1)
        self._send(event_of_write(before, after, sync=True))

    def deliver(self, events: Sequence[Event], meeting: InterruptedStore | None = None) -> None:
        """Deliver the events in one batch."""
        delivered = [each for each in self.pending if any(each.event is event for event in events)]
        if len(delivered) < len(events):
            return
        if len(events) > 1:
            self.budget = with_changes(self.budget, batches=self.budget.batches - 1)
        self.instant += 1
        # A message that is being handled holds the watermark back: it is in flight until its commit.
        ends = run_to_end(self._handler(meeting or self.store).handle(events))
        done = {id(end.event) for end in ends if not isinstance(end.outcome, Retry)}
        self.pending = tuple(each for each in self.pending if id(each.event) not in done)
        self.seen = (*self.seen, *(each.event for each in delivered if id(each.event) in done))
        self._count_syncs()

    def deliver_again(self, event: Event) -> None:
        """Deliver an event a second time."""
        self.budget = with_changes(self.budget, repeats=self.budget.repeats - 1)
        self.instant += 1
        run_to_end(self._handler(self.store).handle([event]))
        self._count_syncs()

    def lose(self, event: Event) -> None:
        """Lose an event for good."""
        self.budget = with_changes(self.budget, losses=self.budget.losses - 1)
        self.lost = True
        self.pending = tuple(each for each in self.pending if each.event is not event)
        self.writes = self.writes.without(event, event.changed_fields or frozenset())

    def poll(self, meeting: InterruptedStore | None = None) -> None:
        """Poll with the latest watermark that there may be: the time of the oldest event on its way."""
        self.instant += 1
        watermark = min((time_of(each.at) for each in self.pending), default=time_of(self.instant))
        waited = self.store.state(C).waiting
        run_to_end(self._handler(meeting or self.store).close_gaps([C], watermark))
        self._count_syncs()
        if meeting is None and waited is not None and waited.since < watermark:
            left = self.store.state(C).waiting
            self.overstayed = self.overstayed or (left is not None and left.since <= waited.since)

    def _look(self) -> None:
        """Look at the pair in the sweep's place.

        Nothing is on its way, so every stored revision counts as observed. That is what a poll assumes of a pair that
        has waited since both documents had their stored revisions. So the pair is made to wait since now.
        """
        item, state = self.pair_item(), self.store.state(C)
        if item is not None:
            state = for_pair(state, item)
        conversation = conversation_of(self.conversation())
        waiting = Waiting(
            since=time_of(self.instant),
            conversation_rev=conversation.rev,
            work_item_rev=item.rev if item is not None and item.id == state.work_item else 0,
            values=shared_values(conversation),
        )
        self.store.put_state(C, with_changes(state, version=max(state.version, 1), waiting=waiting))

    # Parts

    def copy(self, step: str) -> "Node":
        return replace(self, store=self.store.copy(), steps=(*self.steps, step))

    def _tell(self, before: Document | None, after: Document, knew: int | None = None) -> None:
        """Note an outside write, and send its event."""
        self.budget = with_changes(self.budget, writes=self.budget.writes - 1)
        plain = event_of_write(before, after, knew=knew)
        changed = plain.changed_fields
        assert changed is not None, "the event names its changes"
        if plain.side == "conversation":
            self.writes = self.writes.after_conversation(plain, changed, after)
        else:
            done = self.closed_rev is not None
            self.writes = self.writes.after_work_item(plain, changed, after, knew, done=done)
        if self.form == "none" and before is not None:
            self.writes = self.writes.without(plain, changed)
        self._send(event_of_write(before, after, knew=knew, form=self.form))

    def _send(self, event: Event) -> None:
        self.instant += 1
        self._note_closed()
        self.pending = (*self.pending, SentEvent(event, self.instant))

    def _note_closed(self) -> None:
        conversation = conversation_of(self.conversation())
        closed = conversation.status is ConversationStatus.DONE
        self.closed_rev = (self.closed_rev or conversation.rev) if closed else None

    def _count_syncs(self) -> None:
        self._note_closed()
        entries = self.store.documents(Collection.OUTBOX)
        for entry in entries:
            event = event_of(entry["message"])
            if event.is_sync:
                self.syncs += 1
                self.announced = (*self.announced, entry["message"])
            else:
                self._note_own_write(event)
        run_to_end(self.store.remove_entries([entry["_id"] for entry in entries]))

    def _note_own_write(self, event: Event) -> None:
        """Note an outside write of the worker's own, whose event comes back through the queue."""
        after, changed = document_from_snapshot(event.data, org=event.org, rev=event.rev), event.changed_fields
        assert changed is not None, "the worker names its changes"
        if event.side == "conversation":
            self.writes = self.writes.after_conversation(event, changed, after)
        else:
            if event.creation:
                self.writes = self.writes.after_creation(unaware=False)
            knew, done = event.known_conversation_rev, self.closed_rev is not None
            self.writes = self.writes.after_work_item(event, changed, after, knew, done=done)
        self._send(event)

    def _handler(self, store: Store) -> BatchHandler:
        return BatchHandler(
            store=store,
            clock=FixedClock(),
            queue_clock=ActClock(lambda: self.instant),
            ids=AnyIds(100 * len(self.store.documents(Collection.WORK_ITEMS))),
            chance=NoJitter(),
            options=self.options,
            queue_rules=self.queue_rules,
        )
