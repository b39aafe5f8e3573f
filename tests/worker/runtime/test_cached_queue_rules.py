"""Queue rules in memory: read once in RULES_SECONDS, and told of where they cannot be used."""

import asyncio
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Final

import pytest

from handlers.ports import StoreAway
from handlers.routing.queue_rules import OrgQueueRules
from tests.handlers.small_ports import HandClock
from tests.worker.stand_ins.telemetry_recorder import TelemetryRecorder
from worker.runtime.cached_queue_rules import CachedQueueRules
from worker.telemetry.metrics import Metric

BAD: Final = "r-1 in the store cannot be read: match is missing"


class Stored:
    """Rules that name the time at which they were read as the default queue."""

    def __init__(self, unreadable: tuple[str, ...] = ()) -> None:
        self.asked: list[list[str]] = []
        self.away = False
        self.unreadable = unreadable
        self.held: asyncio.Barrier | None = None
        """The next call waits at it twice: when it comes, and before it is answered."""

    async def of_orgs(self, orgs: Collection[str]) -> Mapping[str, OrgQueueRules]:
        if self.away:
            raise StoreAway("no primary")
        self.asked.append(sorted(orgs))
        held, self.held = self.held, None
        if held is not None:
            await held.wait()
            await held.wait()
        return {org: OrgQueueRules(default=f"{org}-{len(self.asked)}", unreadable=self.unreadable) for org in orgs}


class RulesWorld:
    def __init__(self, stored: Stored, seconds: float = 30) -> None:
        self.clock = HandClock()
        self.telemetry = TelemetryRecorder()
        self.rules = CachedQueueRules(stored, seconds=seconds, clock=self.clock, telemetry=self.telemetry.telemetry)

    async def defaults(self, *orgs: str) -> dict[str, str | None]:
        return {org: rules.default for org, rules in (await self.rules.of_orgs(orgs)).items()}

    def wait(self, seconds: float) -> None:
        self.clock.at += timedelta(seconds=seconds)


async def test_an_org_is_asked_for_once_in_a_while() -> None:
    stored = Stored()
    world = RulesWorld(stored)
    assert await world.defaults("o-1") == {"o-1": "o-1-1"}
    world.wait(29)
    assert await world.defaults("o-1", "o-2") == {"o-1": "o-1-1", "o-2": "o-2-2"}
    world.wait(1)
    assert await world.defaults("o-1", "o-2") == {"o-1": "o-1-3", "o-2": "o-2-2"}
    assert stored.asked == [["o-1"], ["o-2"], ["o-1"]]


async def test_with_0_seconds_every_batch_asks() -> None:
    stored = Stored()
    world = RulesWorld(stored, seconds=0)
    await world.defaults("o-1")
    await world.defaults("o-1")
    assert stored.asked == [["o-1"], ["o-1"]]


async def test_no_org_asks_nothing() -> None:
    stored = Stored()
    assert await RulesWorld(stored).defaults() == {}
    assert stored.asked == []


async def test_while_the_store_is_away_expired_rules_are_not_used() -> None:
    stored = Stored()
    world = RulesWorld(stored)
    await world.defaults("o-1")
    stored.away = True
    assert await world.defaults("o-1") == {"o-1": "o-1-1"}
    world.wait(30)
    with pytest.raises(StoreAway):
        await world.defaults("o-1")


async def test_what_cannot_be_used_is_named_and_counted_each_time_that_it_is_read() -> None:
    world = RulesWorld(Stored((BAD,)))
    for _ in range(3):
        await world.defaults("o-1")
        world.wait(15)
    assert world.telemetry.total(Metric.RULE_UNREADABLE) == 2
    line = world.telemetry.lines[0]
    assert (line["msg"], line["org"], line["reason"]) == (
        "a queue rule cannot be used, it is passed over",
        "o-1",
        BAD,
    )


async def test_an_org_that_another_batch_forgets_meanwhile_is_still_answered() -> None:
    stored = Stored()
    world = RulesWorld(stored)
    await world.defaults("o-1")
    world.wait(29.9)
    held = stored.held = asyncio.Barrier(2)
    batch = asyncio.create_task(world.defaults("o-1", "o-2"))
    await held.wait()
    world.wait(0.2)
    await world.defaults("o-3")
    await held.wait()
    assert await batch == {"o-1": "o-1-1", "o-2": "o-2-3"}
