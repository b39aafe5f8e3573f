"""The sync state as a document of `sync_states`, and back. Both stores keep it in this form."""

from collections.abc import Mapping
from typing import Any

from commands.instant import format_instant, parse_instant
from sync.runs import Runs
from sync.state import SyncState, Viewed


def state_document(conversation_id: str, state: SyncState) -> dict[str, Any]:
    """The document (sync-rules.md, *State*), `_id` the conversation's id."""
    return {
        "_id": conversation_id,
        "version": state.version,
        "conversation": {"observed": [list(run) for run in state.conversation_observed]},
        "workItem": {
            "id": state.work_item,
            "number": state.work_item_number,
            "observed": [list(run) for run in state.work_item_observed],
        },
        "view": {name: {"value": seen.value, "rev": seen.rev} for name, seen in state.view.items()},
        "changed": dict(state.changed),
        "known": dict(state.known),
        "knownAt": dict(state.known_at),
        "waitingSince": format_instant(state.waiting_since) if state.waiting_since else None,
        "deletedRev": state.deleted_rev,
    }


def state_of(document: Mapping[str, Any] | None) -> SyncState:
    """The state a document holds; the empty one for none."""
    if document is None:
        return SyncState()
    waiting_since = document.get("waitingSince")
    return SyncState(
        version=document["version"],
        conversation_observed=_runs(document["conversation"]["observed"]),
        work_item=document["workItem"]["id"],
        work_item_number=document["workItem"]["number"],
        work_item_observed=_runs(document["workItem"]["observed"]),
        view={name: Viewed(value=seen["value"], rev=seen["rev"]) for name, seen in document["view"].items()},
        changed=document["changed"],
        known=document["known"],
        known_at=document["knownAt"],
        waiting_since=parse_instant(waiting_since) if waiting_since else None,
        deleted_rev=document.get("deletedRev"),
    )


def _runs(runs: list[list[int]]) -> Runs:
    return tuple((start, end) for start, end in runs)
