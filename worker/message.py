"""A message as SQS delivered it: what is in the worker's hand until it is settled."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from commands.record import record


@record
class Message:
    """One delivery. `receipt` names the delivery, `id` the message; a message delivered again has a new receipt.

    `attributes` are the message's own, in SQS' shape `{name: {DataType, StringValue | BinaryValue}}`. `receive_count`
    counts this delivery. `group` is the message group of a FIFO queue.
    """

    id: str
    receipt: str
    body: str
    attributes: Mapping[str, Mapping[str, Any]]
    receive_count: int
    received_at: datetime
    group: str | None = None
