"""The requests of a sweep's page. Both stores share them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from msgspec.structs import astuple

from handlers.ports import LoadRequest
from worker.ports.sweeps import LostItem, StoredPage


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


def page_of_sessions(held: Sequence[LostItem], stored: Mapping[str, Any], last: str | None) -> StoredPage:
    """The page of the pairs whose work-items sessions hold. `stored`: by id, the conversation id of those that are
    stored. A work-item that is of no conversation has no pair."""
    requests = merged_requests(
        LoadRequest(
            conversation_id=stored[each.work_item_id],
            work_item_ids=frozenset({each.work_item_id}),
            users=frozenset({each.user}),
        )
        for each in held
        if isinstance(stored.get(each.work_item_id), str)
    )
    lost = sorted((each for each in held if each.work_item_id not in stored), key=astuple)
    return StoredPage(requests=requests, last=last, lost=tuple(lost))


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
