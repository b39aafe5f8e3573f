"""The heartbeat: one worker of the fleet publishes it, and another takes over; SNS being away stops nothing."""

import asyncio
import json

import pytest

from handlers.events.envelope import DEFAULT_LIMITS
from handlers.events.event import UnsupportedEvent
from handlers.events.heartbeat import HEARTBEAT_NAME, is_heartbeat
from handlers.events.parser import read_message
from handlers.ports import StoreAway
from tests.worker.stand_ins.fake_clock import FakeClock, run_ready_tasks
from tests.worker.stand_ins.telemetry_recorder import TelemetryRecorder, runtime_of
from tests.worker.stand_ins.topics import StandInTopics
from worker.outbox.heartbeat import Heartbeat
from worker.ports.aws_calls import RefusedEntry
from worker.runtime.clock import ObjectIds
from worker.store.memory.fleet import MemoryFleet

ARN = "arn:aws:sns:us-east-1:1:conversations"


class AwayFleet(MemoryFleet):
    async def acquire_lease(self, name: str, holder: str, seconds: float) -> bool:
        raise StoreAway("no primary")


class HeartbeatBench:
    """Workers of one fleet, with a heartbeat every 20 s."""

    def __init__(self) -> None:
        self.clock, self.recorder, self.topics = FakeClock(), TelemetryRecorder(), StandInTopics()
        self.fleet = MemoryFleet(self.clock)
        self.runtime = runtime_of(self.clock, self.recorder)
        self._running: list[asyncio.Task[None]] = []

    def worker(self, *, fleet: MemoryFleet | None = None, arn: str = ARN) -> Heartbeat:
        return Heartbeat(
            fleet=fleet or self.fleet,
            topics=self.topics,
            arn=arn,
            ids=ObjectIds(),
            interval_s=20,
            runtime=self.runtime,
        )

    def start(self, heartbeat: Heartbeat) -> "asyncio.Task[None]":
        self._running.append(asyncio.create_task(heartbeat.run()))
        return self._running[-1]

    async def stop(self) -> None:
        for running in self._running:
            running.cancel()
        await asyncio.wait(self._running)


async def test_it_is_published_every_interval_to_its_topic_by_one_worker_of_the_fleet() -> None:
    bench = HeartbeatBench()
    for _ in range(3):
        bench.start(bench.worker())
    # A round is five seconds.
    await bench.clock.advance(5)
    assert len(bench.topics.published) == 1
    await bench.clock.advance(200)
    assert len(bench.topics.published) == 11
    assert {arn for arn, _ in bench.topics.calls} == {ARN}
    assert len(set(bench.topics.published)) == 11
    await bench.stop()


async def test_another_worker_takes_over_well_within_a_minute() -> None:
    bench = HeartbeatBench()
    first = bench.start(bench.worker())
    await bench.clock.advance(6)
    bench.start(bench.worker())
    await bench.clock.advance(1)
    first.cancel()
    published = len(bench.topics.published)
    await bench.clock.advance(25)
    assert len(bench.topics.published) == published + 1
    await bench.stop()


async def test_it_reads_as_a_well_formed_event_that_is_acknowledged() -> None:
    bench = HeartbeatBench()
    await bench.worker().round()
    ((_, (message,)),) = bench.topics.calls
    for body in (message.text, json.dumps({"Type": "Notification", "Message": message.text})):
        event = read_message(body, {}, DEFAULT_LIMITS)
        assert isinstance(event, UnsupportedEvent)
        assert is_heartbeat(event)
    published = json.loads(message.text)
    # Subscriptions filter by the name on the body.
    assert (published["name"], published["body"]["name"]) == (HEARTBEAT_NAME, HEARTBEAT_NAME)
    assert HEARTBEAT_NAME.startswith("routing-sync.")
    assert (published["id"], published["version"]) == (message.id, 3)
    assert published["body"]["isSync"] is False


async def test_on_a_fifo_topic_no_heartbeat_waits_for_the_one_before_it() -> None:
    bench = HeartbeatBench()
    heartbeat = bench.worker(arn=f"{ARN}.fifo")
    await heartbeat.round()
    await bench.clock.advance(20)
    await heartbeat.round()
    messages = [message for _, sent in bench.topics.calls for message in sent]
    assert len({message.group for message in messages}) == len({message.id for message in messages}) == 2


@pytest.mark.parametrize("refused", [None, RefusedEntry(code="AuthorizationError", reason="no right", final=True)])
async def test_without_sns_it_is_logged_and_tried_again_at_the_next_interval(refused: RefusedEntry | None) -> None:
    bench = HeartbeatBench()
    bench.topics.away = refused is None
    if refused is not None:
        bench.topics.refuse_next = refused
    bench.start(bench.worker())
    await bench.clock.advance(6)
    assert len([said for said in bench.recorder.messages if said.startswith("heartbeat not published")]) == 1
    bench.topics.away = False
    published = len(bench.topics.published)
    await bench.clock.advance(20)
    assert len(bench.topics.published) == published + 1
    await bench.stop()


async def test_while_the_store_is_away_there_is_no_heartbeat_and_the_worker_says_so() -> None:
    bench = HeartbeatBench()
    bench.start(bench.worker(fleet=AwayFleet(bench.clock)))
    await bench.clock.advance(6)
    await run_ready_tasks()
    assert bench.topics.published == []
    assert not bench.runtime.health.report()["checks"]["store"]["ok"]
    await bench.stop()
