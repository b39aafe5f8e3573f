"""Dead letters as a capture, which `routing-sync replay` reads: SQS messages, one JSON object a line.

A capture holds whole messages, so customers' words too.
"""

import base64
import json
from collections.abc import Mapping
from typing import Any

from worker.letters.letter import Letter
from worker.ports.message_queue import SENT_LONG_AGO


def capture_line(letter: Letter) -> str:
    """The letter as SQS delivers it, without the receipt, which is worth nothing later."""
    message = letter.message
    system: dict[str, str] = {
        "SentTimestamp": str(int((message.sent_at - SENT_LONG_AGO).total_seconds() * 1000)),
        "ApproximateReceiveCount": str(message.receive_count),
    }
    if message.group is not None:
        system["MessageGroupId"] = message.group
    if letter.moved_from is not None:
        system["DeadLetterQueueSourceArn"] = letter.moved_from
    line = {
        "MessageId": message.id,
        "Body": message.body,
        "Attributes": system,
        "MessageAttributes": {name: _attribute(value) for name, value in message.attributes.items()},
    }
    return json.dumps(line, separators=(",", ":"))


def _attribute(value: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: base64.b64encode(part).decode() if isinstance(part, bytes) else part
        for key, part in value.items()
        if part is not None
    }
