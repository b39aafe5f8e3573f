"""Announces what transactions left in the outbox, right after settling, and takes it out of the outbox.

Nothing waits for it: what does not fit into its queue, or meets SNS or the store away, stays in the outbox, where the
relay finds it. What can never be published is set aside with the reason, and blocks nothing.
"""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from handlers.ports import Announcement, Clock, StoreAway
from sync.gates import Side
from worker.errors import TopicsAway
from worker.outbox.topic_message import SNS_BYTES_MAX, packed, topic_message
from worker.ports import Outbox, TopicMessage, Topics, is_fifo
from worker.runtime.backoff import JitteredBackoff, retry_until_done
from worker.telemetry.metrics import Metric, Telemetry

TAKEN_MAX: Final = 100
_TRIES: Final = 3
_CALLS_MAX: Final = 4


@dataclass(slots=True, kw_only=True)
class _Round:
    """How it went with some announcements: ids sent, ids that can never be sent with the reason, and the rest."""

    sent: list[str]
    refused: dict[str, str]


class Publisher:
    """`arns` name the topic of each side; at most `waiting_max` announcements wait in memory."""

    def __init__(
        self,
        *,
        topics: Topics,
        arns: Mapping[Side, str],
        outbox: Outbox,
        clock: Clock,
        pause: JitteredBackoff,
        telemetry: Telemetry,
        waiting_max: int,
    ) -> None:
        self._topics = topics
        self._arns = arns
        self._outbox = outbox
        self._clock = clock
        self._pause = pause
        self._telemetry = telemetry
        self._waiting_max = waiting_max
        self._waiting: deque[Announcement] = deque()
        self._mine: set[str] = set()
        self._some = asyncio.Event()
        self.idle = asyncio.Event()
        self.idle.set()

    def offer(self, announcements: Sequence[Announcement]) -> None:
        """Take what fits and leave the rest to the relay; never waits."""
        fits = announcements[: max(self._waiting_max - len(self._waiting), 0)]
        if fits:
            self._waiting.extend(fits)
            self._mine.update(announcement.id for announcement in fits)
            self.idle.clear()
            self._some.set()
        self._left(len(announcements) - len(fits), "overflow")

    def has(self, announcement_id: str) -> bool:
        """Whether it waits here or is being published: then it is none of the relay's."""
        return announcement_id in self._mine

    async def run(self) -> None:
        """Publish what comes, until cancelled."""
        while True:
            await self._some.wait()
            some = [self._waiting.popleft() for _ in range(min(len(self._waiting), TAKEN_MAX))]
            await self.publish(some)
            self._mine.difference_update(announcement.id for announcement in some)
            if not self._waiting:
                self._some.clear()
                self.idle.set()

    async def publish(self, announcements: Sequence[Announcement]) -> int:
        """Publish and take out of the outbox; how many are no longer waiting there. Raises nothing."""
        round_ = _Round(sent=[], refused={})
        by_arn: dict[str, list[TopicMessage]] = {}
        for one in announcements:
            try:
                message = topic_message(id=one.id, group=one.conversation_id, text=one.message)
            except ValueError as fault:
                self._set_aside(one.id, f"UNREADABLE: {fault}", "unreadable", round_)
                continue
            if message.size_bytes > SNS_BYTES_MAX:
                self._set_aside(
                    one.id, f"TOO_LARGE: {message.size_bytes} bytes, SNS takes {SNS_BYTES_MAX}", "too_large", round_
                )
            else:
                by_arn.setdefault(self._arns[one.side], []).append(message)
        for arn, messages in by_arn.items():
            await self._publish_to(arn, messages, round_)
        return await self._clear(round_)

    async def _publish_to(self, arn: str, messages: Sequence[TopicMessage], round_: _Round) -> None:
        calls = list(packed(messages))
        if is_fifo(arn):
            # Two calls side by side could turn the order of a group round.
            for call in calls:
                await self._call(arn, call, round_)
            return
        places = asyncio.Semaphore(_CALLS_MAX)

        async def one(call: list[TopicMessage]) -> None:
            async with places:
                await self._call(arn, call, round_)

        async with asyncio.TaskGroup() as tasks:
            for call in calls:
                tasks.create_task(one(call))

    async def _call(self, arn: str, messages: list[TopicMessage], round_: _Round) -> None:
        left = list(messages)
        codes: set[str] = set()

        async def once() -> bool:
            answers = await self._topics.publish(arn, left)
            again: list[TopicMessage] = []
            for message, refused in zip(left, answers, strict=True):
                if refused is None:
                    round_.sent.append(message.id)
                elif refused.final:
                    self._set_aside(message.id, f"{refused.code}: {refused.reason}", "refused", round_)
                else:
                    again.append(message)
                    codes.add(refused.code)
            left[:] = again
            return not left

        try:
            await retry_until_done(once, tries_max=_TRIES, pause=self._pause, clock=self._clock)
        except TopicsAway as away:
            self._telemetry.log.warning("topics away, left to the relay", count=len(left), reason=str(away))
            self._left(len(left), "topics_away")
            return
        if left:
            self._telemetry.log.warning("not published, left to the relay", count=len(left), codes=sorted(codes))
            self._left(len(left), "refused")

    async def _clear(self, round_: _Round) -> int:
        if round_.sent:
            self._telemetry.metrics.count(Metric.PUBLISHED, len(round_.sent))
        try:
            if round_.sent:
                await self._outbox.sent(round_.sent)
            for announcement_id, reason in round_.refused.items():
                self._telemetry.log.error("event set aside", announcementId=announcement_id, reason=reason)
                await self._outbox.set_aside(announcement_id, reason)
        except StoreAway as away:
            self._telemetry.log.warning("outbox not cleared, left to the relay", reason=str(away))
            self._left(len(round_.sent) + len(round_.refused), "store_away")
            return 0
        return len(round_.sent) + len(round_.refused)

    def _set_aside(self, announcement_id: str, reason: str, kind: str, round_: _Round) -> None:
        round_.refused[announcement_id] = reason
        self._telemetry.metrics.count(Metric.SET_ASIDE, reason=kind)

    def _left(self, count: int, reason: str) -> None:
        if count:
            self._telemetry.metrics.count(Metric.PUBLISH_LEFT, count, reason=reason)
