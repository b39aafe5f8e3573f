"""A stand-in for SNS in memory, with failures that a test sets."""

import asyncio
from collections.abc import Sequence

from tests.worker.stand_ins.message_queue import StandInQueue
from worker.errors import TopicsAway
from worker.outbox.topic_message import SNS_BYTES_MAX, SNS_ENTRIES_MAX
from worker.ports.aws_calls import RefusedEntry, is_fifo
from worker.ports.topics import TopicMessage


class StandInTopics:
    """`Topics` in memory that check the limits of SNS; a FIFO topic takes each message id once.

    `answers` are the refusals of a message id, in order, and `refuse_next` that of the next message. `away` fails every
    call, `refusing` the calls to these ARNs. While `gate` is not set, a call waits for it. `queue` is subscribed to
    every topic, with raw delivery.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, list[TopicMessage]]] = []
        self.answers: dict[str, list[RefusedEntry]] = {}
        self.refuse_next: RefusedEntry | None = None
        self.away = False
        self.refusing: set[str] = set()
        self.gate: asyncio.Event | None = None
        self.queue: StandInQueue | None = None

    async def publish(self, arn: str, messages: Sequence[TopicMessage]) -> Sequence[RefusedEntry | None]:
        if self.gate is not None:
            await self.gate.wait()
        if self.away or arn in self.refusing:
            raise TopicsAway("connection refused")
        assert len(messages) <= SNS_ENTRIES_MAX
        assert sum(message.size_bytes for message in messages) <= SNS_BYTES_MAX
        known = set(self.published) if is_fifo(arn) else set()
        taken = [one for one in messages if one.id not in known]
        self.calls.append((arn, taken))
        if self.queue is not None:
            for one in taken:
                self.queue.send(one.text, group=one.group if is_fifo(arn) else None)
        if self.refuse_next is not None:
            self.answers.setdefault(messages[0].id, []).append(self.refuse_next)
            self.refuse_next = None
        return [self.answers[one.id].pop(0) if self.answers.get(one.id) else None for one in messages]

    @property
    def published(self) -> list[str]:
        return [message.id for _, messages in self.calls for message in messages]
