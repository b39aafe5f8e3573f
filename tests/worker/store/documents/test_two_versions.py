"""Workers of version 0.2 and of this version on one database: each reads the sync states that the other writes
(docs/operations.md, *Old and new versions side by side*).

A worker writes each name of its own document and leaves other names as they stand, as `$set` does.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sync.conversation import FIELDS
from sync.state.sync_state import DoneBy, SyncState, ViewedValue, Waiting
from worker.store.state_document import state_document, state_of

SINCE: Final = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)

OF_VERSION_0_2: Final[Mapping[str, Any]] = {
    "_id": "c1",
    "version": 7,
    "conversation": {"observed": [[1, 4], [6, 6]], "rev": 6},
    "workItem": {"id": "w1", "number": 1, "observed": [[1, 2]], "rev": 3, "reconciled": True},
    "view": {"queue": {"value": "q1", "rev": 4}},
    "changed": {"queue": 4},
    "known": {"queue": 3},
    "knownAt": {"queue": 2},
    "waitingSince": "2024-05-06T07:08:09.000Z",
    "deletedRev": None,
    "finishedAt": None,
}
"""A document as version 0.2 wrote it."""

STATE: Final = SyncState(
    version=8,
    conversation_observed=((1, 4), (6, 6)),
    conversation_rev=6,
    work_item="w1",
    work_item_number=1,
    work_item_observed=((1, 2),),
    work_item_rev=3,
    view={"queue": ViewedValue(value="q1", rev=4)},
    changed={"queue": 4},
    known={"queue": 3},
    known_at={"queue": 2},
    touched={"assignee": 3},
    done_by=DoneBy(number=1, rev=5),
    waiting=Waiting(since=SINCE, conversation_rev=5, work_item_rev=3, values={"queue": "q2"}),
)


def read_by_0_2(document: Mapping[str, Any]) -> dict[str, Any]:
    """What version 0.2 reads, by the same accesses: a name that it requires raises KeyError here, too."""
    conversation, item = document.get("conversation") or {}, document.get("workItem") or {}
    known = document.get("known") or {}
    return {
        "version": document["version"],
        "conversation": ([tuple(run) for run in conversation.get("observed") or ()], conversation.get("rev")),
        "workItem": (item.get("id"), item.get("number", 0), [tuple(run) for run in item.get("observed") or ()]),
        "workItemRev": item.get("rev"),
        "reconciled": item.get("reconciled", bool(known)),
        "view": {name: (viewed["value"], viewed["rev"]) for name, viewed in (document.get("view") or {}).items()},
        "changed": document.get("changed") or {},
        "known": known,
        "knownAt": document.get("knownAt") or {},
        "waitingSince": document.get("waitingSince"),
        "deletedRev": document.get("deletedRev"),
        "finishedAt": document.get("finishedAt"),
    }


def written_by_0_2(over: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """The stored document after a write of version 0.2 over one of this version's."""
    return {**over, **OF_VERSION_0_2, "version": over["version"] + 1, **changes}


def test_this_version_reads_what_0_2_wrote() -> None:
    state = state_of(OF_VERSION_0_2)
    assert state.waiting == Waiting(since=SINCE, conversation_rev=6, work_item_rev=3)
    assert (state.conversation_observed, state.work_item_observed) == (((1, 4), (6, 6)), ((1, 2),))
    assert (state.changed, state.known, state.known_at) == ({"queue": 4}, {"queue": 3}, {"queue": 2})
    assert (state.touched, state.done_by) == ({}, None)


def test_0_2_reads_what_this_version_writes() -> None:
    read = read_by_0_2(state_document("c1", STATE))
    assert read == {**read_by_0_2(OF_VERSION_0_2), "version": 8}


def test_0_2_takes_a_state_that_knows_nothing_yet_for_a_first_sight() -> None:
    assert read_by_0_2(state_document("c1", SyncState(version=1)))["reconciled"] is False
    decided = SyncState(version=1, known=dict.fromkeys(FIELDS, 1))
    assert read_by_0_2(state_document("c1", decided))["reconciled"] is True


def test_a_write_of_0_2_leaves_what_it_does_not_know() -> None:
    state = state_of(written_by_0_2(state_document("c1", STATE)))
    assert (state.version, state.touched, state.done_by) == (9, {"assignee": 3}, DoneBy(number=1, rev=5))
    assert state.waiting == STATE.waiting, "the same wait keeps the revisions that were noted"


def test_the_revisions_of_an_earlier_wait_do_not_count_for_a_wait_of_0_2() -> None:
    """Version 0.2 ended the wait, met a new work-item, and waits again: the old work-item's revisions mean nothing."""
    again = SINCE + timedelta(minutes=5)
    item = {"id": "w2", "number": 2, "observed": [[1, 1]], "rev": 1, "reconciled": True}
    document = written_by_0_2(state_document("c1", STATE), workItem=item, waitingSince="2024-05-06T07:13:09.000Z")
    assert state_of(document).waiting == Waiting(since=again, conversation_rev=6, work_item_rev=1)


def test_a_work_item_that_0_2_met_has_nothing_of_the_one_before_it() -> None:
    """Version 0.2 started the new history and leaves, as they stand, names that it does not know: the wait goes on."""
    item = {"id": "w2", "number": 2, "observed": [[1, 1]], "rev": 1, "reconciled": False}
    state = state_of(written_by_0_2(state_document("c1", STATE), workItem=item, known={}, knownAt={}))
    assert state.touched == {}, "the old work-item's write tells nothing of the new one"
    assert state.waiting == Waiting(since=SINCE, conversation_rev=5, work_item_rev=0, values={"queue": "q2"})


def test_a_wait_that_0_2_ended_has_ended() -> None:
    assert state_of(written_by_0_2(state_document("c1", STATE), waitingSince=None)).waiting is None
