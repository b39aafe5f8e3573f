"""The contract of the port `Outbox` (worker/ports/outbox.py): one suite for both stores."""

from datetime import timedelta

from handlers.ports import CommitResult
from tests.worker.store.plans import T0, announcement, state_plan
from tests.worker.store.store_bench import Bench, ids
from worker.ports.outbox import OutboxBacklog
from worker.store.documents import Collection

COMMITTED, CONFLICT = CommitResult.COMMITTED, CommitResult.CONFLICT


async def test_entries_are_read_oldest_first_and_removed_ones_are_gone(bench: Bench) -> None:
    entries = [announcement(f"a{n}", at=T0 + timedelta(seconds=n)) for n in (3, 1, 2, 4)]
    await bench.store.commit([state_plan(announcements=tuple(entries))])
    later = T0 + timedelta(seconds=4)
    assert await bench.outbox.waiting_entries(later, 10) == sorted(entries, key=lambda entry: entry.created_at)[:3]
    assert [entry.id for entry in await bench.outbox.waiting_entries(later, 2)] == ["a1", "a2"]
    await bench.outbox.remove_entries([])
    await bench.outbox.remove_entries(["a1", "never there"])
    assert [entry.id for entry in await bench.outbox.waiting_entries(later, 10)] == ["a2", "a3"]


async def test_entries_from_the_future_are_read_on_request(bench: Bench) -> None:
    entries = [announcement(f"a{n}", at=T0 + timedelta(seconds=n)) for n in (1, 2, 3, 4)]
    await bench.store.commit([state_plan(announcements=tuple(entries))])
    before, after = T0 + timedelta(seconds=2), T0 + timedelta(seconds=3)
    assert [entry.id for entry in await bench.outbox.waiting_entries(before, 10, or_after=after)] == ["a1", "a4"]
    assert [entry.id for entry in await bench.outbox.waiting_entries(before, 10, skip=1, or_after=after)] == ["a4"]
    assert [entry.id for entry in await bench.outbox.waiting_entries(before, 1, or_after=after)] == ["a1"]


async def test_an_entry_set_aside_is_kept_with_its_reason_and_no_longer_waits(bench: Bench) -> None:
    assert await bench.outbox.backlog() == OutboxBacklog(count=0, oldest=None, set_aside=0)
    entries = tuple(announcement(f"a{n}", at=T0 + timedelta(seconds=n)) for n in (1, 2, 3))
    await bench.store.commit([state_plan(announcements=entries)])
    assert await bench.outbox.backlog() == OutboxBacklog(count=3, oldest=entries[0].created_at, set_aside=0)
    await bench.outbox.set_aside("a1", "too large")
    await bench.outbox.set_aside("never there", "too large")
    assert await bench.outbox.backlog() == OutboxBacklog(count=2, oldest=entries[1].created_at, set_aside=1)
    assert [entry.id for entry in await bench.outbox.waiting_entries(T0 + timedelta(hours=1), 1)] == ["a2"]
    kept = (await bench.documents(Collection.OUTBOX))[0]
    assert (kept["_id"], kept["status"], kept["reason"]) == ("a1", "set-aside", "too large")


async def test_an_announcement_whose_id_exists_is_a_conflict(bench: Bench) -> None:
    await bench.store.commit([state_plan("c1", announcements=(announcement("a1"),))])
    plan = state_plan("c2", announcements=(announcement("a1"),))
    assert await bench.store.commit([plan, state_plan("c3")]) == [CONFLICT, COMMITTED]
    assert await ids(bench, Collection.SYNC_STATES) == ["c1", "c3"]
