"""The actors of a day: they carry out the script's steps as services and people outside do."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any, Final

from commands.instant import format_instant
from commands.session import Session
from handlers.documents.document import document_from_snapshot
from handlers.documents.relationships import QUEUE
from handlers.ports import Document
from tests.causality.outside import (
    conversation_written,
    published_event,
    touched,
    work_item_created,
    work_item_updated,
)
from tests.faults.day.http_clients import CRM_TOKEN, ROUTER_TOKEN, HttpClients
from tests.faults.day.lossy_subscriptions import is_lost
from tests.faults.day.outside_store import OutsideStore
from tests.faults.day.script import AGENTS, ActorStep, ConversationScript, DayScript, Shift
from tests.faults.load.document_writer import OutsideWrite, agent, now
from tests.faults.load.event_delivery import EventDelivery
from worker.store.documents import Collection

ORG: Final = "org"
_CAPACITY: Final = 50


@dataclass(slots=True, kw_only=True)
class Actors:
    """All actors of a day. `passed_over`: the steps that made no sense when their time came."""

    script: DayScript
    store: OutsideStore
    delivery: EventDelivery
    clients: HttpClients
    ids: Random
    written: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    """The outside writes of this side: by document and revision, the event that announces it."""
    removed: set[str] = field(default_factory=set)
    passed_over: int = 0

    async def run(self) -> None:
        """Live the day."""
        async with asyncio.TaskGroup() as tasks:
            for shift in self.script.shifts:
                tasks.create_task(self._shift(shift))
            for each in self.script.conversations:
                tasks.create_task(self._conversation(each))

    async def _conversation(self, script: ConversationScript) -> None:
        await asyncio.sleep(script.begin_s)
        life = _Life(script=script, chance=Random(script.seed), actors=self)
        await life.create()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(life.live_app())
            tasks.create_task(life.live_router())

    async def _shift(self, shift: Shift) -> None:
        await asyncio.sleep(shift.after_s)
        who = agent(shift.agent)
        present = await self.store.sessions(who)
        for session in present:
            await self.store.set_session(session, active=False)
        if not present:
            await self.store.add_session(session_document(who, f"session-{who}-{self.ids.getrandbits(32):x}"))

    def publish(
        self, before: Document | None, after: Document, *, known_rev: int | None, removal: bool = False
    ) -> None:
        """Announce a committed write."""
        event = published_event(before, after, knew=known_rev)
        event["id"] = f"{self.ids.getrandbits(96):024x}"
        if removal:
            event["name"] = "kustomer.conversation.delete"
        else:
            self.written[after["_id"], after["rev"]] = event
        self.delivery.deliver(event)


def was_lost(event: Mapping[str, Any]) -> bool:
    """Whether the subscription let an outside event not through. The message's id ends as the event's does."""
    return is_lost(event["id"])


def session_document(user: str, key: str) -> dict[str, Any]:
    """An active session, empty."""
    lists: dict[str, Any] = {"workItems": [], "pausedWorkItems": [], "pendingItem": None}
    return {"_id": key, "org": ORG, "user": user, "active": True, "capacity": _CAPACITY, **lists}


def first_sessions() -> list[dict[str, Any]]:
    """The sessions at the beginning of the day."""
    return [session_document(agent(number), f"session-{agent(number)}") for number in range(AGENTS)]


@dataclass(slots=True, kw_only=True)
class _Life:
    """One conversation's life. `seen`: the conversation's revisions that were written or read, the latest last."""

    script: ConversationScript
    chance: Random
    actors: Actors
    seen: list[int] = field(default_factory=list)
    ended: bool = False

    @property
    def _key(self) -> str:
        return self.script.key

    async def create(self) -> None:
        await self._write_conversation(self._created)
        if self.script.maker:
            await self._make_item()

    async def live_app(self) -> None:
        for step in self.script.app:
            await asyncio.sleep(step.after_s)
            if step.name == "remove":
                await self._remove()
            if self.ended:
                return
            await self._write_conversation(partial(self._edited, step))

    async def live_router(self) -> None:
        for step in self.script.router:
            await asyncio.sleep(step.after_s)
            item = await self.actors.store.latest_item(self._key)
            if item is None or (not item["active"] and step.name not in ("unknown id", "assign")):
                self.actors.passed_over += 1
            elif step.way == "event":
                await self._write_item(step, item["_id"])
            else:
                await self._send(step, item)

    # The app's side

    def _created(self, before: Document | None) -> OutsideWrite | None:
        script = self.script
        at = format_instant(now())
        attributes: dict[str, Any] = {
            "rev": 1,
            "status": "open",
            "assignedUsers": [] if script.user is None else [agent(script.user)],
            "ended": False,
            "channels": ["chat"],
            "tier": script.tier,
            "createdAt": at,
            "updatedAt": at,
        }
        relationships = {} if script.queue is None else {"queue": QUEUE.to(script.queue)}
        data = {"id": self._key, "type": "conversation", "attributes": attributes, "relationships": relationships}
        return OutsideWrite(before=None, after=document_from_snapshot(data, org=ORG, rev=1))

    def _edited(self, step: ActorStep, before: Document | None) -> OutsideWrite | None:
        if before is None:
            return None
        after = conversation_written(before, _edit_of(step, before), now())
        return None if after is None else OutsideWrite(before=before, after=after)

    async def _write_conversation(self, change: Any) -> None:
        written = await self.actors.store.write(Collection.CONVERSATIONS, self._key, self._key, change)
        if written is None:
            self.actors.passed_over += 1
            return
        self.seen.append(written.after["rev"])
        self.ended = written.after["attributes"].get("deleted") is True
        self.actors.publish(written.before, written.after, known_rev=None)

    async def _remove(self) -> None:
        """The owner removes the document, and announces a deletion."""
        last = await self.actors.store.remove(self._key)
        self.ended = True
        if last is not None:
            self.actors.removed.add(self._key)
            self.actors.publish(last, touched(last, now()), known_rev=None, removal=True)

    # The router's side

    def _known_rev(self, step: ActorStep) -> int:
        behind = min(step.behind, len(self.seen) - 1)
        return self.seen[-1 - behind]

    async def _make_item(self) -> None:
        known_rev = self.seen[-1]

        def change(before: Document | None) -> OutsideWrite | None:
            if before is not None:
                return None
            made = work_item_created(self._key, 1, known_rev, now(), key=f"{self._key}-w1")
            attributes = {**made["attributes"], "queuedCount": 0, "itemSize": 1, "priority": 1}
            return OutsideWrite(before=None, after={**made, "attributes": attributes})

        written = await self.actors.store.write(Collection.WORK_ITEMS, f"{self._key}-w1", self._key, change)
        if written is not None:
            self.actors.publish(None, written.after, known_rev=known_rev)

    async def _write_item(self, step: ActorStep, key: str) -> None:
        sessions = await self.actors.store.sessions(agent(step.agent))
        conversation = await self.actors.store.read(Collection.CONVERSATIONS, self._key)
        if conversation is not None and not step.behind:
            self.seen.append(max(conversation["rev"], self.seen[-1]))
        known_rev = self._known_rev(step)

        def change(before: Document | None) -> OutsideWrite | None:
            if before is None:
                return None
            after = _item_after(step, before, sessions)
            return None if after is None else OutsideWrite(before=before, after=after)

        written = await self.actors.store.write(Collection.WORK_ITEMS, key, self._key, change)
        if written is None:
            self.actors.passed_over += 1
            return
        self.actors.publish(written.before, written.after, known_rev=None if step.silent else known_rev)

    async def _send(self, step: ActorStep, item: Document) -> None:
        update = update_of(step, item)
        if update is not None and not step.silent:
            update = {**update, "resource": {"rev": self._known_rev(step)}}
        if update is not None and step.with_rev:
            update = {**update, "rev": item["rev"]}
        key = f"{item['_id']}-unknown" if step.name == "unknown id" else item["_id"]
        token = ROUTER_TOKEN if step.name in ("route", "accept", "reject", "time out") else CRM_TOKEN
        put = partial(self.actors.clients.put, key, update, token=token)
        processes = (0, 1) if step.twice_at_once else (self.chance.randrange(2),)
        calls = await asyncio.gather(*(put(process=process) for process in processes))
        if all(call.status is None for call in calls):
            # As a client does whose server went away: it may be written already.
            await put(process=processes[0] + 1)


def _edit_of(step: ActorStep, before: Document) -> dict[str, Any]:
    """The fields that an edit of the conversation sets."""
    edits: dict[str, dict[str, Any]] = {
        "touch": {"messageCount": before["attributes"].get("messageCount", 0) + 1},
        "assign": {"assignedUsers": [agent(step.agent)]},
        "un-assign": {"assignedUsers": []},
        "queue": {"queue": {"id": step.queue}},
        "no queue": {"queue": {"id": None}},
        "snooze": {"status": "snoozed"},
        "open": {"status": "open"},
        "end": {"ended": True},
        "re-open": {"status": "open", "ended": False},
        "done": {"status": "done"},
        "delete": {"deleted": True},
    }
    return edits[step.name]


def _item_after(step: ActorStep, before: Document, sessions: Mapping[str, Session]) -> Document | None:
    """The work-item after a service's write; None where the commands refuse it or it changes nothing."""
    updates: dict[str, dict[str, Any]] = {
        "assign": {"assignedTo": agent(step.agent)},
        "un-assign": {"assignedTo": None},
        "queue": {"queue": step.queue},
        "wrap up": {"status": "wrap-up"},
        "complete": {"status": "completed"},
    }
    if step.name == "touch":
        return touched(before, now())
    return work_item_updated(before, updates[step.name], now(), sessions)


def update_of(step: ActorStep, item: Document) -> dict[str, Any] | None:
    """The body of an update; None: it is no JSON."""
    who = agent(step.agent)
    routed_to = (item["relationships"].get("routedTo") or {}).get("data", {}).get("id", who)
    bodies: dict[str, dict[str, Any] | None] = {
        "route": {"routed": {"to": who}},
        "accept": {"accepted": {"by": routed_to}},
        "reject": {"routed": {"rejectedBy": routed_to}},
        "time out": {"routed": {"timedOut": routed_to}},
        "assign": {"assignedTo": who},
        "un-assign": {"assignedTo": None},
        "queue": {"queue": {"id": step.queue}},
        "no queue": {"queue": None},
        "pause": {"paused": True},
        "resume": {"paused": False},
        "wrap up": {"status": "wrap-up"},
        "complete": {"status": "completed"},
        "move and assign": {"queue": {"id": step.queue}, "assignedTo": who},
        "unknown field": {"assignedto": who},
        "forbidden": {"routed": {"to": who}},
        "unknown id": {"paused": True},
        "no json": None,
    }
    return bodies[step.name]
