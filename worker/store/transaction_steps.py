"""Plans as writes: the steps of one transaction, in their order, for whichever store carries them out.

New documents come first and the contended ones, conversations and sessions, last, so that they are held for the
shortest time. The one exception is a new work-item, which comes after the changes of the old ones: a conversation has
one active work-item, and the old one must have let go. For the same reason a change that completes precedes one that
activates.

There is at most one step a collection and kind, however many plans there are.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from handlers.ports import DocumentWrite, Plan
from worker.store.changed_paths import ChangedPaths, changed_paths
from worker.store.documents import Collection, announcement_document
from worker.store.session_changes import SessionChange, session_changes
from worker.store.state_document import state_document

COMMIT_ID: Final = "commitId"
"""The field of a sync state that names the transaction which wrote it last: proof that a commit was done."""


class DocumentInserts(Struct, frozen=True, kw_only=True):
    """New documents; the step holds only if none of them is there."""

    collection: Collection
    documents: Sequence[Mapping[str, Any]]


class DocumentChange(Struct, frozen=True, kw_only=True):
    """One document's change, which holds only while its field `guard` still is `stands`."""

    id: str
    guard: str
    stands: int | None
    paths: ChangedPaths


class DocumentChanges(Struct, frozen=True, kw_only=True):
    """Changes of stored documents; the step holds only if all of them do."""

    collection: Collection
    changes: Sequence[DocumentChange]


class SessionChanges(Struct, frozen=True, kw_only=True):
    """Changes of sessions; those that are not stored are passed over."""

    changes: Sequence[SessionChange]


TransactionStep = DocumentInserts | DocumentChanges | SessionChanges


def check_plan(plan: Plan) -> None:
    """`ValueError` for a plan that writes without writing the state: nothing would tell it from a lost one."""
    writes = (plan.conversation, *plan.work_items, *plan.revisions, *plan.moves, *plan.announcements)
    if plan.state is None and any(write is not None for write in writes):
        raise ValueError(f"the plan of conversation {plan.conversation_id} writes and leaves the sync state as it was")


def steps_of(plans: Sequence[Plan], commit_id: str) -> tuple[TransactionStep, ...]:
    """The steps that carry out all of `plans`, each of which has at most one write a document."""
    conversations = [plan.conversation for plan in plans if plan.conversation is not None]
    work_items = [write for plan in plans for write in plan.work_items]
    new_states, state_changes = _states(plans, commit_id)
    inserts: tuple[tuple[Collection, Sequence[Mapping[str, Any]]], ...] = (
        (Collection.OUTBOX, [announcement_document(entry) for plan in plans for entry in plan.announcements]),
        (Collection.WORK_ITEM_REVISIONS, [revision for plan in plans for revision in plan.revisions]),
        (Collection.SYNC_STATES, new_states),
        (Collection.CONVERSATIONS, _new(conversations)),
    )
    steps: list[TransactionStep] = [
        DocumentInserts(collection=name, documents=documents) for name, documents in inserts if documents
    ]
    if state_changes:
        steps.append(DocumentChanges(collection=Collection.SYNC_STATES, changes=state_changes))
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
                DocumentChange(id=plan.conversation_id, guard="version", stands=plan.state.version - 1, paths=paths)
            )
    return new, changes


def _new(writes: Iterable[DocumentWrite]) -> list[Mapping[str, Any]]:
    return [write.after for write in writes if write.before is None]


def _changed(writes: Iterable[DocumentWrite]) -> list[DocumentChange]:
    return [
        DocumentChange(
            id=write.after["_id"],
            guard="rev",
            stands=write.before.get("rev"),
            paths=changed_paths(write.before, write.after),
        )
        for write in writes
        if write.before is not None
    ]
