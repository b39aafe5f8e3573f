"""The sync state as a document of `sync_states`, and back. Both stores hold it in this form."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from commands.instant import format_instant, parse_instant
from sync.revision_runs import RevisionRuns, highest
from sync.state import SyncState, ViewedValue


def state_document(conversation_id: str, state: SyncState) -> dict[str, Any]:
    """The document of a state (docs/rules.md, *The sync state*). Its `_id` is the conversation's id."""
    return {
        "_id": conversation_id,
        "version": state.version,
        "conversation": {
            "observed": [list(run) for run in state.conversation_observed],
            "rev": state.conversation_rev,
        },
        "workItem": {
            "id": state.work_item,
            "number": state.work_item_number,
            "observed": [list(run) for run in state.work_item_observed],
            "rev": state.work_item_rev,
            "reconciled": state.reconciled,
        },
        "view": {name: {"value": viewed.value, "rev": viewed.rev} for name, viewed in state.view.items()},
        "changed": dict(state.changed),
        "known": dict(state.known),
        "knownAt": dict(state.known_at),
        "waitingSince": format_instant(state.waiting_since) if state.waiting_since else None,
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
    known = document.get("known") or {}
    view = document.get("view") or {}
    return SyncState(
        version=document["version"],
        conversation_observed=conversation_observed,
        # A state without `rev` is an older worker's, which stored every revision that it observed.
        conversation_rev=conversation.get("rev", highest(conversation_observed)),
        work_item=work_item_id_of(document),
        work_item_number=item.get("number", 0),
        work_item_observed=work_item_observed,
        work_item_rev=item.get("rev", highest(work_item_observed)),
        reconciled=item.get("reconciled", bool(known)),
        view={name: ViewedValue(value=viewed["value"], rev=viewed["rev"]) for name, viewed in view.items()},
        changed=document.get("changed") or {},
        known=known,
        known_at=document.get("knownAt") or {},
        waiting_since=_instant(document, "waitingSince"),
        deleted_rev=document.get("deletedRev"),
        finished_at=_instant(document, "finishedAt"),
    )


def work_item_id_of(document: Mapping[str, Any]) -> str | None:
    """The id of the work-item that a state's document names. None if it names none, or a value that is not text: the id
    becomes part of queries."""
    key = (document.get("workItem") or {}).get("id")
    return key if isinstance(key, str) else None


def _instant(document: Mapping[str, Any], name: str) -> datetime | None:
    text = document.get(name)
    return parse_instant(text) if text else None


def _runs(runs: list[list[int]] | None) -> RevisionRuns:
    return tuple((start, end) for start, end in runs or ())
