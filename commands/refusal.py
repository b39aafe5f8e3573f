"""A refused update is a value, not an exception: the caller must say what becomes of it."""

from enum import StrEnum

from msgspec import Struct


class RefusalCode(StrEnum):
    """All codes with which an update can be refused (commands.md)."""

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
    """Nothing was written; `message` names the field, the status and the remedy."""

    code: RefusalCode
    message: str
