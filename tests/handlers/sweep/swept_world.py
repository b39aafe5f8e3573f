"""A pair that agrees, its documents and their times of writing, for tests of the sweep."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Self

from commands.instant import format_instant
from handlers.drift import Drift, LeftAlone, SweepLimits, SweptPair
from handlers.ports import LoadRequest
from tests.handlers.small_ports import START
from tests.handlers.wire_events import Json, changes, conversation, event, work_item
from tests.handlers.world import World

WATERMARK = START + timedelta(hours=1)
LONG_AGO = format_instant(START)


class SweptWorld(World):
    """A world whose documents were all written at `START`, an hour before the watermark. `left_alone`: by the last
    sweep."""

    left_alone: Sequence[tuple[str, LeftAlone]] = ()

    async def sweep(
        self,
        *keys: str,
        repair: bool = True,
        at: datetime = WATERMARK,
        items: Sequence[str] = (),
        certain_before: datetime | None = None,
    ) -> list[SweptPair]:
        requests = [LoadRequest(conversation_id=key, work_item_ids=frozenset(items)) for key in keys or ("c-1",)]
        limits = SweepLimits(watermark=at, certain_before=certain_before or at, repair=repair)
        page = await self.handler.sweep_pairs(requests, limits)
        self.left_alone = [(each.conversation_id, each.why) for each in page.left_alone]
        return list(page.pairs)

    async def drift(self, *keys: str, **more: Any) -> Drift:
        """The drift of the one pair that has any; afterwards a second sweep finds nothing."""
        [swept] = await self.sweep(*keys, **more)
        assert await self.sweep(*keys, **more) == []
        return swept.drift

    async def agreed(self) -> Self:
        """A pair that was created and assigned by events, all of which came."""
        await self.take(
            event(at_start(conversation(1, queue="q-1"))),
            event(at_start(work_item(1, status="queued", queue="q-1", queuedCount=1, resourceRev=1))),
        )
        await self.take(assigned(2, (), ("u-1",)))
        assert (self.w().assigned_to, self.c().queue) == ("u-1", "q-1")
        self.age()
        return self

    def age(self) -> None:
        """The pair's documents have been written at `START`."""
        for document in (self.store.conversation("c-1"), self.store.work_item("w-1")):
            assert document is not None
            old = {**document, "attributes": {**document["attributes"], "updatedAt": LONG_AGO}}
            if document["type"] == "conversation":
                self.store.put_conversation(old)
            else:
                self.store.put_work_item(old)

    def edit(self, key: str, rev: int | None = None, queue: str | None = None, **attributes: Any) -> None:
        """A write of a document beside all events, with a revision of its own or, in a shell, without one."""
        document = self.store.conversation(key) or self.store.work_item(key)
        assert document is not None
        more = {} if rev is None else {"rev": rev}
        edited = {**document, **more, "attributes": {**document["attributes"], **attributes, **more}}
        if queue is not None:
            target = {"data": {"type": "queue", "id": queue}}
            edited["relationships"] = {**document["relationships"], "queue": target}
        if document["type"] == "conversation":
            self.store.put_conversation(edited)
        else:
            self.store.put_work_item(edited)

    def assign(self, user: str | None, rev: int | None = None) -> None:
        """The same of the work-item's assignee."""
        self.edit("w-1", rev, status="queued" if user is None else "assigned")
        document = self.store.work_item("w-1")
        assert document is not None
        target = {"data": None if user is None else {"type": "user", "id": user}}
        self.store.put_work_item({**document, "relationships": {**document["relationships"], "assignedTo": target}})


def at_start(data: Json) -> Json:
    data["attributes"]["updatedAt"] = LONG_AGO
    return data


def assigned(rev: int, before: tuple[str, ...], after: tuple[str, ...]) -> Json:
    said = changes({"assignedUsers": (list(before), list(after))})
    return event(at_start(conversation(rev, users=after, queue="q-1")), changes=said)
