"""The world of one story: a store, a clock, the services' writes, and the worker's handlers on the delivered events."""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import orjson
from msgspec.structs import replace

from commands.instant import format_instant
from commands.session import Session, apply_moves, move_between
from commands.work_item import WorkItem
from handlers.batch_handler import BatchHandler
from handlers.documents.document import document_from_snapshot
from handlers.documents.document_mapping import conversation_of, updated_conversation_document, work_item_of
from handlers.events.event import Event
from handlers.options import Options
from handlers.outcome import Retry
from handlers.ports import Document
from handlers.routing.queue_rules import QueueRules
from sync.contract import FieldHistory, sync_writes_max, violations
from sync.conversation import FIELDS, Conversation, Field
from sync.state.agreement import shared_values, work_item_values
from tests.causality.outside import (
    published_event,
    with_outside_write,
    work_item_created,
    work_item_updated,
)
from tests.causality.ports import AnyIds, NoJitter, run_to_end
from tests.causality.stories.story import CONVERSATION, Knew, Story, StoryWrite
from tests.handlers.small_ports import HandClock
from tests.handlers.wire_events import read
from worker.store.documents import Collection
from worker.store.memory.store import MemoryStore

_LONG: Final = timedelta(days=1)

Values = Mapping[str, Any]
"""What a person sees of a pair: values by the document's id and the field, such as `c assignee`, `w1 queue`."""

SharedFields = Mapping[tuple[str, Field], Any]
"""The shared fields by the document's id and name."""


@dataclass(slots=True, kw_only=True)
class PairWorld:
    """The state of a story. `revs`: the conversation's revision after each write, from the state before the first."""

    options: Options
    session_ids: tuple[str, ...] = ()
    store: MemoryStore = field(default_factory=MemoryStore)
    clock: HandClock = field(default_factory=HandClock)
    revs: tuple[int, ...] = ()
    history: FieldHistory = field(default_factory=FieldHistory)
    outside: int = 0
    syncs: int = 0
    queue_rules: QueueRules | None = None
    own: tuple[Event, ...] = ()
    """The events of the worker's own outside writes, not taken yet."""

    @classmethod
    def at_the_start(cls, story: Story, options: Options) -> "PairWorld":
        """The world before the first of the story's `writes`."""
        world = cls(
            options=options,
            session_ids=tuple(session.id for session in story.sessions),
            queue_rules=story.queue_rules,
        )
        for session in story.sessions:
            world.store.put_session(session)
        world.revs = (0,)
        for write in story.before:
            event = world.write(write)
            assert event is not None, write.what
            world.deliver([event])
            world.deliver_own()
        world.revs = (world.conversation_rev,)
        return world

    def copy(self) -> "PairWorld":
        """Another world in the same state."""
        other = copy(self)
        other.store = self.store.copy()
        other.clock = HandClock(self.clock.at)
        return other

    # The services

    def write(self, write: StoryWrite) -> Event | None:
        """The write's event; None where the service refuses the write or it would change nothing."""
        self.clock.at += timedelta(seconds=write.after_s)
        before = self._document(write.document)
        knew = self._knew(write)
        after = self._written(write, before, knew)
        if after is None:
            return None
        self._put(before, after)
        self.revs = (*self.revs, self.conversation_rev)
        raw = published_event(before, after, knew=None if write.creation else knew)
        event = read(raw)
        self.outside += 1
        if write.creation and not write.of_conversation:
            self.history = replace(self.history, work_item={})
        self.history = with_outside_write(self.history, event, after, knew)
        return read({**raw, "changes": None}) if write.without_changes else event

    def leave_out(self) -> None:
        """Go on without a write that its service refuses."""
        self.revs = (*self.revs, self.conversation_rev)

    # The worker

    def deliver(self, events: Sequence[Event]) -> bool:
        """Handle the events as one batch; False where one of them is to be delivered again."""
        ends = run_to_end(self._handler().handle(events))
        self._count_syncs()
        return not any(isinstance(end.outcome, Retry) for end in ends)

    def take_own(self) -> tuple[Event, ...]:
        """The events of the worker's own outside writes since the last call: they come back through the queue."""
        own, self.own = self.own, ()
        return own

    def deliver_own(self) -> None:
        """Deliver the events of the worker's own outside writes."""
        for event in self.take_own():
            self.deliver([event])

    def poll(self, lag: timedelta) -> None:
        """The gap poll, with a watermark so far behind the clock."""
        run_to_end(self._handler().close_gaps([CONVERSATION], watermark=self.clock.now() - lag))
        self._count_syncs()

    def poll_at_the_end(self) -> None:
        """The gap poll once the watermark has passed everything."""
        self.clock.at += _LONG
        self.poll(timedelta(0))

    # Reading the state

    @property
    def conversation_rev(self) -> int:
        """The stored revision; 0 before the conversation's creation."""
        document = self.store.conversation(CONVERSATION)
        return 0 if document is None else int(document["rev"])

    @property
    def conversation(self) -> Conversation:
        document = self.store.conversation(CONVERSATION)
        assert document is not None
        return conversation_of(document)

    def item(self, key: str) -> WorkItem:
        document = self.store.work_item(key)
        assert document is not None
        return work_item_of(document)

    def items(self) -> list[WorkItem]:
        """The work-items, the earliest first."""
        return [work_item_of(document) for document in self.store.documents(Collection.WORK_ITEMS)]

    def values(self) -> Values:
        """What a person sees of the pair; of a deleted conversation nothing but that."""
        seen: dict[str, Any] = {}
        document = self.store.conversation(CONVERSATION)
        if document is not None:
            shown = conversation_of(document)
            seen["c status"] = "deleted" if shown.deleted else shown.status.value
            if not shown.deleted:
                seen |= {"c assignee": shown.assigned_users, "c queue": shown.queue, "c ended": shown.ended}
        for item in self.items():
            name = f"w{item.number}"
            seen |= {f"{name} assignee": item.assigned_to, f"{name} queue": item.queue}
            seen |= {f"{name} status": item.status.value, f"{name} paused": item.paused}
        return seen

    def shared_fields(self) -> SharedFields:
        """Every shared field on either side, in one form; of a completed work-item its agent, queue and status."""
        seen: dict[tuple[str, Field], Any] = {}
        document = self.store.conversation(CONVERSATION)
        if document is not None:
            fields = shared_values(conversation_of(document))
            fields["assignee"] = next(iter(fields["assignee"]), None)
            fields["status"] = fields["status"] is not False
            seen |= {(CONVERSATION, name): value for name, value in fields.items()}
        for item in self.items():
            fields = work_item_values(item)
            names: tuple[Field, ...] = FIELDS if item.active else ("assignee", "queue", "status")
            seen |= {(f"w{item.number}", name): fields[name] for name in names}
        return seen

    def waits(self) -> bool:
        """True where a field waits for an event."""
        return self.store.state(CONVERSATION).waiting is not None

    def broken_promises(self) -> tuple[str, ...]:
        """What the contract says of the state (docs/rules.md, *The contract*)."""
        items = sorted(self.items(), key=lambda item: (item.active, item.number))
        broken = violations(self.history, self.conversation, items[-1] if items else None)
        said = [f"{each.point} {each.field}: {each.expected!r} expected, {each.found!r} found" for each in broken]
        if self.syncs > sync_writes_max(self.outside):
            said.append(f"3 loops: {self.syncs} syncs of {self.outside} writes")
        return tuple(said)

    # Parts

    def _written(self, write: StoryWrite, before: Document | None, knew: int | None) -> Document | None:
        now = self.clock.now() + timedelta(seconds=write.clock_error_s)
        if write.of_conversation:
            return _conversation_written(before, write.fields, format_instant(now), now)
        if write.creation:
            assert knew is not None, "a creation always says what it knew"
            if any(item.active for item in self.items()):
                return None
            made = work_item_created(CONVERSATION, len(self.items()) + 1, knew, now, key=write.document)
            return {**made, "attributes": {**made["attributes"], "resourceCreatedAt": format_instant(now)}}
        if before is None or not before["active"] or write.holder not in (None, work_item_of(before).assigned_to):
            return None
        if "priority" in write.fields:
            return _with_attributes(before, write.fields, format_instant(now))
        return work_item_updated(before, write.fields, now, self._sessions())

    def _knew(self, write: StoryWrite) -> int | None:
        if write.of_conversation or write.knew is Knew.UNSAID:
            return None
        return self.conversation_rev if write.knew is Knew.CURRENT else self.revs[write.knew]

    def _document(self, key: str) -> Document | None:
        return self.store.conversation(key) if key == CONVERSATION else self.store.work_item(key)

    def _put(self, before: Document | None, after: Document) -> None:
        if after["type"] == "conversation":
            self.store.put_conversation(after)
            return
        self.store.put_work_item(after)
        move = move_between(None if before is None else work_item_of(before), work_item_of(after))
        for session in apply_moves(self._sessions(), [move] if move else []).values():
            self.store.put_session(session)

    def _sessions(self) -> dict[str, Session]:
        found = (self.store.session(key) for key in self.session_ids)
        return {session.id: session for session in found if session is not None}

    def _handler(self) -> BatchHandler:
        return BatchHandler(
            store=self.store,
            clock=self.clock,
            ids=AnyIds(),
            chance=NoJitter(),
            options=self.options,
            queue_rules=self.queue_rules,
        )

    def _count_syncs(self) -> None:
        entries = self.store.documents(Collection.OUTBOX)
        for entry in entries:
            event = read(orjson.loads(entry["message"]))
            if event.is_sync:
                self.syncs += 1
            else:
                self._note_own_write(event)
        run_to_end(self.store.remove_entries([entry["_id"] for entry in entries]))

    def _note_own_write(self, event: Event) -> None:
        """Count an outside write of the worker's own as the services' are counted."""
        self.outside += 1
        self.own = (*self.own, event)
        if event.creation:
            self.history = replace(self.history, work_item={})
        after = document_from_snapshot(event.data, org=event.org, rev=event.rev)
        self.history = with_outside_write(self.history, event, after, event.known_conversation_rev)


def _conversation_written(before: Document | None, fields: Mapping[str, Any], at: str, now: Any) -> Document | None:
    wire = {**fields, "queue": {"id": fields["queue"]}} if "queue" in fields else dict(fields)
    if before is None:
        attributes = {"rev": 0, "status": "open", "assignedUsers": [], "ended": False}
        data = {"id": CONVERSATION, "type": "conversation", "attributes": attributes, "relationships": {}}
        return updated_conversation_document(document_from_snapshot(data, org="org", rev=0), wire, now=now)
    if conversation_of(before).deleted:
        return None
    after = updated_conversation_document(before, wire, now=now)
    attributes = {**before["attributes"], "rev": after["rev"], "updatedAt": at}
    same = attributes == after["attributes"] and before["relationships"] == after["relationships"]
    return None if same else after


def _with_attributes(before: Document, fields: Mapping[str, Any], at: str) -> Document:
    rev = before["rev"] + 1
    return {**before, "rev": rev, "attributes": {**before["attributes"], **fields, "rev": rev, "updatedAt": at}}
