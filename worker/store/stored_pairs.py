"""The requests of a sweep's page. Both stores share them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from handlers.ports import LoadRequest


def merged_requests(requests: Iterable[LoadRequest]) -> Sequence[LoadRequest]:
    """One request for each conversation, with the work-items and users of all its requests."""
    merged: dict[str, LoadRequest] = {}
    for request in requests:
        other = merged.get(request.conversation_id)
        if other is not None:
            request = LoadRequest(  # noqa: PLW2901 - the merged one takes its place
                conversation_id=request.conversation_id,
                work_item_ids=request.work_item_ids | other.work_item_ids,
                users=request.users | other.users,
            )
        merged[request.conversation_id] = request
    return list(merged.values())


def missed_by_conversation(
    item: Mapping[str, Any], conversation_ids: Collection[str], numbers: Mapping[str, Any]
) -> bool:
    """Whether a sweep of the conversations does not meet this work-item's pair as it is.

    That is so where the conversation is not stored, and for a completed work-item that is later than the one that the
    sync state names. `conversation_ids`: those that are stored; `numbers`: the states' work-item numbers.
    """
    conversation_id, active = item["conversationId"], item.get("active") is True
    if active or conversation_id not in conversation_ids:
        return active and conversation_id not in conversation_ids
    number, known = item.get("workItemNumber"), numbers.get(conversation_id)
    return isinstance(number, int) and isinstance(known, int) and number > known
