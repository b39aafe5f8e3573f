"""A pair's report: who is newer, what waits for which revision, and what the rules would write."""

from typing import Any

import pytest
from msgspec.structs import replace

from handlers.documents.document import document_from_snapshot
from handlers.ports import Pair
from sync.state.sync_state import SyncState
from tests.handlers.wire_events import ORG, conversation, work_item
from tests.worker.api.pages import seeded
from tests.worker.api.pages.system import System
from worker.api.pages.pair_report import MissingRevisions, PairReport, Standing, gaps_of, pair_report
from worker.api.pages.status_view import pair_reports


async def report_of(key: str, **changes: Any) -> PairReport:
    system = await System.seeded()
    if changes:
        system.store.put_state(key, replace(seeded.states()[key], **changes))
    (report,) = await pair_reports([key], system.sources)
    return report


@pytest.mark.parametrize(
    ("key", "standing", "differing"),
    [
        (seeded.IN_STEP, Standing.IN_STEP, ()),
        (seeded.WAITING, Standing.WAITS, ("assignee",)),
        (seeded.OUT_OF_STEP, Standing.OUT_OF_STEP, ("assignee",)),
        (seeded.UNREADABLE, Standing.UNREADABLE, ()),
        (seeded.DELETED, Standing.ALONE, ()),
        ("nobody", Standing.NOT_STORED, ()),
    ],
)
async def test_the_standing_of_each_pair(key: str, standing: Standing, differing: tuple[str, ...]) -> None:
    report = await report_of(key)
    assert (report.standing, report.out_of_step) == (standing, differing)


async def test_a_field_waits_for_the_conversations_revisions_above_what_the_work_item_knew() -> None:
    report = await report_of(seeded.WAITING)
    assert report.missing == (MissingRevisions(side="conversation", runs=((6, 7),), fields=("assignee",)),)
    (row,) = [row for row in report.fields if row.agrees is False]
    assert (row.conversation, row.work_item, row.newer and row.newer.value) == ("u-anna", "none", "undecided")
    assert report.waiting_since == seeded.ago(42)
    assert report.decision is not None
    assert not report.decision.applies


async def test_a_field_waits_for_the_work_items_revisions_above_the_one_that_says_what_it_knew() -> None:
    report = await report_of(seeded.UNHEARD)
    assert report.missing == (MissingRevisions(side="work-item", runs=((5, 5),), fields=("assignee",)),)


async def test_fields_that_wait_for_different_revisions_are_told_together() -> None:
    """`assignee` was known up to 5, `ended` up to 2."""
    every = dict.fromkeys(("assignee", "queue", "status", "ended", "paused"), 1)
    report = await report_of(
        seeded.WAITING, conversation_observed=((1, 2), (4, 5), (8, 8)), known={**every, "assignee": 5, "ended": 2}
    )
    (missing,) = report.missing
    assert (missing.runs, missing.fields) == (((6, 7),), ("assignee",))


async def test_what_the_rules_would_write_is_told_where_nothing_waits() -> None:
    report = await report_of(seeded.OUT_OF_STEP)
    assert report.missing == ()
    assert report.decision is not None
    assert [reason.code.value for reason in report.decision.reasons] == ["CONVERSATION_ASSIGNED"]
    assert report.decision.work_item_fields == {"assignedTo": "u-bo"}


async def test_an_unreadable_document_is_named_with_its_field() -> None:
    report = await report_of(seeded.UNREADABLE)
    assert report.unreadable == f"{seeded.UNREADABLE} in the store cannot be read: {seeded.FAULT}"
    assert report.waiting_since == seeded.ago(600)


async def test_a_deleted_conversation_has_its_tombstone_and_its_completed_work_item() -> None:
    report = await report_of(seeded.DELETED)
    assert report.conversation is None
    assert report.item is not None
    assert report.state is not None
    assert (report.item.id, report.state.deleted_rev) == ("w-5", 7)
    assert {row.agrees for row in report.fields} == {None}
    assert {row.conversation for row in report.fields} == {None}


def test_a_state_that_cannot_be_read_is_told() -> None:
    pair = Pair(state=SyncState(), unreadable="c1 in the store cannot be read: version is missing")
    report = pair_report("c1", pair, now=seeded.NOW)
    assert (report.standing, report.unreadable) == (Standing.UNREADABLE, pair.unreadable)


@pytest.mark.parametrize(
    ("observed", "first", "last", "gaps"),
    [
        ((), 1, 3, ((1, 3),)),
        (((1, 3),), 1, 3, ()),
        (((1, 1), (3, 3)), 1, 4, ((2, 2), (4, 4))),
        (((1, 9),), 3, 5, ()),
        (((5, 9),), 1, 3, ((1, 3),)),
        (((1, 2), (6, 6)), 4, 8, ((4, 5), (7, 8))),
        ((), 3, 2, ()),
    ],
)
def test_the_gaps_between_observed_revisions(observed: Any, first: int, last: int, gaps: Any) -> None:
    assert gaps_of(observed, first, last) == gaps


async def test_of_a_pair_that_has_ended_no_difference_is_marked() -> None:
    """A done conversation stays ended, and its completed work-item is in no wrap-up."""
    documents = (
        document_from_snapshot(snapshot, org=ORG, rev=7)
        for snapshot in (conversation(7, status="done", ended=True), work_item(7, status="completed"))
    )
    pair = Pair(
        conversation=next(documents), work_items=(next(documents),), state=SyncState(version=3, work_item="w-1")
    )
    report = pair_report("c-1", pair, now=seeded.NOW)
    rows = {row.name: row for row in report.fields}
    assert report.standing is Standing.ALONE
    assert (rows["ended"].conversation, rows["ended"].work_item) == ("ended", "not wrap-up")
    assert (rows["status"].agrees, rows["ended"].agrees) == (True, None)
    assert report.out_of_step == ()
