"""The contract of the port `PairHistory` (worker/ports/history.py): one suite for both adapters."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest
from msgspec.structs import replace

from handlers.ports import CommitResult, Document
from sync.state.sync_state import SyncState
from tests.worker.store.plans import T0, first_plan, loaded, next_plan, state_plan
from tests.worker.store.store_bench import Bench, ids
from worker.ports.history import PageMark, TimeWindow
from worker.store.documents import Collection


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def kept(key: str, seconds: float, *, of: str = "c1", org: str | None = "o1", **fields: Any) -> Document:
    """A kept record whose `lagMs` is its number of seconds."""
    record = orjson.dumps({"conversationId": of, "lagMs": seconds}).decode()
    return {"_id": key, "conversationId": of, "org": org, "at": at(seconds), "record": record, **fields}


def timing(item: str, rev: int, seconds: float, **fields: Any) -> Document:
    return {
        "_id": f"{item}:{rev}",
        "workItemId": item,
        "conversationId": "c1",
        "org": "o1",
        "rev": rev,
        "revisionId": None,
        "lastRevision": {"queueTime": rev},
        "updatedAt": "2024-05-06T07:08:09.123Z",
        "createdAt": at(seconds),
        **fields,
    }


async def store(bench: Bench, *, audits: Sequence[Document] = (), revisions: Sequence[Document] = ()) -> None:
    state = (await loaded(bench)).state
    plan = state_plan(version=state.version + 1, audits=tuple(audits), revisions=tuple(revisions))
    assert await bench.store.commit([plan]) == [CommitResult.COMMITTED]


async def decisions(bench: Bench, **options: Any) -> list[Any]:
    page = await bench.history.decisions("c1", **options)
    assert page.unreadable == ()
    return [each.record["lagMs"] for each in page.records]


async def test_of_nothing_there_is_nothing(bench: Bench) -> None:
    assert await decisions(bench) == []
    page = await bench.history.timings(["w1"])
    assert (page.records, page.next, page.unreadable) == ((), None, ())
    assert (await bench.history.timings([])).records == ()


async def test_decisions_come_the_latest_first_and_of_their_conversation_alone(bench: Bench) -> None:
    await store(bench, audits=[kept("b", 1), kept("a", 3), kept("d", 2), kept("x", 9, of="c2")])
    page = await bench.history.decisions("c1")
    assert [(each.id, each.at, each.conversation_id) for each in page.records] == [
        ("a", at(3), "c1"), ("d", at(2), "c1"), ("b", at(1), "c1"),
    ]  # fmt: skip
    assert page.next is None
    assert page.records[0].record == {"conversationId": "c1", "lagMs": 3}


async def test_of_one_time_the_higher_id_is_the_later(bench: Bench) -> None:
    await store(bench, audits=[kept("a", 1), kept("c", 1), kept("b", 1)])
    assert [each.id for each in (await bench.history.decisions("c1")).records] == ["c", "b", "a"]


async def test_the_window_has_its_begin_and_not_its_end(bench: Bench) -> None:
    await store(bench, audits=[kept(str(n), n) for n in range(5)])
    assert await decisions(bench, window=TimeWindow(begin=at(1), end=at(3))) == [2, 1]
    assert await decisions(bench, window=TimeWindow(begin=at(3))) == [4, 3]
    assert await decisions(bench, window=TimeWindow(end=at(2))) == [1, 0]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
async def test_pages_meet_every_record_once(bench: Bench, limit: int) -> None:
    """Several records of one time stand on both sides of a page's end."""
    await store(bench, audits=[kept(f"k{n}", n // 3) for n in range(7)])
    found: list[str] = []
    mark: PageMark | None = None
    for _ in range(8):
        page = await bench.history.decisions("c1", limit=limit, after=mark)
        assert len(page.records) <= limit
        found += [each.id for each in page.records]
        mark = page.next
        if mark is None:
            break
    assert found == [f"k{n}" for n in reversed(range(7))]


async def test_a_window_and_a_page_hold_together(bench: Bench) -> None:
    await store(bench, audits=[kept(f"k{n}", n) for n in range(6)])
    window = TimeWindow(begin=at(1), end=at(5))
    first = await bench.history.decisions("c1", window=window, limit=2)
    assert [each.id for each in first.records] == ["k4", "k3"]
    second = await bench.history.decisions("c1", window=window, limit=2, after=first.next)
    assert [each.id for each in second.records] == ["k2", "k1"]
    assert second.next is None


async def test_another_org_finds_nothing(bench: Bench) -> None:
    await store(bench, audits=[kept("a", 1), kept("b", 2, org=None)], revisions=[timing("w1", 2, 1)])
    assert await decisions(bench, org="o1") == [1]
    assert await decisions(bench, org="o2") == []
    assert (await bench.history.timings(["w1"], org="o2")).records == ()
    assert len((await bench.history.timings(["w1"], org="o1")).records) == 1


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"record": 7}, "a in the store cannot be read: record is the number 7, not `str`"),
        ({"record": "{"}, "a in the store cannot be read: record is a text of 1 characters, not the JSON text"),
        ({"record": "[]"}, "not the JSON text of an audit record"),
        ({"org": 7}, "a in the store cannot be read: org is the number 7"),
    ],
    ids=["number", "broken", "list", "org"],
)
async def test_a_record_of_another_form_is_named_and_left_out(bench: Bench, fields: dict[str, Any], fault: str) -> None:
    await store(bench, audits=[kept("a", 1, **fields), kept("b", 2)])
    page = await bench.history.decisions("c1")
    assert [each.id for each in page.records] == ["b"]
    [told] = page.unreadable
    assert fault in told


async def test_a_page_of_unreadable_records_goes_on_to_the_next(bench: Bench) -> None:
    await store(bench, audits=[kept("a", 1), kept("b", 2, record=7), kept("c", 3, record=7)])
    first = await bench.history.decisions("c1", limit=2)
    assert (first.records, len(first.unreadable)) == ((), 2)
    second = await bench.history.decisions("c1", limit=2, after=first.next)
    assert [each.id for each in second.records] == ["a"]


async def test_timings_of_the_named_work_items_the_latest_first(bench: Bench) -> None:
    await store(
        bench,
        revisions=[timing("w1", 2, 1), timing("w1", 10, 3), timing("w2", 1, 2), timing("w10", 1, 9), timing("w", 1, 9)],
    )
    page = await bench.history.timings(["w1", "w2", "w1"])
    assert [(each.work_item_id, each.rev, each.at) for each in page.records] == [
        ("w1", 10, at(3)), ("w2", 1, at(2)), ("w1", 2, at(1)),
    ]  # fmt: skip
    assert page.records[0].last_revision == {"queueTime": 10}
    first = await bench.history.timings(["w1", "w2"], limit=2)
    second = await bench.history.timings(["w1", "w2"], limit=2, after=first.next)
    assert [each.rev for each in (*first.records, *second.records)] == [10, 1, 2]
    within = await bench.history.timings(["w1", "w2"], window=TimeWindow(begin=at(2), end=at(3)))
    assert [each.rev for each in within.records] == [1]


# The transaction of the decision


async def test_a_record_is_kept_with_the_writes_of_its_plan_or_not_at_all(bench: Bench) -> None:
    assert await bench.store.commit([first_plan(audits=(kept("a", 1),))]) == [CommitResult.COMMITTED]
    pair = await loaded(bench)
    lost = SyncState(version=pair.state.version + 5)
    plan = next_plan(pair)
    results = await bench.store.commit(
        [
            first_plan("c2", audits=(kept("b", 2, of="c2"),)),
            replace(plan, state=lost, audits=(kept("c", 3),)),
        ]
    )
    assert results == [CommitResult.COMMITTED, CommitResult.CONFLICT]
    assert await ids(bench, Collection.SYNC_AUDIT) == ["a", "b"]


async def test_a_plan_that_keeps_a_record_must_write_the_state(bench: Bench) -> None:
    with pytest.raises(ValueError, match="leaves the sync state as it was"):
        await bench.store.commit([state_plan(audits=(kept("a", 1),), state=None)])
