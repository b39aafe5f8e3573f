"""Publishes the events of the outside services: some late, out of order or twice, none lost.

Poison messages are sent straight into the queue between them. While SNS or SQS is away, publishing is retried.
"""

import asyncio
import heapq
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any, Final, Protocol
from zlib import crc32

from botocore.exceptions import BotoCoreError, ClientError

from commands.instant import format_instant
from tests.e2e.stage import Stage
from tests.handlers.events.malformed.messages import MALFORMED

_LATE: Final = 0.3
_LATE_S_MAX: Final = 2.0
_TWICE: Final = 0.1
_TWICE_S_MAX: Final = 6.0
_POLL_S: Final = 0.05

# Bodies that SQS accepts.
POISON: Final = [kind for kind in MALFORMED if kind.sendable and len(kind.body) < 10_000]


class LoadDelivery(Protocol):
    """What the services of a load need of it. `abandoned`: the run has failed, and nothing is written or published."""

    abandoned: bool

    def deliver(self, event: dict[str, Any]) -> None:
        """Schedules a new event."""
        ...


@dataclass(slots=True, kw_only=True)
class EventDelivery:
    """Publishes scheduled events until `ended` is set and none is left. `poison_every`: events per poison message."""

    stage: Stage
    random: Random
    poison_every: int = 40
    published: int = 0
    poisoned: Counter[str] = field(default_factory=Counter)
    event_ids: set[str] = field(default_factory=set)
    ended: bool = False
    abandoned: bool = False
    cut_emoji: int = 0
    """Of every so many events one has half of an emoji in a text that no field models; 0: none."""
    cut: Counter[str] = field(default_factory=Counter)
    """The cut events, by their names."""
    publish_all_again: bool = False
    """Set by a test to publish every event of the run once more."""
    held: bool = False
    """While a test sets it, nothing is published: SNS holds all of it, and whatever falls due waits."""
    release_s: float = 0.0
    """Held events are published in random order within so many seconds after the release."""
    _held: list[dict[str, Any]] = field(default_factory=list)
    _published: list[dict[str, Any]] = field(default_factory=list)
    _due: list[tuple[float, int, dict[str, Any]]] = field(default_factory=list)
    _count: int = 0

    @property
    def held_events(self) -> int:
        """The number of messages held back."""
        return len(self._held)

    def deliver(self, event: dict[str, Any]) -> None:
        """Schedules a new event: now or later, once or twice."""
        self.event_ids.add(event["id"])
        late_s = self.random.random() * _LATE_S_MAX if self.random.random() < _LATE else 0.0
        self._schedule(event, late_s)
        if self.random.random() < _TWICE:
            self._schedule(event, late_s + self.random.random() * _TWICE_S_MAX)

    async def run(self) -> None:
        """Publishes events as they fall due, until `abandoned`, or until `ended` and none is left."""
        while not self.abandoned and (self._due or self._held or not self.ended):
            now = time.monotonic()
            due = []
            if self.publish_all_again:
                self.publish_all_again = False
                for event in self._published:
                    self._schedule(event, self.random.random() * _LATE_S_MAX)
            while self._due and (self._due[0][0] <= now or self.ended):
                due.append(heapq.heappop(self._due)[2])
            if self.held:
                self._held.extend(due)
                due = []
            elif self._held:
                for event in self._held:
                    self._schedule(event, self.random.random() * self.release_s)
                self._held.clear()
            if due:
                await self._write_with_retries([wrapped(self._cut(event)) for event in due])
                self._published.extend(due)
                self.published += len(due)
            await self._send_poison(len(due))
            await asyncio.sleep(_POLL_S)

    def _cut(self, event: dict[str, Any]) -> dict[str, Any]:
        if not self.cut_emoji or self.random.randrange(self.cut_emoji):
            return event
        self.cut[event["name"]] += 1
        data = event["data"]
        attributes = {**data["attributes"], "preview": "thank you \ud83d"}
        return {**event, "data": {**data, "attributes": attributes}}

    def _schedule(self, event: dict[str, Any], after_s: float) -> None:
        self._count += 1
        heapq.heappush(self._due, (time.monotonic() + after_s, self._count, event))

    async def _send_poison(self, events: int) -> None:
        for _ in range(events):
            if self.random.random() < 1 / self.poison_every:
                body = self.random.choice(POISON).body
                if await self._succeeded(lambda body=body: self.stage.send([body])):
                    self.poisoned[body] += 1

    async def _write_with_retries(self, messages: Sequence[dict[str, Any]]) -> None:
        # A retry publishes the whole list: events that had been accepted arrive twice.
        while not (await self._succeeded(lambda: self.stage.publish(messages)) or self.abandoned):  # noqa: ASYNC110
            await asyncio.sleep(0.2)

    async def _succeeded(self, work: Any) -> bool:
        try:
            await asyncio.to_thread(work)
        except (BotoCoreError, ClientError):
            return False
        return True


def wrapped(event: dict[str, Any]) -> dict[str, Any]:
    """The event as the producers publish it. `publishedAt` does not include the delay of this load."""
    return {
        "id": f"message-{event['id']}",
        "name": event["name"],
        "partition": "org",
        "body": event,
        "publishedAt": format_instant(datetime.now(UTC)),
        "version": 3,
        "dd": {"trace_id": str(crc32(event["id"].encode())), "span_id": "1"},
    }
