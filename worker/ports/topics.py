"""The ports of SNS: the topics, and the look at whether what they publish reaches the queue."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from worker.findings import Result
from worker.ports.aws_calls import EntryResults


class TopicMessage(Struct, frozen=True, kw_only=True):
    """A message for a topic. `id` is the same at every try; `group` is the message group on a FIFO topic.

    `size_bytes` is the size as SNS counts it: text and attributes.
    """

    id: str
    group: str
    text: str
    attributes: Mapping[str, Mapping[str, str | bytes]]
    size_bytes: int


class Topics(Protocol):
    """SNS. `outbox/topic_message.py` holds SNS's limits and packs messages into calls."""

    async def publish(self, arn: str, messages: Sequence[TopicMessage]) -> EntryResults:
        """Publish one call's messages to the topic."""
        ...


class DeliveryInspection(Protocol):
    """Looks at what must stand for events to reach the queue: its policy and its subscriptions."""

    async def look(self) -> Sequence[Result]:
        """What was found; what AWS does not say is `Untried`, with the subject that a finding there has."""
        ...
