"""The parts together: a message's whole way, and every way to end."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from handlers.options import PolicyInUse
from handlers.ports import Pair, StoreAway, Want
from sync.state import SyncState
from tests.worker.ear import Ear
from tests.worker.fake_clock import Even, FakeClock, breathe, until
from tests.worker.plans import state_plan
from tests.worker.stand_in_queue import StandInQueue
from tests.worker.stand_in_topics import StandInTopics
from worker.aws import QueueAway
from worker.clock import ObjectIds
from worker.health import Health
from worker.memory_store import MemoryStore
from worker.message import Message
from worker.metrics import Metric
from worker.pipeline import Outside, Pipeline
from worker.settings import Settings
from worker.stopping import Stopping


def body(kind: str, key: str, rev: int, attributes: dict[str, Any], **relationships: str) -> str:
    name = "kustomer.conversation.update" if kind == "conversation" else "kustomer.work-item.update"
    data = {
        "id": key,
        "type": kind,
        "attributes": {**attributes, "rev": rev},
        "relationships": {one: {"data": {"id": value, "type": one}} for one, value in relationships.items()},
    }
    event = {"id": f"{key}-{rev}", "name": name, "org": "o1", "data": data}
    return json.dumps({"id": f"p-{key}-{rev}", "name": name, "body": event, "publishedAt": "2024-05-06T07:08:09Z"})


CONVERSATION = body("conversation", "c1", 4, {"status": "open", "assignedUsers": ["u1"]})
WORK_ITEM = body(
    "work_item", "w1", 1, {"status": "ivr", "paused": False, "resourceType": "conversation", "workItemNumber": 1},
    resource="c1",
)  # fmt: skip


class MoodyStore(MemoryStore):
    """A store in memory that can be away."""

    away = False

    async def load(self, wants: Sequence[Want]) -> dict[str, Pair]:
        if self.away:
            raise StoreAway("no primary")
        return dict(await super().load(wants))


class BrokenQueue(StandInQueue):
    """Its second call to receive meets a fault in our code."""

    async def receive(self, *, wait_seconds: int) -> Sequence[Message]:
        if any(action == "receive" for action, _ in self.calls):
            raise RuntimeError("a bug")
        return await super().receive(wait_seconds=wait_seconds)


@dataclass(slots=True)
class Plant:
    clock: FakeClock
    queue: StandInQueue
    topics: StandInTopics
    store: MoodyStore
    health: Health
    ear: Ear
    stopping: Stopping
    running: "asyncio.Task[None]"

    async def stop(self) -> None:
        # The long poll is no longer fresh: it may be cut off.
        await self.clock.advance(3)
        self.stopping.ask()
        await self.running


@asynccontextmanager
async def _plant(
    *bodies: str,
    queue: StandInQueue | None = None,
    away: bool = False,
    policy: PolicyInUse = PolicyInUse.CAUSAL,
) -> AsyncIterator[Plant]:
    clock, ear, topics, store = FakeClock(), Ear(), StandInTopics(), MoodyStore()
    store.away = away
    queue = queue or StandInQueue(clock)
    queue.clock = clock
    for one in bodies:
        queue.send(one)
    health = Health(clock=clock, silence_seconds_max=90)
    settings = Settings(
        aws_region="us-east-1",
        sns_conversation_topic_arn="arn:aws:sns:us-east-1:1:conversations",
        sns_work_item_topic_arn="arn:aws:sns:us-east-1:1:work-items",
        sqs_queue_url="http://queue/1/q",
        mongodb_uri="mongodb://nowhere",
        sync_policy=policy,
        receivers=1,
        shutdown_seconds=1,
    )
    outside = Outside(
        queue=queue, facts=queue.facts, topics=topics, store=store, outbox=store, waiting=store,
        clock=clock, ids=ObjectIds(), chance=Even(),
    )  # fmt: skip
    pipeline = Pipeline(settings=settings, outside=outside, health=health, telemetry=ear.telemetry)
    stopping = Stopping(ear.telemetry.log)
    running = asyncio.create_task(pipeline.run(stopping))
    try:
        yield Plant(clock, queue, topics, store, health, ear, stopping, running)
    finally:
        running.cancel()
        await asyncio.wait([running])


async def test_a_message_is_handled_settled_and_its_sync_published() -> None:
    async with _plant(WORK_ITEM, CONVERSATION) as plant:
        await until(lambda: len(plant.topics.published) == 1)
        assert plant.queue.left == []
        ((arn, (message,)),) = plant.topics.calls
        assert arn.endswith(":work-items")
        published = json.loads(message.text)
        assert (message.group, published["body"]["isSync"], published["body"]["data"]["id"]) == ("c1", True, "w1")
        await plant.stop()
    assert (await plant.store.backlog()).count == 0
    assert [line["outcome"] for line in plant.ear.lines if "outcome" in line] == ["skipped", "applied"]


async def test_asked_to_stop_it_finishes_what_is_in_hand_first() -> None:
    async with _plant(WORK_ITEM, CONVERSATION) as plant:
        plant.topics.gate = asyncio.Event()
        await until(lambda: plant.queue.left == [])
        stopping = asyncio.create_task(plant.stop())
        await breathe()
        plant.topics.gate.set()
        await stopping
    assert len(plant.topics.published) == 1


async def test_what_cannot_be_finished_in_time_is_handed_back() -> None:
    async with _plant(WORK_ITEM, CONVERSATION, away=True) as plant:
        await until(lambda: "store away, receiving pauses" in plant.ear.said)
        await plant.stop()
    assert [plant.queue.visible_in_seconds(one) for one in plant.queue.left] == [0, 0]
    assert plant.queue.dead == []
    assert "not finished in time, handed back" in plant.ear.said


async def test_a_part_that_dies_of_a_fault_in_our_code_ends_all_and_hands_back_what_is_in_hand() -> None:
    queue = BrokenQueue(FakeClock())
    async with _plant(WORK_ITEM, CONVERSATION, queue=queue, away=True) as plant:
        with pytest.raises(BaseExceptionGroup) as raised:
            await plant.running
    assert raised.group_contains(RuntimeError, match="a bug")
    assert [plant.queue.visible_in_seconds(one) for one in plant.queue.left] == [0, 0]


async def test_sns_and_sqs_being_away_end_nothing() -> None:
    async with _plant() as plant:
        plant.queue.refuse("receive", *[QueueAway("away")] * 3)
        plant.topics.away = True
        await until(lambda: plant.health.answer()["checks"]["pipelines"]["ok"])
        assert not plant.running.done()
        await plant.stop()
    assert plant.running.exception() is None


async def test_what_waits_for_an_event_that_does_not_come_is_decided_by_the_poll_and_published() -> None:
    now = "2024-05-06T07:08:09.123Z"
    asks = json.loads(body("conversation", "c1", 4, {"status": "open", "assignedUsers": ["u1"], "updatedAt": now}))
    asks["body"]["changes"] = {"attributes": {"assignedUsers": {"op": "replace", "before": [], "after": ["u1"]}}}
    # Of the work-item's first two revisions no event comes.
    item = json.loads(WORK_ITEM)
    item["body"]["data"]["attributes"] |= {"rev": 3, "updatedAt": now}
    item["body"]["changes"] = {"attributes": {"priority": {"op": "replace", "before": 1, "after": 2}}}
    async with _plant(json.dumps(item), json.dumps(asks)) as plant:
        await until(lambda: plant.queue.left == [])
        await breathe()
        assert plant.topics.published == []
        await plant.clock.advance(59)
        assert plant.ear.gauges[Metric.WAITING.value] == 1
        assert plant.topics.published == []
        await plant.clock.advance(17)
        await until(lambda: len(plant.topics.published) == 1)
        await plant.stop()
    applied = [line for line in plant.ear.lines if line.get("outcome") == "applied"]
    assert [(line["trigger"], line["event"]) for line in applied] == [("gap", None)]


@pytest.mark.parametrize("policy", [PolicyInUse.LEGACY, PolicyInUse.SHADOW])
async def test_under_the_other_policies_nobody_looks_for_who_waits_and_states_are_forgotten_all_the_same(
    policy: PolicyInUse,
) -> None:
    async with _plant(policy=policy) as plant:
        finished = SyncState(version=1, finished_at=plant.clock.now() - timedelta(days=31))
        await plant.store.commit([state_plan("c9", state=finished)])
        await plant.clock.advance(1_201)
        assert Metric.WAITING.value not in plant.ear.gauges
        assert plant.store.state("c9").version == 0
        await plant.stop()
