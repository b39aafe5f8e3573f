"""The outside services of the simulation: they read, wait, and write; each write is noted in the history."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any, Final

import orjson
from msgspec.structs import replace

from commands.session import Session, apply_moves, move_between
from commands.work_item import Status
from handlers.documents.document import document_from_snapshot
from handlers.documents.document_mapping import work_item_of
from handlers.events.event import Event
from handlers.events.parser import read_object
from handlers.ports import Document, Plan
from sync.contract import FieldHistory
from sync.conversation import Field
from tests.causality.outside import published_event, with_outside_write, with_unknown_knew, work_item_created
from tests.causality.simulation.simulated_queue import SimulatedQueue
from tests.causality.simulation.tally import SimulationSettings, Tally
from tests.causality.simulation.weather import Trouble, Weather
from tests.causality.virtual_time import VirtualTime, Work
from worker.store.memory.store import MemoryStore

USERS: Final = ("u1", "u2")


@dataclass(slots=True)
class ConversationRecord:
    """The outside writes of one conversation.

    - `without_lost`: the history in which the writes of lost events do not say what they knew.
    - `unsure`: the fields that lost events of the conversation changed, each with the lowest revision of such an event.
    - `creation_lost`: the conversation's values before its changes may be unknown.
    - `at_done`: the history and the users and queue of the conversation at its only outside write of `done`.
    - `noted_before_deletion`: the state had noted a stored revision of the conversation when it was removed. Without
      that a late event cannot be told from the first one of a conversation that is not stored yet.
    - `made_by_workers`: the ids of the work-items that the workers created, by number.
    - `wrapped_nobody`: an outside write left the work-item in wrap-up without an agent.
    """

    key: str
    story: str
    history: FieldHistory = field(default_factory=FieldHistory)
    without_lost: FieldHistory | None = None
    unsure: dict[Field, int] = field(default_factory=dict)
    writes: int = 0
    lost_some: bool = False
    creation_lost: bool = False
    existed: bool = False
    items: int = 0
    items_announced: int = 0
    hard_deleted: bool = False
    noted_before_deletion: bool = False
    last_rev: int = 0
    at_done: tuple[FieldHistory, Document] | None = None
    dones: int = 0
    wrote_item_after_done: bool = False
    wrapped_nobody: bool = False
    made_by_workers: dict[int, str] = field(default_factory=dict)

    @property
    def item_key(self) -> str:
        return self.made_by_workers.get(self.items) or f"{self.key}-w{self.items}"


@dataclass(slots=True, kw_only=True)
class SimulatedServices:
    """All outside services, with their conversations. `writing`: how many of their stories have not ended."""

    settings: SimulationSettings
    weather: Weather
    random: Random
    time: VirtualTime
    store: MemoryStore
    queue: SimulatedQueue
    tally: Tally
    cases: dict[str, ConversationRecord] = field(default_factory=dict)
    writing: int = 0
    heard: Callable[[str, Mapping[str, Any]], None] = lambda _key, _event: None
    """Called with each event that anybody publishes, outside services and workers, and its conversation."""

    def begin(self, story: Work, *, after_s: float = 0.0) -> None:
        """Start a story's coroutine; the run goes on until it ends."""
        self.writing += 1
        self.time.begin(self._counted(story), after_s=after_s)

    async def _counted(self, story: Work) -> None:
        await story
        self.writing -= 1

    # Reading

    def conversation(self, case: ConversationRecord) -> Document | None:
        return self.store.conversation(case.key)

    def active_item(self, case: ConversationRecord) -> Document | None:
        last = self.store.work_item(case.item_key)
        return last if last is not None and last["active"] else None

    def sessions(self) -> dict[str, Session]:
        found = (self.store.session(f"s-{user}") for user in USERS)
        return {session.id: session for session in found if session is not None}

    def conversation_now(self) -> datetime:
        """The time by the clock of the conversations' owner."""
        return self.time.now() + self.weather.conversation_clock

    def item_now(self) -> datetime:
        """The time by the clock of the work-items' owner."""
        return self.time.now() + self.weather.work_item_clock

    # Writing

    def wrote_conversation(self, case: ConversationRecord, before: Document | None, after: Document) -> None:
        """Store the conversation's write and announce it."""
        self.store.put_conversation(after)
        self._wrote(case, published_event(before, after), after)

    def delete_hard(self, case: ConversationRecord) -> None:
        """Remove the conversation from the store, then announce the deletion with the last snapshot."""
        before = self.conversation(case)
        if before is None:
            return
        case.hard_deleted = True
        case.noted_before_deletion = self.store.state(case.key).conversation_rev > 0
        rev = before["rev"] + 1
        attributes = {**before["attributes"], "rev": rev}
        last = {**before, "rev": rev, "attributes": attributes}
        self.store.remove_conversation(case.key)
        marked = {**last, "attributes": {**attributes, "deleted": True}}
        self._wrote(case, {**published_event(before, last), "name": "kustomer.conversation.delete"}, marked)

    def wrote_item(self, case: ConversationRecord, before: Document, after: Document, knew: int) -> None:
        """Store the update of the work-item, with its place on the sessions, and announce it."""
        self.store.put_work_item(after)
        move = move_between(work_item_of(before), work_item_of(after))
        for session in apply_moves(self.sessions(), [move] if move else []).values():
            self.store.put_session(session)
        item = work_item_of(after)
        case.wrapped_nobody |= item.status is Status.WRAP_UP and item.assigned_to is None
        unsaid = self.weather.has(Trouble.UNSAID) and self.random.random() < self.settings.unsaid
        said = None if unsaid else knew
        self._wrote(case, published_event(before, after, knew=said), after, said)

    def workers_wrote(self, plan: Plan) -> None:
        """Note and announce the outside writes that a worker has committed: it created, un-assigned or queued."""
        for announcement in plan.announcements:
            published = orjson.loads(announcement.message)["body"]
            event = read_event(published)
            if event.is_sync:
                self.heard(plan.conversation_id, published)
                continue
            case = self.cases[plan.conversation_id]
            if event.creation:
                self._begin_item(case)
                case.made_by_workers[case.items] = event.document_id
            after = document_from_snapshot(event.data, org=event.org, rev=event.rev)
            self._wrote(case, published, after, event.known_conversation_rev)

    def _begin_item(self, case: ConversationRecord) -> None:
        case.items += 1
        case.history = replace(case.history, work_item={})
        case.without_lost = None if case.without_lost is None else replace(case.without_lost, work_item={})

    def create_item(self, case: ConversationRecord, knew: int) -> None:
        """Make the conversation's next work-item, in ivr."""
        self._begin_item(case)
        after = work_item_created(case.key, case.items, knew, self.item_now(), key=case.item_key)
        self.store.put_work_item(after)
        self._wrote(case, published_event(None, after, knew=knew), after, knew)

    def _wrote(
        self, case: ConversationRecord, published: Mapping[str, Any], after: Document, knew: int | None = None
    ) -> None:
        event = read_event(published)
        self.heard(case.key, published)
        case.writes += 1
        self.tally.outside += 1
        case.history = with_outside_write(case.history, event, after, knew)
        if case.without_lost is not None:
            case.without_lost = with_outside_write(case.without_lost, event, after, knew)
        if event.side == "conversation":
            case.last_rev = event.rev
            if "status" in (event.changed_fields or ()) and after["attributes"]["status"] == "done":
                case.dones += 1
                case.at_done = None if self.active_item(case) is None else (case.history, after)
                case.wrote_item_after_done = False
        else:
            case.wrote_item_after_done = True
        self._announce(case, event, published)

    def _announce(self, case: ConversationRecord, event: Event, published: Mapping[str, Any]) -> None:
        if self.weather.has(Trouble.EVENTS_LOST) and self.random.random() < self.settings.lost:
            self.tally.lost += 1
            case.lost_some = True
            self._forget(case, event)
            if self.random.random() < 0.3:
                self.queue.send(event, after_s=self.weather.calm_from_s * self.random.random(), redriven=True)
            return
        if event.side == "work-item":
            case.items_announced = case.items
        bare = self.weather.has(Trouble.NO_CHANGES) and self.random.random() < self.settings.no_changes
        if bare and not event.creation and not event.deletion:
            self._forget(case, event)
            event = read_event({**published, "changes": None})
        self.queue.publish(event)
        if self.weather.has(Trouble.REDRIVES) and self.random.random() < 0.1:
            again_s = self.weather.calm_from_s * self.random.random()
            self.queue.send(event, after_s=again_s, receives=self.random.choice((0, 0, 4)), redriven=True)

    def _forget(self, case: ConversationRecord, event: Event) -> None:
        """Nobody is told what the event's write changed."""
        case.without_lost = case.without_lost or case.history
        if event.side == "work-item":
            case.without_lost = self._untold(case, event)
        else:
            case.creation_lost |= event.creation
            for name in event.changed_fields or ():
                case.unsure.setdefault(name, event.rev)

    def _untold(self, case: ConversationRecord, event: Event) -> FieldHistory:
        """The history without what the work-item's event says.

        Where no event told the conversation's values before, nothing else may be known: then it may keep its values.
        """
        assert case.without_lost is not None
        if not case.existed and not case.creation_lost:
            return with_unknown_knew(case.without_lost, event)
        told = {name: wrote for name, wrote in case.without_lost.work_item.items() if wrote.rev != event.rev}
        return replace(case.without_lost, work_item=told)


def read_event(published: Mapping[str, Any]) -> Event:
    """The event that is published so."""
    event = read_object(dict(published))
    assert isinstance(event, Event), event
    return event
