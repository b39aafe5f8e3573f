"""A bench of the outbox: publisher and relay, on stand-ins for the outbox and the topics."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

from handlers.ports import Announcement, StoreAway
from tests.worker.stand_ins.fake_clock import T0, AutoAdvancingClock, FakeClock, MiddleChance
from tests.worker.stand_ins.telemetry_recorder import TelemetryRecorder, runtime_of
from tests.worker.stand_ins.topics import StandInTopics
from worker.outbox.publisher import Publisher
from worker.outbox.relay import Relay, RelaySchedule
from worker.ports.outbox import OutboxBacklog
from worker.runtime.backoff import JitteredBackoff


def announcement(key: str, *, side: str = "conversation", size: int = 0, age_s: float = 0) -> Announcement:
    text = json.dumps({"id": key, "name": f"kustomer.{side}.update", "filler": "x" * size})
    created_at = T0 - timedelta(seconds=age_s)
    if side == "conversation":
        return Announcement(id=key, conversation_id="c1", side="conversation", message=text, created_at=created_at)
    return Announcement(id=key, conversation_id="c1", side="work-item", message=text, created_at=created_at)


class StandInOutbox:
    """An outbox in memory that can be away."""

    def __init__(self) -> None:
        self.entries: dict[str, Announcement] = {}
        self.aside: dict[str, str] = {}
        self.away = False

    def put(self, *announcements: Announcement) -> list[Announcement]:
        self.entries.update({one.id: one for one in announcements})
        return list(announcements)

    def _check(self) -> None:
        if self.away:
            raise StoreAway("no primary")

    async def waiting_entries(
        self, older_than: datetime, limit: int, *, skip: int = 0, or_after: datetime | None = None
    ) -> Sequence[Announcement]:
        self._check()
        found = [
            one
            for one in self.entries.values()
            if one.created_at < older_than or (or_after is not None and one.created_at > or_after)
        ]
        return sorted(found, key=lambda one: one.created_at)[skip : skip + limit]

    async def remove_entries(self, ids: Sequence[str]) -> None:
        self._check()
        for key in ids:
            self.entries.pop(key, None)

    async def set_aside(self, key: str, reason: str) -> None:
        self._check()
        self.aside[key] = reason
        self.entries.pop(key, None)

    async def backlog(self) -> OutboxBacklog:
        self._check()
        ages = [one.created_at for one in self.entries.values()]
        return OutboxBacklog(count=len(ages), oldest=min(ages, default=None), set_aside=len(self.aside))


class OutboxBench:
    def __init__(self, *, waiting_max: int = 100, clock: FakeClock | None = None) -> None:
        self.clock, self.recorder, self.outbox, self.topics = (
            clock or AutoAdvancingClock(),
            TelemetryRecorder(),
            StandInOutbox(),
            StandInTopics(),
        )
        runtime = runtime_of(self.clock, self.recorder)
        self.publisher = Publisher(
            topics=self.topics,
            arns={"conversation": "arn:conversations", "work-item": "arn:work-items"},
            outbox=self.outbox,  # type: ignore[arg-type]
            pause=JitteredBackoff(first_s=0.1, max_s=1, chance=MiddleChance()),
            waiting_max=waiting_max,
            runtime=runtime,
        )
        self.health = runtime.health
        self.relay = Relay(
            outbox=self.outbox,  # type: ignore[arg-type]
            publisher=self.publisher,
            schedule=RelaySchedule(interval_s=5, age_s=30),
            runtime=runtime,
        )
