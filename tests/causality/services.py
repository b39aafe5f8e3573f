"""The outside services of the simulation: they read, wait, and write; each write is noted in the history."""

from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from msgspec.structs import replace

from commands.instant import format_instant
from commands.session import Session, apply_moves, move_between
from commands.work_item import WorkItem
from handlers.documents.document import document_from_snapshot
from handlers.documents.document_mapping import conversation_of, updated_conversation_document, work_item_of
from handlers.events.event import Event
from handlers.ports import Document
from sync.contract import FieldHistory, violations
from sync.conversation import Field
from tests.causality.outside import (
    CONVERSATION_WRITES,
    WORK_ITEM_WRITES,
    conversation_writes,
    event_of_write,
    with_outside_write,
    with_unknown_knew,
    with_unknown_knew_of_fields,
    work_item_created,
    work_item_writes,
)
from tests.causality.queue_and_store import UnreliableQueue
from tests.causality.tally import SimulationSettings, Tally
from tests.causality.virtual_time import VirtualTime
from worker.store.memory import MemoryStore

USERS: Final = ("u1", "u2")
_CONVERSATION_KINDS: Final = tuple(CONVERSATION_WRITES)
_WORK_ITEM_KINDS: Final = tuple(WORK_ITEM_WRITES)


@dataclass(slots=True)
class ConversationRecord:
    """The outside writes of one conversation. `without_lost`: the history in which the writes of lost events do not say
    what they knew. `unsure`: the fields that lost events of the conversation changed at an unknown time."""

    key: str
    history: FieldHistory = field(default_factory=FieldHistory)
    without_lost: FieldHistory | None = None
    unsure: frozenset[Field] = frozenset()
    writes: int = 0
    lost_some: bool = False
    items: int = 0
    items_announced: int = 0


@dataclass(slots=True, kw_only=True)
class Services:
    """All outside services, with their conversations."""

    dials: SimulationSettings
    random: Random
    time: VirtualTime
    store: MemoryStore
    queue: UnreliableQueue
    tally: Tally
    cases: dict[str, ConversationRecord] = field(default_factory=dict)
    writing: int = 0

    def begin(self) -> None:
        """Store the sessions and the conversations, and start the writers."""
        for user in USERS:
            self.store.put_session(Session(id=f"s-{user}", user=user, capacity=1_000))
        for number in range(self.random.randint(*self.dials.conversations)):
            self._open(f"c{number}")

    def write_once_more(self) -> None:
        """Write each conversation that lost an event once more: the poll takes only pairs that wait for an event."""
        for case in self.cases.values():
            if case.lost_some:
                before = self.conversation(case.key)
                after = updated_conversation_document(before, {}, now=self.time.now())
                self.store.put_conversation(after)
                self.queue.send(event_of_write(before, after))

    def wrong(self, case: ConversationRecord) -> list[str]:
        """The broken promises of a conversation, once all events are handled."""
        conversation, item = conversation_of(self.conversation(case.key)), self._pair_item(case)
        broken = violations(case.history, conversation, item)
        if case.without_lost is not None:
            history = with_unknown_knew_of_fields(case.without_lost, case.unsure)
            without = {each.field for each in violations(history, conversation, item)}
            broken = tuple(each for each in broken if each.field in without)
        said = [f"{each.point} {each.field}: {each.expected!r} expected, {each.found!r} found" for each in broken]
        if self.store.state(case.key).waiting_since is not None:
            said.append("a field still waits")
        return said

    def conversation(self, key: str) -> Document:
        document = self.store.conversation(key)
        assert document is not None
        return document

    def sessions(self) -> list[Session]:
        return [session for user in USERS if (session := self.store.session(f"s-{user}")) is not None]

    def _open(self, key: str) -> None:
        case = self.cases[key] = ConversationRecord(key)
        self.tally.conversations += 1
        attributes: dict[str, Any] = {"rev": 1, "status": "open", "assignedUsers": [], "ended": False}
        attributes["updatedAt"] = format_instant(self.time.now())
        data = {"id": key, "type": "conversation", "attributes": attributes, "relationships": {}}
        document = document_from_snapshot(data, org="org", rev=1)
        self.store.put_conversation(document)
        self.queue.send(event_of_write(None, document))
        for _ in range(self.random.randint(*self.dials.writes)):
            self.writing += 1
            work = self._write_conversation(case) if self.random.random() < 0.5 else self._write_item(case)
            self.time.begin(work, after_s=self.random.random() * self.dials.writing_s)

    async def _write_conversation(self, case: ConversationRecord) -> None:
        before = self.conversation(case.key)
        choices = list(conversation_writes(before, _CONVERSATION_KINDS, self.time.now()))
        if choices:
            _, after = self.random.choice(choices)
            self.store.put_conversation(after)
            self._wrote(case, event_of_write(before, after), after)
        self.writing -= 1

    async def _write_item(self, case: ConversationRecord) -> None:
        """Read the conversation, wait, and write the work-item as it is stored by then."""
        knew = self.conversation(case.key)["rev"]
        await self.time.sleep(self.random.random() * self.dials.reading_late_s)
        before = self._active(case)
        if before is None:
            self._create(case, knew)
        else:
            self._update(case, before, knew)
        self.writing -= 1

    def _create(self, case: ConversationRecord, knew: int) -> None:
        case.items += 1
        after = work_item_created(case.key, case.items, knew, self.time.now(), key=f"{case.key}-w{case.items}")
        case.history = replace(case.history, work_item={})
        case.without_lost = None if case.without_lost is None else replace(case.without_lost, work_item={})
        self.store.put_work_item(after)
        self._wrote(case, event_of_write(None, after, knew=knew), after, knew)

    def _update(self, case: ConversationRecord, before: Document, knew: int) -> None:
        sessions = {session.id: session for session in self.sessions()}
        choices = list(work_item_writes(before, _WORK_ITEM_KINDS, self.time.now(), sessions))
        if not choices:
            return
        _, after = self.random.choice(choices)
        self.store.put_work_item(after)
        move = move_between(work_item_of(before), work_item_of(after))
        for session in apply_moves(sessions, [move] if move else []).values():
            self.store.put_session(session)
        self._wrote(case, event_of_write(before, after, knew=knew), after, knew)

    def _wrote(self, case: ConversationRecord, event: Event, after: Document, knew: int | None = None) -> None:
        case.writes += 1
        self.tally.outside += 1
        case.history = with_outside_write(case.history, event, after, knew)
        if case.without_lost is not None:
            case.without_lost = with_outside_write(case.without_lost, event, after, knew)
        if self.random.random() >= self.dials.lost:
            self.queue.send(event)
            if event.side == "work-item":
                case.items_announced = case.items
            return
        self.tally.lost += 1
        case.lost_some = True
        case.without_lost = case.without_lost or case.history
        if event.side == "work-item":
            case.without_lost = with_unknown_knew(case.without_lost, event)
        else:
            case.unsure |= event.changed_fields

    def _active(self, case: ConversationRecord) -> Document | None:
        last = self.store.work_item(f"{case.key}-w{case.items}")
        return last if last is not None and last["active"] else None

    def _pair_item(self, case: ConversationRecord) -> WorkItem | None:
        """The latest work-item; None where it is completed and none of its events was ever sent."""
        last = self.store.work_item(f"{case.key}-w{case.items}")
        unannounced = case.items > case.items_announced
        return None if last is None or (unannounced and not last["active"]) else work_item_of(last)
