"""The sweep of a store in any state: events lost and out of order, writes by hand, restored documents, ruined sessions.

A full sweep and its announcements lead to a store in which a second one repairs nothing, in which a closed conversation
has no active work-item and, where work-items are created, every open one has its own.
"""

from collections.abc import Iterator
from datetime import timedelta
from random import Random
from typing import Any, Final

import pytest

from commands.instant import format_instant
from commands.session import Session, SessionEntry
from handlers.documents.document_mapping import conversation_of
from handlers.drift import DriftEnd, SweepLimits, SweptPair
from handlers.ports import Document
from tests.handlers.small_ports import START
from tests.handlers.wire_events import ORG, Json, changes, conversation, event, link, work_item
from tests.handlers.world import USERS, World
from worker.ports.sweeps import SweepPosition, SweepStage
from worker.store.documents import Collection
from worker.store.memory.queue_rules import MemoryQueueRules
from worker.store.memory.stored_pairs import MemoryStoredPairs

HISTORIES: Final = 60
WATERMARK: Final = START + timedelta(hours=1)
_STATUSES: Final = ("ivr", "queued", "routed", "assigned", "wrap-up")
_QUEUES: Final = (None, "q-1", "q-2")
_RULES: Final = MemoryQueueRules(
    rules=[{"_id": "r-1", "org": ORG, "position": 1, "enabled": True, "queue": "q-1", "match": "all", "criteria": []}]
)


class AnyStore:
    """A store with the pair c-1 after a random history."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        self.creates = self.chance.random() < 0.6
        self.world = World(
            rules=_RULES,
            create_work_items=self.creates,
            unassign_on_unavailable=self.creates and self.chance.random() < 0.5,
            queue_rules=self.chance.random() < 0.5,
        )
        self.lost_share = 0.7 * self.chance.random()

    async def live(self) -> None:
        """The history: each write is stored where it can be, and its event delivered, unless it is lost."""
        writes = list(self._conversations())
        for number in range(1, 1 + self.chance.randint(0, 2)):
            writes += self._work_items(f"w-{number}", number)
        stored: list[tuple[Document, ...]] = [()]
        for before, data in writes if self.chance.random() < 0.7 else self.chance.sample(writes, len(writes)):
            if not self._put(data):
                continue
            if self.chance.random() >= self.lost_share:
                await self.world.take(self._event(before, data))
            stored.append(self._documents())
        if self.chance.random() < 0.3:
            self._restore(self.chance.choice(stored))
        if self.chance.random() < 0.3:
            self._write_by_hand()
        if self.chance.random() < 0.5:
            self._ruin_sessions()
        self.age()

    def age(self) -> None:
        """Every document was last written long before the watermark."""
        for document in self._documents():
            self._store({**document, "attributes": {**document["attributes"], "updatedAt": format_instant(START)}})

    async def sweep(self) -> list[SweptPair]:
        pairs, found = MemoryStoredPairs(self.world.store), list[SweptPair]()
        limits = SweepLimits(watermark=WATERMARK, certain_before=WATERMARK, repair=True)
        for stage in SweepStage:
            page = await pairs.page_after(SweepPosition(stage=stage), 99)
            found += (await self.world.handler.sweep_pairs(page.requests, limits)).pairs
        return found

    def active(self) -> list[str]:
        return [each["_id"] for each in self.world.store.documents(Collection.WORK_ITEMS) if each["active"]]

    def _conversations(self) -> Iterator[tuple[Json | None, Json]]:
        before = None
        for rev in range(1, 1 + self.chance.randint(1, 4)):
            users = tuple(self.chance.sample((*USERS, "u-9"), self.chance.choice((0, 0, 1, 2))))
            data = conversation(
                rev,
                users=users,
                queue=self.chance.choice(_QUEUES),
                status=self.chance.choice(("open", "open", "open", "done", "snoozed")),
                ended=self.chance.random() < 0.1,
                deleted=self.chance.random() < 0.05,
            )
            yield before, data
            before = data

    def _work_items(self, key: str, number: int) -> Iterator[tuple[Json | None, Json]]:
        before = None
        for rev in range(1, 1 + self.chance.randint(1, 4)):
            status = "completed" if self.chance.random() < 0.3 else self.chance.choice(_STATUSES)
            data = work_item(
                rev,
                key=key,
                number=number,
                status=status,
                queue=self.chance.choice(_QUEUES),
                paused=self.chance.random() < 0.2,
                queuedCount=self.chance.choice((0, 1)),
                resourceRev=self.chance.randint(1, 4),
                itemSize=self.chance.choice((1, 2, -3, 0.5)),
            )
            name = {"routed": "routedTo", "assigned": "assignedTo", "wrap-up": "assignedTo"}.get(status)
            if name is not None:
                user = self.chance.choice(USERS)
                data["relationships"][name] = link("user", user)
                data["relationships"]["workSession"] = link("work_session", f"s-{user[2:]}")
            yield before, data
            before = data
            if status == "completed":
                return

    def _event(self, before: Json | None, data: Json) -> Json:
        if before is None:
            return event(data)
        old, new = before["attributes"], data["attributes"]
        names = {*before["relationships"], *data["relationships"]} - {"org", "resource"}
        moved = {name: (_target(before, name), _target(data, name)) for name in names}
        changed = changes({name: (old.get(name), new[name]) for name in new if old.get(name) != new[name]}, moved)
        return event(data, changes=changed, isSync=self.chance.random() < 0.15)

    def _put(self, data: Json) -> bool:
        """Store the snapshot if it is the latest; False if the conversation has another active work-item."""
        stored = self.world.store.conversation(data["id"]) or self.world.store.work_item(data["id"])
        try:
            if stored is None or stored["rev"] < data["attributes"]["rev"]:
                self.world.put(data)
        except ValueError:
            return False
        return True

    def _documents(self) -> tuple[Document, ...]:
        store = self.world.store
        return (*store.documents(Collection.CONVERSATIONS), *store.documents(Collection.WORK_ITEMS))

    def _store(self, document: Document) -> None:
        store = self.world.store
        put = store.put_conversation if document["type"] == "conversation" else store.put_work_item
        put(document)

    def _restore(self, documents: tuple[Document, ...]) -> None:
        """All documents are as they were; the sync state and the sessions are not."""
        for document in self._documents():
            if document["type"] == "conversation":
                self.world.store.remove_conversation(document["_id"])
            else:
                self.world.store.remove_work_item(document["_id"])
        for document in documents:
            self._store(document)

    def _write_by_hand(self) -> None:
        document = self.world.store.conversation("c-1")
        if document is not None:
            edits: list[Json] = [{"assignedUsers": ["u-2"]}, {"assignedUsers": []}, {"status": "done"}, {"ended": True}]
            edit = self.chance.choice(edits)
            self._store({**document, "attributes": {**document["attributes"], **edit}})

    def _ruin_sessions(self) -> None:
        for user in USERS:
            lists = [
                tuple(
                    SessionEntry(id=self.chance.choice(("w-1", "w-2", "w-9")), item_size=self.chance.choice((1, 2)))
                    for _ in range(self.chance.randint(0, 2))
                )
                for _ in range(2)
            ]
            pending = self.chance.choice((None, None, "w-1"))
            self.world.store.put_session(
                Session(
                    id=f"s-{user[2:]}",
                    user=user,
                    capacity=9,
                    work_items=lists[0],
                    paused_work_items=lists[1],
                    pending_item=pending,
                )
            )


def _target(data: Json, name: str) -> Any:
    return ((data["relationships"].get(name) or {}).get("data") or {}).get("id")


@pytest.mark.parametrize("first", range(0, 6 * HISTORIES, HISTORIES))
async def test_one_sweep_is_enough(first: int) -> None:
    for seed in range(first, first + HISTORIES):
        store = AnyStore(seed)
        await store.live()
        found = await store.sweep()
        store.age()
        again = await store.sweep()
        assert [each.drift for each in again if each.drift.end is not DriftEnd.TOLD] == [], seed
        document = store.world.store.conversation("c-1")
        if document is None or any(each.drift.end is DriftEnd.REFUSED for each in found):
            continue
        c, deleted_rev = conversation_of(document), store.world.store.state("c-1").deleted_rev or 0
        is_deleted = c.deleted or deleted_rev >= c.rev
        if is_deleted or c.status == "done":
            assert store.active() == [], seed
        elif store.creates and c.status == "open" and not c.ended:
            assert len(store.active()) == 1, seed
