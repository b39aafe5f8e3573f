"""A kind of malformed message, and the well-formed message that most kinds alter.

Every body with values has `CONTENT` in it. No reason may show it, because a dead letter's reason is read by people who
may not read customers' messages.
"""

import copy
import re
from typing import Any, Final

from msgspec import Struct

from handlers.events.event import RejectionCode
from tests.handlers.wire_events import Json, conversation, event, published, work_item

CONTENT: Final = "Ada-Lovelace-says-hello"
"""Text that a customer wrote."""
BYTES_MAX: Final = 1_048_576

_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\U0010ffff]")


class _Gone:
    def __repr__(self) -> str:
        return "GONE"


GONE: Final = _Gone()
"""In the place of a value: the key is removed."""


class Kind(Struct, frozen=True, kw_only=True):
    """One kind of malformed message. `says` is a part of the reason."""

    id: str
    body: str
    code: RejectionCode
    says: str

    @property
    def sendable(self) -> bool:
        """False where SQS itself refuses the body: it is empty, too large, or has characters outside XML 1.0."""
        if not self.body or _NOT_XML.search(self.body):
            return False
        return len(self.body.encode()) <= BYTES_MAX


def good(side: str = "conversation") -> Json:
    """A well-formed published message with every modelled field."""
    return copy.deepcopy(_GOOD[side])


def _full_conversation() -> Json:
    data = conversation(2, queue="q-1", users=("u-1",), deleted=False, updatedAt="2024-05-06T07:08:09.250Z")
    data["attributes"]["preview"] = CONTENT
    return published(
        event(
            data,
            isSync=False,
            changes={
                "attributes": {"status": {"op": "replace", "before": CONTENT, "after": "open"}},
                "relationships": {"queue": {"op": "add", "before": None, "after": None}},
            },
            routingReasons=[{"action": "QUEUE_WORK_ITEM", "code": "QUEUE_RULES_HIT", "meta": {"conversationRev": 1}}],
        )
    )


def _full_work_item() -> Json:
    at = "2024-05-06T07:08:09.250Z"
    numbers = ("resourceFirstQueueTime", "resourceFirstRouteTime", "resourceFirstAssignTime", "queuedCount", "priority")
    instants = ("firstEnterQueueAt", "resourceCreatedAt", "completedAt", "updatedAt")
    flat: dict[str, Any] = {**dict.fromkeys(numbers, 1), **dict.fromkeys(instants, at)}
    data = work_item(
        2,
        queue="q-1",
        user="u-1",
        session="s-1",
        status="assigned",
        resourceRev=1,
        **flat,
        lastRevision={
            "enteredQueueAt": at,
            "queueTime": 1,
            "queueBusinessTime": 1,
            "routedAt": at,
            "acceptedAt": at,
        },
        ivr={"enteredAt": at, "time": 1, "businessTime": 1},
        wrapUp={"enteredAt": at, "time": 1, "businessTime": 1},
        handle={"time": 1, "resumedAt": at},
        custom={"said": CONTENT},
    )
    for name in ("rule", "acceptedBy", "routedTo", "team", "lastRevision"):
        data["relationships"][name] = {"data": {"type": name, "id": f"{name}-1"}}
    reason = {"action": "UPDATE_COMMAND", "code": "WORK_ITEM_UPDATE_CMD", "meta": {"data": {"resource": {"rev": 1}}}}
    return published(event(data, routingReasons=[reason]))


_GOOD: Final = {"conversation": _full_conversation(), "work-item": _full_work_item()}


def altered(message: Json, path: str, value: Any) -> Json:
    """The message with the value at a dotted path replaced, added, or removed (`GONE`). It is changed in place."""
    *steps, last = path.split(".")
    node: Any = message
    for step in steps:
        node = node[int(step)] if isinstance(node, list) else node[step]
    if value is GONE:
        del node[last]
    elif isinstance(node, list):
        node[int(last)] = value
    else:
        node[last] = value
    return message
