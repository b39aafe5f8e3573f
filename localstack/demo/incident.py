"""The incident of 2022-03-02: three writes, delivered in the order that lost an assignment.

All three writes are stored before the first event is delivered. The queue rules queued the work-item without knowing of
the workflow's assignment, so their event must not undo it.
"""

import json
from collections.abc import Mapping
from typing import Any

from demo.messages import CAPTURED, Message, captured_outside_writes, moved_to_now

FOLDER = "incident-2022-03-02-lost-assignment"
CONVERSATION = "621fc1d36a39b4aa389cb72b"
WORK_ITEM = "621fc1d5cb4ca800935aa935"
AGENT = "61a6a83fdf1e2d21501a77c1"
QUEUE = "5dea5f45c6a646001a621475"

ENDS: Mapping[str, Mapping[str, str]] = {
    "legacy": {
        "conversation": "open",
        "assigned users": "–",
        "conversation queue": QUEUE,
        "work-item": "queued",
        "assigned to": "–",
        "work-item queue": QUEUE,
    },
    "causal": {
        "conversation": "open",
        "assigned users": AGENT,
        "conversation queue": QUEUE,
        "work-item": "assigned",
        "assigned to": AGENT,
        "work-item queue": QUEUE,
    },
}
"""How the pair must end, by policy."""


def deliveries() -> list[Message]:
    """The messages in the order that lost the assignment, which is that of their writes; times moved to now."""
    return moved_to_now(captured_outside_writes(FOLDER))


def stored_writes(messages: list[Message]) -> Mapping[str, Message]:
    """The last write of each side, by side: the documents as they stand when the first event is delivered."""
    return {message["body"]["data"]["type"]: message for message in messages}


def recorded_write() -> Mapping[str, Any]:
    """The fields that the predecessor wrote to the conversation, from its audit line of 2022."""
    line = (CAPTURED / FOLDER / "recorded-audit.ndjson").read_text().splitlines()[0]
    written: Mapping[str, Any] = json.loads(line)["updatedConversation"]
    return written
