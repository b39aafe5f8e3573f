"""The sync state as a document of `sync_states`, and back. Both stores hold it in this form."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from msgspec.structs import replace

from commands.instant import format_instant, parse_instant
from handlers.documents.stored_forms import form_of, unreadable
from sync.state.revision_runs import RevisionRuns, highest
from sync.state.sync_state import DoneBy, RecordedWait, SyncState, ViewedValue, Waiting
from worker.store.state_forms import ConversationStateForm, StateForm, WaitingRevsForm, WorkItemStateForm

_NO_CONVERSATION: Final = ConversationStateForm()
_NO_WORK_ITEM: Final = WorkItemStateForm()
_NO_WAITING_REVS: Final = WaitingRevsForm()


def state_document(conversation_id: str, state: SyncState) -> dict[str, Any]:
    """The document of a state (docs/rules.md, *The sync state*). Its `_id` is the conversation's id."""
    waiting, wait = state.waiting, state.recorded_wait
    return {
        "_id": conversation_id,
        "version": state.version,
        "conversation": {
            "observed": [list(run) for run in state.conversation_observed],
            "rev": state.conversation_rev,
            "floor": state.conversation_floor,
            "inserted": state.conversation_inserted,
        },
        "workItem": {
            "id": state.work_item,
            "number": state.work_item_number,
            "observed": [list(run) for run in state.work_item_observed],
            "rev": state.work_item_rev,
            "floor": state.work_item_floor,
        },
        "view": {name: {"value": viewed.value, "rev": viewed.rev} for name, viewed in state.view.items()},
        "changed": dict(state.changed),
        "known": dict(state.known),
        "knownAt": dict(state.known_at),
        "touched": dict(state.touched),
        "doneBy": {"number": state.done_by.number, "rev": state.done_by.rev} if state.done_by else None,
        "waitingSince": format_instant(waiting.since) if waiting else None,
        "waitingRevs": _waiting_revs(waiting) if waiting else None,
        # An older worker that meets a new work-item leaves what it does not know of the one before it.
        "historyOf": state.work_item,
        "recordedWait": {"id": wait.id, "rev": wait.rev} if wait else None,
        "deletedRev": state.deleted_rev,
        "finishedAt": format_instant(state.finished_at) if state.finished_at else None,
    }


def state_of(document: Mapping[str, Any] | None) -> SyncState:
    """The state that a document holds; an empty state for None. Raises UnreadableDocument.

    Every document has a `version`. Any other missing field counts as 0 or empty.
    """
    if document is None:
        return SyncState()
    form = form_of(document, StateForm)
    conversation, item = form.conversation or _NO_CONVERSATION, form.work_item or _NO_WORK_ITEM
    conversation_observed, work_item_observed = _runs(conversation.observed), _runs(item.observed)
    # A state without `rev` is an older worker's, which stored every revision that it observed.
    conversation_rev = highest(conversation_observed) if conversation.rev is None else conversation.rev
    work_item_rev = highest(work_item_observed) if item.rev is None else item.rev
    return SyncState(
        version=form.version,
        conversation_observed=conversation_observed,
        conversation_rev=conversation_rev,
        conversation_floor=conversation.floor,
        conversation_inserted=conversation.inserted,
        work_item=item.id,
        work_item_number=item.number,
        work_item_observed=work_item_observed,
        work_item_rev=work_item_rev,
        work_item_floor=item.floor,
        view={name: ViewedValue(value=viewed.value, rev=viewed.rev) for name, viewed in (form.view or {}).items()},
        changed=form.changed or {},
        known=form.known or {},
        known_at=form.known_at or {},
        touched={} if _is_of_other_item(form) else form.touched or {},
        done_by=DoneBy(number=form.done_by.number, rev=form.done_by.rev) if form.done_by else None,
        waiting=_waiting(document, form, conversation_rev, work_item_rev),
        recorded_wait=RecordedWait(id=form.recorded_wait.id, rev=form.recorded_wait.rev)
        if form.recorded_wait
        else None,
        deleted_rev=form.deleted_rev,
        finished_at=_instant(document, form.finished_at, "finishedAt"),
    )


def work_item_id_of(document: Mapping[str, Any]) -> str | None:
    """The id of the work-item that a state's document names. None if it names none, or a value that is not text: the id
    becomes part of queries."""
    item = document.get("workItem")
    key = item.get("id") if isinstance(item, Mapping) else None
    return key if isinstance(key, str) else None


def recorded_wait_of(document: Mapping[str, Any]) -> RecordedWait | None:
    """The recorded wait that a state's document names; None if it names none, or not in this form."""
    match document.get("recordedWait"):
        case {"id": str(key), "rev": int(rev)}:
            return RecordedWait(id=key, rev=rev)
        case _:
            return None


def _waiting_revs(waiting: Waiting) -> dict[str, Any]:
    # `since` names the wait that the revisions belong to: an older worker leaves them beside a wait of its own.
    return {
        "since": format_instant(waiting.since),
        "conversation": waiting.conversation_rev,
        "workItem": waiting.work_item_rev,
        "values": dict(waiting.values),
    }


def _waiting(document: Mapping[str, Any], form: StateForm, conversation_rev: int, work_item_rev: int) -> Waiting | None:
    since = _instant(document, form.waiting_since, "waitingSince")
    if since is None:
        return None
    revs = form.waiting_revs
    if revs is None or revs.since != form.waiting_since:
        # An older worker notes no revisions. The pair then waits for those that were stored at the last commit.
        revs = _NO_WAITING_REVS
    elif _is_of_other_item(form):
        # As for a new history (`sync_state.new_history`): the new work-item's revisions are not waited for.
        work_item_rev, revs = 0, replace(revs, work_item=None)
    return Waiting(
        since=since,
        conversation_rev=conversation_rev if revs.conversation is None else revs.conversation,
        work_item_rev=work_item_rev if revs.work_item is None else revs.work_item,
        values=revs.values or {},
    )


def _is_of_other_item(form: StateForm) -> bool:
    """Whether `touched` and `waitingRevs` are of the work-item before the state's: an older worker started the new
    history, and leaves names that it does not know as they stand."""
    item = None if form.work_item is None else form.work_item.id
    return form.history_of is not None and form.history_of != item


def _instant(document: Mapping[str, Any], text: str | None, name: str) -> datetime | None:
    if text is None:
        return None
    instant = parse_instant(text)
    if instant is None:
        raise unreadable(document, (name,), "a time with a zone in ISO 8601")
    return instant


def _runs(runs: list[tuple[int, int]] | None) -> RevisionRuns:
    return tuple(runs or ())
