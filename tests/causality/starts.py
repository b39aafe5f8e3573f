"""The starts of the searches: pairs in agreement, a pair that no rule brings into agreement, and no work-item."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec.structs import replace

from commands.instant import format_instant
from handlers.documents.document import document_from_snapshot
from handlers.documents.document_mapping import conversation_of, work_item_of
from handlers.options import Options
from handlers.ports import Plan
from sync.contract import FieldHistory, LastWrite, work_item_values
from sync.conversation import FIELDS
from sync.state import SyncState, after_reconcile, agreed_fields, shared_values
from tests.causality.node import Budget, C, Node
from tests.causality.outside import NOW
from tests.causality.ports import run_to_end
from worker.store.memory import MemoryStore

REV: Final = 5
ITEM_REV: Final = 3

PAIRS: Final[Mapping[str, tuple[dict[str, Any], dict[str, Any] | None]]] = {
    "no work-item": ({}, None),
    "ivr": ({}, {"status": "ivr"}),
    "ivr, conversation assigned": ({"users": ["u1"]}, {"status": "ivr"}),
    "queued": ({"queue": "q1"}, {"status": "queued", "queue": "q1"}),
    "assigned": ({"users": ["u1"], "queue": "q1"}, {"status": "assigned", "user": "u1", "queue": "q1"}),
    "wrap-up": (
        {"users": ["u1"], "queue": "q1", "ended": True},
        {"status": "wrap-up", "user": "u1", "queue": "q1"},
    ),
    "snoozed": (
        {"users": ["u1"], "queue": "q1", "status": "snoozed"},
        {"status": "assigned", "user": "u1", "queue": "q1", "paused": True},
    ),
}


def start(pair: str, *, observed: bool, old: bool, options: Options, budget: Budget) -> Node:
    """The world at the start. `observed`: all revisions so far are observed. `old`: neither document is young."""
    of_conversation, of_item = PAIRS[pair]
    updated_at = {} if old else {"updatedAt": format_instant(NOW)}
    store = MemoryStore()
    conversation = document_from_snapshot(
        {
            "id": C,
            "type": "conversation",
            "attributes": {
                "rev": REV,
                "status": of_conversation.get("status", "open"),
                "assignedUsers": of_conversation.get("users", []),
                "ended": of_conversation.get("ended", False),
                **updated_at,
            },
            "relationships": _queue(of_conversation),
        },
        org="org",
        rev=REV,
    )
    item = None if of_item is None else _item(of_item, updated_at)
    if observed:
        _put_observed(store, conversation, item)
    store.put_conversation(conversation)
    if item is not None:
        store.put_work_item(item)
    history = _held_at_the_start(conversation, item, observed=observed)
    return Node(store=store, options=options, budget=budget, start_rev=REV, known=observed, history=history)


def _held_at_the_start(conversation: Any, item: Any, *, observed: bool) -> FieldHistory:
    """The values at the start, which must stay until a write. Where the sides differ unobserved, either may win."""
    if item is None:
        return FieldHistory()
    of_conversation, of_item = conversation_of(conversation), work_item_of(item)
    agreed = agreed_fields(of_conversation, of_item)
    values = work_item_values(of_item)
    return FieldHistory(
        conversation={name: LastWrite(rev=1, value=value) for name, value in shared_values(of_conversation).items()},
        work_item={
            name: LastWrite(
                rev=1,
                value=values[name],
                known_conversation_rev=REV if observed or name in agreed else None,
            )
            for name in FIELDS
        },
    )


def _put_observed(store: MemoryStore, conversation: Any, item: Any) -> None:
    state = SyncState(conversation_observed=((1, REV),), conversation_rev=REV)
    if item is not None:
        of_item = work_item_of(item)
        state = SyncState(
            conversation_observed=((1, REV),),
            conversation_rev=REV,
            work_item=of_item.id,
            work_item_number=1,
            work_item_observed=((1, ITEM_REV),),
            work_item_rev=ITEM_REV,
        )
        state = after_reconcile(state, conversation_of(conversation), of_item, now=NOW)
    plan = Plan(conversation_id=C, state=replace(state, version=1))
    run_to_end(store.commit([plan]))


def _item(of_item: dict[str, Any], updated_at: dict[str, str]) -> Any:
    user = of_item.get("user")
    return document_from_snapshot(
        {
            "id": "w1",
            "type": "work_item",
            "attributes": {
                "rev": ITEM_REV,
                "status": of_item["status"],
                "resourceType": "conversation",
                "resourceRev": 1,
                "paused": of_item.get("paused", False),
                "workItemNumber": 1,
                **updated_at,
            },
            "relationships": {
                "resource": {"data": {"id": C, "type": "conversation"}},
                **_queue(of_item),
                **({"assignedTo": {"data": {"id": user, "type": "user"}}} if user else {}),
            },
        },
        org="org",
        rev=ITEM_REV,
    )


def _queue(fields: dict[str, Any]) -> dict[str, Any]:
    return {"queue": {"data": {"id": fields["queue"], "type": "queue"}}} if "queue" in fields else {}
