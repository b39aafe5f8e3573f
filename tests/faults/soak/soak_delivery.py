"""Delivers the events of a soak: some late or twice, none kept once it is sent.

They go into the queue in SNS's envelope, ten a call. LocalStack's SNS takes five to ten times as much processor time
for a message as its SQS, and the outside events would wait for it. The workers' announcements go through SNS.
"""

import asyncio
import heapq
import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final
from uuid import uuid4

from botocore.exceptions import BotoCoreError, ClientError

from tests.e2e.stage import Stage
from tests.faults.load.event_delivery import POISON, wrapped
from tests.faults.soak.event_count import EventCount

_SENDERS: Final = 3
_LATE: Final = 0.3
_LATE_S_MAX: Final = 2.0
_TWICE: Final = 0.1
_TWICE_S_MAX: Final = 4.0
_POLL_S: Final = 0.05
_CALL_MAX: Final = 40
LATEST_S: Final = _LATE_S_MAX + _TWICE_S_MAX
"""No event is sent later than so many seconds after its write."""


@dataclass(slots=True, kw_only=True)
class SoakDelivery:
    """Sends scheduled events until `ended` is set and none is left. `poison_every`: events per poison message.

    `drop`: so many events are counted and not sent, as if they had been lost.
    """

    stage: Stage
    random: Random
    count: EventCount
    poison_every: int = 400
    drop: int = 0
    messages: int = 0
    poisoned: Counter[str] = field(default_factory=Counter)
    ended: bool = False
    abandoned: bool = False
    _due: list[tuple[float, int, dict[str, Any]]] = field(default_factory=list)
    _scheduled: int = 0

    def deliver(self, event: dict[str, Any]) -> None:
        """Schedules a new event: now or later, once or twice."""
        self.count.expect(event["id"])
        if self.drop:
            self.drop -= 1
            return
        late_s = self.random.random() * _LATE_S_MAX if self.random.random() < _LATE else 0.0
        self._schedule(event, late_s)
        if self.random.random() < _TWICE:
            self._schedule(event, late_s + self.random.random() * _TWICE_S_MAX)

    async def run(self) -> None:
        """Sends events as they fall due, until `abandoned`, or until `ended` and none is left."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(_SENDERS):
                tasks.create_task(self._sender())

    async def _sender(self) -> None:
        while not self.abandoned and (self._due or not self.ended):
            now = time.monotonic()
            due: list[dict[str, Any]] = []
            while self._due and len(due) < _CALL_MAX and (self._due[0][0] <= now or self.ended):
                due.append(heapq.heappop(self._due)[2])
            if not due:
                await asyncio.sleep(_POLL_S)
                continue
            await self._send([_notification(wrapped(event)) for event in due])
            await self._send_poison(len(due))

    async def _send(self, bodies: Sequence[str]) -> None:
        # A retry sends the whole list: events that had been accepted arrive twice.
        while not self.abandoned:
            if await self._succeeded(lambda: self.stage.send(bodies)):
                self.messages += len(bodies)
                return
            await asyncio.sleep(0.2)

    async def _send_poison(self, events: int) -> None:
        for _ in range(events):
            if self.random.random() < 1 / self.poison_every:
                body = self.random.choice(POISON).body
                if await self._succeeded(lambda body=body: self.stage.send([body])):
                    self.poisoned[body] += 1

    async def _succeeded(self, work: Any) -> bool:
        try:
            await asyncio.to_thread(work)
        except (BotoCoreError, ClientError):
            return False
        return True

    def _schedule(self, event: dict[str, Any], after_s: float) -> None:
        self._scheduled += 1
        heapq.heappush(self._due, (time.monotonic() + after_s, self._scheduled, event))


def _notification(message: dict[str, Any]) -> str:
    """The published message in the envelope with which SNS delivers it to SQS."""
    return json.dumps(
        {
            "Type": "Notification",
            "MessageId": str(uuid4()),
            "TopicArn": "arn:aws:sns:us-east-1:000000000000:outside",
            "Message": json.dumps(message),
            "Timestamp": message["publishedAt"],
            "SignatureVersion": "1",
            "Signature": "x" * 344,
            "SigningCertURL": "https://sns.invalid/cert.pem",
            "UnsubscribeURL": "https://sns.invalid/unsubscribe",
        }
    )
