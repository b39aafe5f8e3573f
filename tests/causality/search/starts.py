"""The starts of the searches: pairs in agreement, a pair that no rule brings into agreement, no work-item, and the
work-item that follows one whose completion closed the conversation."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from commands.instant import format_instant
from handlers.documents.document import document_from_snapshot
from handlers.documents.document_mapping import conversation_of, work_item_of
from handlers.options import Options
from handlers.ports import Plan
from handlers.routing.queue_rules import QueueRules
from sync.contract import FieldHistory, LastWrite
from sync.conversation import FIELDS
from sync.state.agreement import agreed_fields, shared_values, work_item_values
from sync.state.reconciliation import after_reconcile
from sync.state.sync_state import SyncState, ViewedValue
from tests.causality.outside import NOW, ChangesForm
from tests.causality.ports import run_to_end
from tests.causality.search.acts import C
from tests.causality.search.budget import Budget
from tests.causality.search.node import Node
from tests.causality.search.record import OutsideHistory, Version
from worker.store.memory.store import MemoryStore

REV: Final = 5
ITEM_REV: Final = 3

PAIRS: Final[Mapping[str, tuple[dict[str, Any], dict[str, Any] | None]]] = {
    "no work-item": ({}, None),
    "no work-item, conversation assigned": ({"users": ["u1"], "queue": "q1"}, None),
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


Age = Literal["young", "old", "old conversation", "old work-item"]
"""The documents that were written long before the first worker of the deployment started."""


class SearchStart(Struct, frozen=True, kw_only=True):
    """A start: its pair, and what is known of it. `observed`: all revisions so far are observed. `services_ahead_s`: by
    how much the services' clocks are ahead of the workers'."""

    pair: str
    observed: bool = True
    age: Age = "young"
    services_ahead_s: float = 0.0
    form: ChangesForm = "those that changed"
    queue_rules: QueueRules | None = None

    def node(self, *, options: Options, budget: Budget) -> Node:
        """The world at the start."""
        of_conversation, of_item = PAIRS[self.pair]
        store = MemoryStore()
        conversation = _conversation(of_conversation, _updated_at(self.age in ("old", "old conversation")))
        item = None if of_item is None else _item(of_item, _updated_at(self.age in ("old", "old work-item")))
        if self.observed:
            _put_observed(store, conversation, item)
        store.put_conversation(conversation)
        if item is not None:
            store.put_work_item(item)
        history = _held_at_the_start(conversation, item, observed=self.observed)
        return Node(
            store=store,
            options=replace(options, deployed_at=NOW),
            budget=budget,
            writes=OutsideHistory(start_rev=REV, written=Version(history=history)),
            known=self.observed,
            services_now=NOW + timedelta(seconds=self.services_ahead_s),
            form=self.form,
            queue_rules=self.queue_rules,
        )


def _updated_at(old: bool) -> dict[str, str]:
    """The time of writing; a document without one is old."""
    return {} if old else {"updatedAt": format_instant(NOW)}


def _conversation(fields: dict[str, Any], updated_at: dict[str, str]) -> Any:
    return document_from_snapshot(
        {
            "id": C,
            "type": "conversation",
            "attributes": {
                "rev": REV,
                "status": fields.get("status", "open"),
                "assignedUsers": fields.get("users", []),
                "ended": fields.get("ended", False),
                **updated_at,
            },
            "relationships": _queue(fields),
        },
        org="org",
        rev=REV,
    )


def _held_at_the_start(conversation: Any, item: Any, *, observed: bool) -> FieldHistory:
    """The values at the start, which must stay until a write. Where the sides differ unobserved, either may win."""
    of_conversation = conversation_of(conversation)
    held = {name: LastWrite(rev=1, value=value) for name, value in shared_values(of_conversation).items()}
    if item is None:
        return FieldHistory(conversation=held)
    of_item = work_item_of(item)
    agreed = agreed_fields(of_conversation, of_item)
    values = work_item_values(of_item)
    return FieldHistory(
        conversation=held,
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
    values = shared_values(conversation_of(conversation))
    view = {name: ViewedValue(value=value, rev=1) for name, value in values.items()}
    state = SyncState(conversation_observed=((1, REV),), conversation_rev=REV, view=view)
    if item is not None:
        of_item = work_item_of(item)
        state = SyncState(
            conversation_observed=((1, REV),),
            conversation_rev=REV,
            view=view,
            work_item=of_item.id,
            work_item_number=1,
            work_item_observed=((1, ITEM_REV),),
            work_item_rev=ITEM_REV,
        )
        state = after_reconcile(state, conversation_of(conversation), of_item, queue_now=NOW)
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
                "queuedCount": 1 if of_item.get("queue") else 0,
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
