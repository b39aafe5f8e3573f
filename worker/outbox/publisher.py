"""The publisher: sends the announcements of a settled batch to SNS and removes their entries from the outbox.

No settlement waits for it. An announcement that does not fit into its queue, or meets SNS or the store away, stays in
the outbox, where the relay finds it. An announcement that can never be published is set aside with the reason.
"""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from handlers.ports import Announcement, StoreAway
from sync.gates import Side
from worker.errors import TopicsAway
from worker.outbox.topic_message import SNS_BYTES_MAX, pack_into_calls, topic_message
from worker.ports.aws_calls import is_fifo
from worker.ports.outbox import Outbox
from worker.ports.topics import TopicMessage, Topics
from worker.runtime.backoff import JitteredBackoff, retry_until_done
from worker.runtime.context import RuntimeContext
from worker.telemetry.metrics import Metric

_BATCH_MAX: Final = 100
_TRIES_MAX: Final = 3
_CALLS_MAX: Final = 4


@dataclass(slots=True, kw_only=True)
class _PublishResult:
    """The ids that SNS took, and the ids to set aside with the reason. Every other announcement stays as it is."""

    sent: list[str]
    to_set_aside: dict[str, str]


class Publisher:
    """One for the process; an `Announcer`."""

    def __init__(
        self,
        *,
        topics: Topics,
        arns: Mapping[Side, str],
        outbox: Outbox,
        pause: JitteredBackoff,
        waiting_max: int,
        runtime: RuntimeContext,
    ) -> None:
        """`arns` names the topic of each side, `pause` is the backoff of failed calls, and at most `waiting_max`
        announcements wait in memory."""
        self._topics = topics
        self._arns = arns
        self._outbox = outbox
        self._pause = pause
        self._waiting_max = waiting_max
        self._clock = runtime.clock
        self._telemetry = runtime.telemetry
        self._waiting: deque[Announcement] = deque()
        self._held_ids: set[str] = set()
        self._arrived = asyncio.Event()
        self.idle = asyncio.Event()
        self.idle.set()

    def offer(self, announcements: Sequence[Announcement]) -> None:
        """Accept the announcements that fit and leave the rest to the relay; never waits."""
        accepted = announcements[: max(self._waiting_max - len(self._waiting), 0)]
        if accepted:
            self._waiting.extend(accepted)
            self._held_ids.update(announcement.id for announcement in accepted)
            self.idle.clear()
            self._arrived.set()
        self._count_left_to_relay(len(announcements) - len(accepted), "overflow")

    def holds(self, announcement_id: str) -> bool:
        """Whether the announcement waits here or is being published: the relay then leaves it alone."""
        return announcement_id in self._held_ids

    async def run(self) -> None:
        """Publish the accepted announcements until cancelled."""
        while True:
            await self._arrived.wait()
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), _BATCH_MAX))]
            await self.publish(batch)
            self._held_ids.difference_update(announcement.id for announcement in batch)
            if not self._waiting:
                self._arrived.clear()
                self.idle.set()

    async def publish(self, announcements: Sequence[Announcement]) -> int:
        """Publish the announcements and clear their outbox entries; returns how many entries no longer wait.

        SNS and the store being away are logged and counted, not raised.
        """
        result = _PublishResult(sent=[], to_set_aside={})
        by_arn: dict[str, list[TopicMessage]] = {}
        for announcement in announcements:
            message = self._message(announcement, result)
            if message is not None:
                by_arn.setdefault(self._arns[announcement.side], []).append(message)
        for arn, messages in by_arn.items():
            await self._publish_to(arn, messages, result)
        return await self._clear_outbox(result)

    def _message(self, announcement: Announcement, result: _PublishResult) -> TopicMessage | None:
        """The message to send; None if SNS can never take it."""
        try:
            message = topic_message(id=announcement.id, group=announcement.conversation_id, text=announcement.message)
        except ValueError as error:
            self._set_aside(announcement.id, f"UNREADABLE: {error}", "unreadable", result)
            return None
        if message.size_bytes > SNS_BYTES_MAX:
            reason = f"TOO_LARGE: {message.size_bytes} bytes, SNS takes {SNS_BYTES_MAX}"
            self._set_aside(announcement.id, reason, "too_large", result)
            return None
        return message

    async def _publish_to(self, arn: str, messages: Sequence[TopicMessage], result: _PublishResult) -> None:
        calls = list(pack_into_calls(messages))
        if is_fifo(arn):
            # Two calls side by side could reverse the order of a message group.
            for call in calls:
                await self._send(arn, call, result)
            return
        slots = asyncio.Semaphore(_CALLS_MAX)

        async def send_in_slot(call: list[TopicMessage]) -> None:
            async with slots:
                await self._send(arn, call, result)

        async with asyncio.TaskGroup() as tasks:
            for call in calls:
                tasks.create_task(send_in_slot(call))

    async def _send(self, arn: str, messages: list[TopicMessage], result: _PublishResult) -> None:
        """One call; the messages that SNS refuses for now are sent again, a few times."""
        left = list(messages)
        codes: set[str] = set()

        async def once() -> bool:
            refusals = await self._topics.publish(arn, left)
            again: list[TopicMessage] = []
            for message, refused in zip(left, refusals, strict=True):
                if refused is None:
                    result.sent.append(message.id)
                elif refused.final:
                    self._set_aside(message.id, f"{refused.code}: {refused.reason}", "refused", result)
                else:
                    again.append(message)
                    codes.add(refused.code)
            left[:] = again
            return not left

        try:
            await retry_until_done(once, tries_max=_TRIES_MAX, pause=self._pause, clock=self._clock)
        except TopicsAway as away:
            self._telemetry.log.warning("topics away, left to the relay", count=len(left), reason=str(away))
            self._count_left_to_relay(len(left), "topics_away")
            return
        if left:
            self._telemetry.log.warning("not published, left to the relay", count=len(left), codes=sorted(codes))
            self._count_left_to_relay(len(left), "refused")

    async def _clear_outbox(self, result: _PublishResult) -> int:
        if result.sent:
            self._telemetry.metrics.count(Metric.PUBLISHED, len(result.sent))
        try:
            if result.sent:
                await self._outbox.remove_entries(result.sent)
            for announcement_id, reason in result.to_set_aside.items():
                self._telemetry.log.error("event set aside", announcementId=announcement_id, reason=reason)
                await self._outbox.set_aside(announcement_id, reason)
        except StoreAway as away:
            self._telemetry.log.warning("outbox not cleared, left to the relay", reason=str(away))
            self._count_left_to_relay(len(result.sent) + len(result.to_set_aside), "store_away")
            return 0
        return len(result.sent) + len(result.to_set_aside)

    def _set_aside(self, announcement_id: str, reason: str, kind: str, result: _PublishResult) -> None:
        result.to_set_aside[announcement_id] = reason
        self._telemetry.metrics.count(Metric.SET_ASIDE, reason=kind)

    def _count_left_to_relay(self, count: int, reason: str) -> None:
        if count:
            self._telemetry.metrics.count(Metric.PUBLISH_LEFT, count, reason=reason)
