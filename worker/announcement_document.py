"""An outbox entry as a document of `outbox`, and back."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from handlers.ports import Announcement


class EntryStatus(StrEnum):
    """Waiting to be published, or set aside because it never can be."""

    WAITING = "waiting"
    SET_ASIDE = "set-aside"


def announcement_document(entry: Announcement) -> dict[str, Any]:
    """The document of a waiting entry; `createdAt` is a date, for the index."""
    return {
        "_id": entry.id,
        "conversationId": entry.conversation_id,
        "side": entry.side,
        "message": entry.message,
        "createdAt": entry.created_at,
        "status": EntryStatus.WAITING.value,
    }


def announcement_of(document: Mapping[str, Any]) -> Announcement:
    """The entry a document holds, whatever its status."""
    return Announcement(
        id=document["_id"],
        conversation_id=document["conversationId"],
        side=document["side"],
        message=document["message"],
        created_at=document["createdAt"],
    )
