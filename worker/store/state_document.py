"""The sync state as a document of `sync_states`, and back. Both stores hold it in this form."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from commands.instant import format_instant, parse_instant
from sync.state.revision_runs import RevisionRuns, highest
from sync.state.sync_state import DoneBy, SyncState, ViewedValue, Waiting


def state_document(conversation_id: str, state: SyncState) -> dict[str, Any]:
    """The document of a state (docs/rules.md, *The sync state*). Its `_id` is the conversation's id."""
    waiting = state.waiting
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
        "deletedRev": state.deleted_rev,
        "finishedAt": format_instant(state.finished_at) if state.finished_at else None,
    }


def state_of(document: Mapping[str, Any] | None) -> SyncState:
    """The state that a document holds; an empty state for None.

    Every document has a `version`. Any other missing field counts as 0 or empty.
    """
    if document is None:
        return SyncState()
    conversation, item = document.get("conversation") or {}, document.get("workItem") or {}
    conversation_observed, work_item_observed = _runs(conversation.get("observed")), _runs(item.get("observed"))
    # A state without `rev` is an older worker's, which stored every revision that it observed.
    conversation_rev = conversation.get("rev", highest(conversation_observed))
    work_item_rev = item.get("rev", highest(work_item_observed))
    view = document.get("view") or {}
    return SyncState(
        version=document["version"],
        conversation_observed=conversation_observed,
        conversation_rev=conversation_rev,
        conversation_floor=conversation.get("floor", 0),
        conversation_inserted=conversation.get("inserted", False),
        work_item=work_item_id_of(document),
        work_item_number=item.get("number", 0),
        work_item_observed=work_item_observed,
        work_item_rev=work_item_rev,
        work_item_floor=item.get("floor", 0),
        view={name: ViewedValue(value=viewed["value"], rev=viewed["rev"]) for name, viewed in view.items()},
        changed=document.get("changed") or {},
        known=document.get("known") or {},
        known_at=document.get("knownAt") or {},
        touched=document.get("touched") or {},
        done_by=_done_by(document.get("doneBy")),
        waiting=_waiting(document, conversation_rev, work_item_rev),
        deleted_rev=document.get("deletedRev"),
        finished_at=_instant(document, "finishedAt"),
    )


def work_item_id_of(document: Mapping[str, Any]) -> str | None:
    """The id of the work-item that a state's document names. None if it names none, or a value that is not text: the id
    becomes part of queries."""
    key = (document.get("workItem") or {}).get("id")
    return key if isinstance(key, str) else None


def _waiting_revs(waiting: Waiting) -> dict[str, Any]:
    # `since` names the wait that the revisions belong to: an older worker leaves them beside a wait of its own.
    return {
        "since": format_instant(waiting.since),
        "conversation": waiting.conversation_rev,
        "workItem": waiting.work_item_rev,
        "values": dict(waiting.values),
    }


def _done_by(stored: Mapping[str, int] | None) -> DoneBy | None:
    return DoneBy(number=stored["number"], rev=stored["rev"]) if stored else None


def _waiting(document: Mapping[str, Any], conversation_rev: int, work_item_rev: int) -> Waiting | None:
    since = _instant(document, "waitingSince")
    if since is None:
        return None
    revs = document.get("waitingRevs") or {}
    if revs.get("since") != document["waitingSince"]:
        # An older worker notes no revisions. The pair then waits for those that were stored at the last commit.
        revs = {}
    return Waiting(
        since=since,
        conversation_rev=revs.get("conversation", conversation_rev),
        work_item_rev=revs.get("workItem", work_item_rev),
        values=revs.get("values") or {},
    )


def _instant(document: Mapping[str, Any], name: str) -> datetime | None:
    text = document.get(name)
    return parse_instant(text) if text else None


def _runs(runs: list[list[int]] | None) -> RevisionRuns:
    return tuple((start, end) for start, end in runs or ())
