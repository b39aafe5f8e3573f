"""The contract of the ports `Fleet` (worker/ports/fleet.py) and `SweepFleet` (worker/ports/sweeps.py): one suite for
both stores."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec import Struct

from tests.worker.stand_ins.fake_clock import FakeClock
from tests.worker.store.store_bench import DEADLINE_S, Bench, MongoBench
from worker.mongo.adapters.fleet import MongoFleet
from worker.ports.fleet import Deployment
from worker.ports.sweeps import SweepBookmark, SweepPosition, SweepStage
from worker.store.documents import Collection
from worker.store.memory.fleet import MemoryFleet


class FleetBench(Struct, frozen=True):
    """Two workers' access to one fleet, `pass_time`, which lets so many seconds pass for it, and its clock."""

    first: MongoFleet | MemoryFleet
    second: MongoFleet | MemoryFleet
    pass_time: Callable[[float], Awaitable[None]]
    now: Callable[[], datetime]


@pytest.fixture
def fleet(bench: Bench) -> FleetBench:
    if not isinstance(bench, MongoBench):
        clock = FakeClock()
        memory = MemoryFleet(clock)
        return FleetBench(memory, memory, clock.advance, clock.now)
    documents = bench.database[Collection.FLEET]

    async def pass_time(seconds: float) -> None:
        """The server's clock cannot be set, so all stored times go back instead."""
        async for document in documents.find({"until": {"$type": "date"}}):
            until = document["until"] - timedelta(seconds=seconds)
            await documents.update_one({"_id": document["_id"]}, {"$set": {"until": until}})
        async for document in documents.find({"_id": "watermarks"}):
            workers = [{**each, "until": each["until"] - timedelta(seconds=seconds)} for each in document["workers"]]
            await documents.update_one({"_id": "watermarks"}, {"$set": {"workers": workers}})

    name = bench.database.name
    return FleetBench(
        MongoFleet(bench.client, name, deadline_s=DEADLINE_S),
        MongoFleet(bench.client, name, deadline_s=DEADLINE_S),
        pass_time,
        lambda: datetime.now(UTC),
    )


async def test_one_holder_has_the_lease_until_it_expires(fleet: FleetBench) -> None:
    assert await fleet.first.acquire_lease("beat", "a", 20)
    assert not await fleet.second.acquire_lease("beat", "b", 20)
    await fleet.pass_time(19)
    assert not await fleet.second.acquire_lease("beat", "b", 20)
    await fleet.pass_time(2)
    assert await fleet.second.acquire_lease("beat", "b", 20)
    assert not await fleet.first.acquire_lease("beat", "a", 20)


async def test_the_holder_prolongs_its_lease_and_a_refused_worker_does_not(fleet: FleetBench) -> None:
    assert await fleet.first.acquire_lease("beat", "a", 20)
    await fleet.pass_time(15)
    assert await fleet.first.acquire_lease("beat", "a", 20)
    await fleet.pass_time(15)
    assert not await fleet.second.acquire_lease("beat", "b", 20)
    await fleet.pass_time(6)
    assert await fleet.second.acquire_lease("beat", "b", 20)


async def test_leases_of_different_names_and_odd_holders_do_not_mix(fleet: FleetBench) -> None:
    assert await fleet.first.acquire_lease("beat", "$holder", 20)
    assert await fleet.second.acquire_lease("other", "b", 20)
    assert not await fleet.second.acquire_lease("beat", "b", 20)
    assert await fleet.first.acquire_lease("beat", "$holder", 20)


async def test_of_many_workers_that_ask_at_once_one_has_the_lease(fleet: FleetBench) -> None:
    asked = [fleet.first.acquire_lease("beat", f"a{number}", 20) for number in range(5)]
    asked += [fleet.second.acquire_lease("beat", f"b{number}", 20) for number in range(5)]
    assert sum(await asyncio.gather(*asked)) == 1


async def test_any_number_of_workers_that_start_together_agree_on_the_start(fleet: FleetBench) -> None:
    before = fleet.now() - timedelta(minutes=1)
    times = await asyncio.gather(*(each.started_at() for each in (fleet.first, fleet.second) * 5))
    assert len(set(times)) == 1
    assert before < times[0] < fleet.now() + timedelta(minutes=1)
    assert times[0].tzinfo is not None


async def test_the_start_stays_whoever_asks_later(fleet: FleetBench) -> None:
    assert await fleet.second.first_start() is None
    started_at = await fleet.first.started_at()
    await fleet.pass_time(3_600)
    assert await fleet.second.started_at() == started_at
    assert await fleet.second.first_start() == started_at


async def test_a_start_finds_what_the_worker_ran_that_started_before_it(fleet: FleetBench) -> None:
    old = Deployment(version="$version", policy="shadow")
    new = Deployment(version="2.0", policy="causal")
    assert await fleet.first.replace_deployment(old) is None
    assert await fleet.second.replace_deployment(new) == old
    assert await fleet.first.replace_deployment(new) == new
    assert await fleet.first.replace_deployment(old) == new


async def test_of_many_workers_that_start_at_once_one_finds_the_old_version(fleet: FleetBench) -> None:
    old, new = (Deployment(version=version, policy="causal") for version in ("1.0", "2.0"))
    assert await fleet.first.replace_deployment(old) is None
    found = await asyncio.gather(*(each.replace_deployment(new) for each in (fleet.first, fleet.second) * 5))
    assert sorted(str(each and each.version) for each in found) == ["1.0", *["2.0"] * 9]


async def test_the_lowest_watermark_is_that_of_the_live_workers(fleet: FleetBench) -> None:
    assert (await fleet.first.fleet_watermark()).workers == 0
    early, late = fleet.now() - timedelta(minutes=5), fleet.now() - timedelta(minutes=1)
    early, late = (each.replace(microsecond=0) for each in (early, late))
    await fleet.first.leave_watermark("$a", late, 60)
    await fleet.second.leave_watermark("b", early, 30)
    mark = await fleet.first.fleet_watermark()
    assert (mark.workers, mark.lowest) == (2, early)
    assert abs((mark.now - fleet.now()).total_seconds()) < 60
    await fleet.pass_time(31)
    mark = await fleet.second.fleet_watermark()
    assert (mark.workers, mark.lowest) == (1, late)
    await fleet.pass_time(31)
    mark = await fleet.second.fleet_watermark()
    assert (mark.workers, mark.lowest) == (0, None)


async def test_a_worker_without_a_watermark_leaves_the_fleet_without_one(fleet: FleetBench) -> None:
    at = fleet.now().replace(microsecond=0)
    await fleet.first.leave_watermark("a", at, 60)
    await fleet.second.leave_watermark("b", None, 60)
    mark = await fleet.first.fleet_watermark()
    assert (mark.workers, mark.lowest) == (2, None)
    await fleet.second.leave_watermark("b", at, 60)
    mark = await fleet.first.fleet_watermark()
    assert (mark.workers, mark.lowest) == (2, at)


async def test_a_sweeps_bookmark_is_kept_beside_its_lease(fleet: FleetBench) -> None:
    assert await fleet.first.sweep_bookmark() == SweepBookmark()
    at = fleet.now().replace(microsecond=0)
    bookmark = SweepBookmark(
        written_until=at,
        full_ended_at=at - timedelta(days=1),
        position=SweepPosition(stage=SweepStage.WORK_ITEMS, after="$w"),
    )
    await fleet.first.keep_sweep_bookmark(bookmark)
    assert await fleet.second.acquire_lease("sweep", "a", 20)
    assert not await fleet.second.acquire_lease("sweep", "b", 20)
    assert await fleet.second.sweep_bookmark() == bookmark
    await fleet.second.keep_sweep_bookmark(SweepBookmark(written_until=at))
    assert await fleet.first.sweep_bookmark() == SweepBookmark(written_until=at)
    assert not await fleet.second.acquire_lease("sweep", "b", 20)


@pytest.mark.parametrize(
    "kept",
    [
        7,
        {"writtenUntil": "2024-05-06", "fullEndedAt": 7, "position": {"stage": "queues", "after": "c-1"}},
        {"position": {"stage": "work-items", "after": ["w-1"]}},
        {"position": ["work-items"]},
    ],
)
async def test_a_bookmark_of_another_version_is_none_and_stops_no_worker(mongo: MongoBench, kept: Any) -> None:
    await mongo.database[Collection.FLEET].insert_one({"_id": "lease/sweep", "bookmark": kept})
    fleet = MongoFleet(mongo.client, mongo.database.name, deadline_s=DEADLINE_S)
    assert await fleet.sweep_bookmark() == SweepBookmark()
