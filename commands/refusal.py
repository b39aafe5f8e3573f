"""Refusals: why the commands do not carry an update out.

| code | when |
|---|---|
| `INVALID_UPDATE` | the update is empty, or has an unknown field or a wrong value; `message` names every fault |
| `UNSUPPORTED_COMBINATION` | `routed` or `accepted` stands beside a field that it cannot go with |
| `TOO_MANY_FIELDS` | the update has more fields than `MAX_FIELDS` allows its origin |
| `REVISION_CONFLICT` | `rev` is not the work-item's revision |
| `WORK_ITEM_COMPLETED` | the work-item is completed |
| `UNKNOWN_QUEUE` | no queue has the key that the update names |
| `NO_QUEUE` | legacy funnel only: `assignedTo: null`, and neither the work-item nor its `lastRevision` names a queue |
| `NOT_QUEUED` | `routed.to`, and the work-item is neither queued nor routed |
| `NOT_ROUTED` | `routed.rejectedBy` or `routed.timedOut`, and the work-item is not routed |
| `NOT_ROUTED_TO_USER` | `routed.rejectedBy` or `routed.timedOut` names another user than the one it was offered to |

A refusal is a value, not an exception: the caller must say what becomes of the update.
"""

from enum import StrEnum

from msgspec import Struct


class RefusalCode(StrEnum):
    """Every code with which an update can be refused; the table above says when."""

    INVALID_UPDATE = "INVALID_UPDATE"
    UNSUPPORTED_COMBINATION = "UNSUPPORTED_COMBINATION"
    TOO_MANY_FIELDS = "TOO_MANY_FIELDS"
    REVISION_CONFLICT = "REVISION_CONFLICT"
    WORK_ITEM_COMPLETED = "WORK_ITEM_COMPLETED"
    UNKNOWN_QUEUE = "UNKNOWN_QUEUE"
    NO_QUEUE = "NO_QUEUE"
    NOT_QUEUED = "NOT_QUEUED"
    NOT_ROUTED = "NOT_ROUTED"
    NOT_ROUTED_TO_USER = "NOT_ROUTED_TO_USER"


class Refusal(Struct, frozen=True, kw_only=True):
    """An update that was not carried out. `message` names the field, the status and the remedy."""

    code: RefusalCode
    message: str
