"""The services outside in the simulation: they read, think, and write later; what is true is noted as they write."""

from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from msgspec.structs import replace

from commands.instant import format_instant
from commands.session import Session, apply_moves, move_between
from commands.work_item import WorkItem
from handlers.documents.document import document_from_snapshot
from handlers.documents.nouns import conversation_of, updated_conversation_document, work_item_of
from handlers.events.event import Event
from handlers.ports import Document
from sync.contract import FieldHistory, violations
from sync.conversation import Field
from tests.causality.outside import (
    CONVERSATION_WRITES,
    WORK_ITEM_WRITES,
    conversation_writes,
    noted,
    told,
    without_knowledge,
    without_knowledge_of,
    work_item_created,
    work_item_writes,
)
from tests.causality.queue_and_store import UnreliableQueue
from tests.causality.tally import Dials, Tally
from tests.causality.virtual_time import VirtualTime
from worker.store.memory import MemoryStore

USERS: Final = ("u1", "u2")
_CONVERSATION_KINDS: Final = tuple(CONVERSATION_WRITES)
_WORK_ITEM_KINDS: Final = tuple(WORK_ITEM_WRITES)


@dataclass(slots=True)
class Case:
    """What is true of one conversation. `without_lost`: the same, but for what a lost event's write knew; `unsure`: the
    fields that lost events of the conversation changed, of which nobody can say when."""

    key: str
    history: FieldHistory = field(default_factory=FieldHistory)
    without_lost: FieldHistory | None = None
    unsure: frozenset[Field] = frozenset()
    writes: int = 0
    lost_some: bool = False
    items: int = 0
    items_heard_of: int = 0


@dataclass(slots=True, kw_only=True)
class Services:
    """All of them, on their conversations."""

    dials: Dials
    random: Random
    time: VirtualTime
    store: MemoryStore
    queue: UnreliableQueue
    tally: Tally
    cases: dict[str, Case] = field(default_factory=dict)
    writing: int = 0

    def begin(self) -> None:
        """Agents come to work, conversations begin, writers set out."""
        for user in USERS:
            self.store.put_session(Session(id=f"s-{user}", user=user, capacity=1_000))
        for number in range(self.random.randint(*self.dials.conversations)):
            self._open(f"c{number}")

    def write_once_more(self) -> None:
        """Of a pair that lost an event somebody hears again: the poll looks at nobody of whom nobody asks any more."""
        for case in self.cases.values():
            if case.lost_some:
                before = self.conversation(case.key)
                after = updated_conversation_document(before, {}, now=self.time.now())
                self.store.put_conversation(after)
                self.queue.send(told(before, after))

    def wrong(self, case: Case) -> list[str]:
        """What is broken of the contract, all being quiet."""
        conversation, item = conversation_of(self.conversation(case.key)), self._pair_item(case)
        broken = violations(case.history, conversation, item)
        if case.without_lost is not None:
            history = without_knowledge_of(case.without_lost, case.unsure)
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
        case = self.cases[key] = Case(key)
        self.tally.conversations += 1
        attributes: dict[str, Any] = {"rev": 1, "status": "open", "assignedUsers": [], "ended": False}
        attributes["updatedAt"] = format_instant(self.time.now())
        data = {"id": key, "type": "conversation", "attributes": attributes, "relationships": {}}
        document = document_from_snapshot(data, org="org", rev=1)
        self.store.put_conversation(document)
        self.queue.send(told(None, document))
        for _ in range(self.random.randint(*self.dials.writes)):
            self.writing += 1
            work = self._write_conversation(case) if self.random.random() < 0.5 else self._write_item(case)
            self.time.begin(work, after_s=self.random.random() * self.dials.writing_s)

    async def _write_conversation(self, case: Case) -> None:
        before = self.conversation(case.key)
        choices = list(conversation_writes(before, _CONVERSATION_KINDS, self.time.now()))
        if choices:
            _, after = self.random.choice(choices)
            self.store.put_conversation(after)
            self._wrote(case, told(before, after), after)
        self.writing -= 1

    async def _write_item(self, case: Case) -> None:
        """Reads the conversation, thinks, and writes the work-item as it is by then."""
        knew = self.conversation(case.key)["rev"]
        await self.time.sleep(self.random.random() * self.dials.reading_late_s)
        before = self._active(case)
        if before is None:
            self._create(case, knew)
        else:
            self._update(case, before, knew)
        self.writing -= 1

    def _create(self, case: Case, knew: int) -> None:
        case.items += 1
        after = work_item_created(case.key, case.items, knew, self.time.now(), key=f"{case.key}-w{case.items}")
        case.history = replace(case.history, work_item={})
        case.without_lost = None if case.without_lost is None else replace(case.without_lost, work_item={})
        self.store.put_work_item(after)
        self._wrote(case, told(None, after, knew=knew), after, knew)

    def _update(self, case: Case, before: Document, knew: int) -> None:
        sessions = {session.id: session for session in self.sessions()}
        choices = list(work_item_writes(before, _WORK_ITEM_KINDS, self.time.now(), sessions))
        if not choices:
            return
        _, after = self.random.choice(choices)
        self.store.put_work_item(after)
        move = move_between(work_item_of(before), work_item_of(after))
        for session in apply_moves(sessions, [move] if move else []).values():
            self.store.put_session(session)
        self._wrote(case, told(before, after, knew=knew), after, knew)

    def _wrote(self, case: Case, event: Event, after: Document, knew: int | None = None) -> None:
        case.writes += 1
        self.tally.outside += 1
        case.history = noted(case.history, event, after, knew)
        if case.without_lost is not None:
            case.without_lost = noted(case.without_lost, event, after, knew)
        if self.random.random() >= self.dials.lost:
            self.queue.send(event)
            if event.side == "work-item":
                case.items_heard_of = case.items
            return
        self.tally.lost += 1
        case.lost_some = True
        case.without_lost = case.without_lost or case.history
        if event.side == "work-item":
            case.without_lost = without_knowledge(case.without_lost, event)
        else:
            case.unsure |= event.fields

    def _active(self, case: Case) -> Document | None:
        last = self.store.work_item(f"{case.key}-w{case.items}")
        return last if last is not None and last["active"] else None

    def _pair_item(self, case: Case) -> WorkItem | None:
        """The latest; but of a completed one of which no event ever came nobody can know."""
        last = self.store.work_item(f"{case.key}-w{case.items}")
        unheard = case.items > case.items_heard_of
        return None if last is None or (unheard and not last["active"]) else work_item_of(last)
