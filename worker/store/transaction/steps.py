"""The steps of one transaction that writes plans. Both stores execute the same steps in the same order.

    1. insert outbox entries, revisions, kept audit records, waits, new sync states, new conversations
    2. change sync states, then waits
    3. change work-items, those that complete before those that become active
    4. insert work-items
    5. change conversations
    6. change sessions

Conversations and sessions are contended, so they come last and are locked for the shortest time. New work-items come
after the changes of old ones, and completions before activations: a unique index allows one active work-item per
conversation. There is at most one step for each collection and kind, for any number of plans.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from handlers.ports import DocumentWrite, Plan
from worker.store.documents import Collection, announcement_document
from worker.store.state_document import state_document
from worker.store.transaction.changed_paths import ChangedPaths, changed_paths
from worker.store.transaction.session_changes import SessionChange, session_changes

COMMIT_ID: Final = "commitId"
"""The field of a sync state with the id of the transaction that wrote it last: the proof that it was committed."""


class DocumentInserts(Struct, frozen=True, kw_only=True):
    """New documents. The condition: none of them exists yet."""

    collection: Collection
    documents: Sequence[Mapping[str, Any]]


class DocumentChange(Struct, frozen=True, kw_only=True):
    """The change of one document. The condition: its field `condition_field` still has the value `expected`."""

    id: str
    condition_field: str
    expected: int | None
    paths: ChangedPaths


class DocumentChanges(Struct, frozen=True, kw_only=True):
    """Changes of stored documents. The condition: the conditions of all changes hold."""

    collection: Collection
    changes: Sequence[DocumentChange]


class SessionChanges(Struct, frozen=True, kw_only=True):
    """Changes of sessions; a session that is not stored is ignored. The condition: no other item holds a pending place
    that is taken only if it is free."""

    changes: Sequence[SessionChange]


TransactionStep = DocumentInserts | DocumentChanges | SessionChanges


def check_plan(plan: Plan) -> None:
    """Raise ValueError for a plan that writes documents and no state.

    Without a state there is no commit id, and an unknown commit result could not be looked up.
    """
    records = (*plan.revisions, *plan.waits, *plan.audits)
    writes = (plan.conversation, *plan.work_items, *records, *plan.moves, *plan.announcements)
    if plan.state is None and any(write is not None for write in writes):
        raise ValueError(f"the plan of conversation {plan.conversation_id} writes and leaves the sync state as it was")


def transaction_steps(plans: Sequence[Plan], commit_id: str) -> tuple[TransactionStep, ...]:
    """The steps that write all of `plans`. A plan has at most one write for each document."""
    conversations = [plan.conversation for plan in plans if plan.conversation is not None]
    work_items = [write for plan in plans for write in plan.work_items]
    waits = [write for plan in plans for write in plan.waits]
    new_states, state_changes = _states(plans, commit_id)
    inserts: tuple[tuple[Collection, Sequence[Mapping[str, Any]]], ...] = (
        (Collection.OUTBOX, [announcement_document(entry) for plan in plans for entry in plan.announcements]),
        (Collection.WORK_ITEM_REVISIONS, [revision for plan in plans for revision in plan.revisions]),
        (Collection.SYNC_AUDIT, [record for plan in plans for record in plan.audits]),
        (Collection.WAITS, _new(waits)),
        (Collection.SYNC_STATES, new_states),
        (Collection.CONVERSATIONS, _new(conversations)),
    )
    steps: list[TransactionStep] = [
        DocumentInserts(collection=name, documents=documents) for name, documents in inserts if documents
    ]
    if state_changes:
        steps.append(DocumentChanges(collection=Collection.SYNC_STATES, changes=state_changes))
    if changed := _changed(waits):
        steps.append(DocumentChanges(collection=Collection.WAITS, changes=changed))
    if work_items:
        steps.extend(_work_item_steps(work_items))
    if changed := _changed(conversations):
        steps.append(DocumentChanges(collection=Collection.CONVERSATIONS, changes=changed))
    if moves := [move for plan in plans for move in plan.moves]:
        steps.append(SessionChanges(changes=session_changes(moves)))
    return tuple(steps)


def _work_item_steps(writes: Sequence[DocumentWrite]) -> Iterator[TransactionStep]:
    changed = _changed(sorted(writes, key=lambda write: bool(write.after.get("active"))))
    if changed:
        yield DocumentChanges(collection=Collection.WORK_ITEMS, changes=changed)
    if new := _new(writes):
        yield DocumentInserts(collection=Collection.WORK_ITEMS, documents=new)


def _states(plans: Sequence[Plan], commit_id: str) -> tuple[list[dict[str, Any]], list[DocumentChange]]:
    new: list[dict[str, Any]] = []
    changes: list[DocumentChange] = []
    for plan in plans:
        if plan.state is None:
            continue
        document = state_document(plan.conversation_id, plan.state)
        document[COMMIT_ID] = commit_id
        if plan.state.version == 1:
            new.append(document)
        else:
            del document["_id"]
            paths = ChangedPaths(set=document, unset=())
            changes.append(
                DocumentChange(
                    id=plan.conversation_id, condition_field="version", expected=plan.state.version - 1, paths=paths
                )
            )
    return new, changes


def _new(writes: Iterable[DocumentWrite]) -> list[Mapping[str, Any]]:
    return [write.after for write in writes if write.before is None]


def _changed(writes: Iterable[DocumentWrite]) -> list[DocumentChange]:
    return [
        DocumentChange(
            id=write.after["_id"],
            condition_field="rev",
            expected=write.before.get("rev"),
            paths=changed_paths(write.before, write.after),
        )
        for write in writes
        if write.before is not None
    ]
