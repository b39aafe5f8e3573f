"""The ports of SNS: the topics, and the announcer that takes what was settled."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from handlers.ports import Announcement
from worker.ports.aws_entries import EntryResults


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


class Announcer(Protocol):
    """Publishes the announcements of settled events."""

    def offer(self, announcements: Sequence[Announcement]) -> None:
        """Accept the announcements or leave them to the relay; never waits."""
        ...
