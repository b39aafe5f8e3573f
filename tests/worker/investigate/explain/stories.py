"""Un-assignments as the worker makes and meets them, on any store: by a sync, by a person over HTTP, by the router."""

from datetime import timedelta
from typing import Any, Final

from commands.engines.rollout import UpdateOrigin
from commands.reason import Refusal
from commands.update import parse_update
from handlers.batch_handler import BatchHandler
from handlers.documents.document import document_from_snapshot
from handlers.events.event import Event
from handlers.events.parser import read_message
from handlers.options import Options
from handlers.planning.planners.update import UpdatedWorkItem, UpdateRequest
from handlers.ports import Store
from handlers.work_item_update import WorkItemUpdate
from tests.handlers.small_ports import FixedChance, HandClock
from tests.handlers.wire_events import ORG, Json, changes, conversation, event, log_line, published, read, work_item
from worker.runtime.clock import ObjectIds

AGENT: Final = "u-1"
TRACE: Final = {"trace_id": "5126459826517261563", "span_id": "2271234982347711234"}
CONVERSATION: Final = conversation(4, users=(AGENT,), queue="q-1")
WORK_ITEM: Final = work_item(7, user=AGENT, queue="q-1", session="s-1", status="assigned")
STORED: Final = [
    document_from_snapshot(each, org=ORG, rev=each["attributes"]["rev"]) for each in (CONVERSATION, WORK_ITEM)
]
"""An assigned pair, as its owners have stored it."""


class Played:
    """A store on which the worker handles what happens. The announcements come back as events."""

    def __init__(self, store: Store, **options: Any) -> None:
        self.store = store
        self.clock = HandClock()
        self.options = Options(**{"keeps_audit": True, **options})
        self.lines: list[Json] = []
        self.handler = BatchHandler(
            store=store, clock=self.clock, ids=ObjectIds(), chance=FixedChance(), options=self.options
        )

    async def take(self, thing: Json) -> None:
        """Handle an event, and then those of the worker's own writes."""
        await self._handle(read(thing))

    async def _handle(self, arrived: Event) -> None:
        pending = [arrived]
        while pending:
            for end in await self.handler.handle([pending.pop(0)]):
                self._log(end.audit.as_wire())
                events = (read_message(each.message) for each in end.announcements)
                pending += [each for each in events if isinstance(each, Event)]

    async def update(self, raw: Json, client: str) -> None:
        """An update of the work-item over HTTP, and what the worker makes of its event."""
        update = parse_update(raw)
        assert not isinstance(update, Refusal)
        use_case = WorkItemUpdate(
            store=self.store,
            work_items=_StoredItem(self.store),
            clock=self.clock,
            ids=ObjectIds(),
            chance=FixedChance(),
            options=self.options,
        )
        result = await use_case.handle(
            UpdateRequest(work_item_id="w-1", update=update, origin=UpdateOrigin.API, client=client, trace=TRACE)
        )
        assert isinstance(result, UpdatedWorkItem)
        self._log(result.audit.as_wire())
        self.clock.at += timedelta(seconds=1)
        for each in result.announcements:
            came = read_message(each.message)
            assert isinstance(came, Event)
            await self._handle(came)

    def _log(self, wire: Json) -> None:
        time = self.clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self.lines.append({"name": "routing-worker", **wire, "msg": "CONVERSATION_SYNC_AUDIT", "time": time, "v": 0})


class _StoredItem:
    """The one work-item of the story, for the use case."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def work_item(self, work_item_id: str, *, org: str | None) -> Json:
        return {"_id": work_item_id, "conversationId": "c-1", "org": ORG}

    async def of_conversation(self, conversation_id: str, *, org: str | None, limit: int) -> None:
        return None

    async def queue_id(self, key: str, *, org: str | None) -> None:
        return None


async def seen(played: Played) -> None:
    """The assignment of both sides was observed."""
    await played.take(event(CONVERSATION, changes=changes({"assignedUsers": ([], [AGENT])}), client="workflow"))
    taken = changes({"status": ("queued", "assigned")}, {"assignedTo": (None, AGENT)})
    await played.take(event(WORK_ITEM, changes=taken, client="router", routingReasons=knew(4)))
    played.clock.at = played.clock.at.replace(minute=played.clock.at.minute + 1)


def knew(rev: int) -> list[Json]:
    """The routing reasons of a work-item's write whose writer knew that conversation revision."""
    return [{"action": "QUEUE_WORK_ITEM", "code": "QUEUE_RULES_HIT", "meta": {"conversationRev": rev}}]


async def by_a_person_in_the_app(played: Played) -> None:
    """A person un-assigns the conversation; a sync carries that to the work-item."""
    await seen(played)
    gone = event(
        conversation(5, queue="q-1"), changes=changes({"assignedUsers": ([AGENT], [])}), client="agent-app", at=70
    )
    await played.take(log_line(published(gone), dd=TRACE))


async def by_the_router(played: Played) -> None:
    """The router puts the work-item back into its queue; a sync un-assigns the conversation."""
    await seen(played)
    back = changes({"status": ("assigned", "queued")}, {"assignedTo": (AGENT, None)})
    queued = event(
        work_item(8, queue="q-1", status="queued"), changes=back, client="router", at=70, routingReasons=knew(4)
    )
    await played.take(log_line(published(queued), dd=TRACE))


async def over_http(played: Played) -> None:
    """A client of the API takes the work-item from its agent; a sync un-assigns the conversation."""
    await seen(played)
    await played.update({"assignedTo": None, "resource": {"rev": 4}}, "crm")
