"""The pipeline: the whole way of a message, and every way in which the worker ends."""

import asyncio
import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from handlers.documents.document import document_from_snapshot
from handlers.options import PolicyInUse
from handlers.ports import LoadRequest, Pair
from sync.state.sync_state import SyncState
from tests.handlers.wire_events import conversation, work_item
from tests.worker.pipeline_bench import InterruptibleStore, RunningPipeline, running_pipeline
from tests.worker.stand_ins.fake_clock import FakeClock, run_ready_tasks, until
from tests.worker.stand_ins.message_queue import StandInQueue
from tests.worker.store.plans import state_plan
from worker.errors import QueueAway
from worker.ports.message_queue import ReceiveResponse
from worker.store.documents import Collection
from worker.telemetry.metrics import Metric


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


class BrokenQueue(StandInQueue):
    """A queue whose second call to receive raises an unexpected error."""

    async def receive(self, *, wait_s: int) -> ReceiveResponse:
        if any(action == "receive" for action, _ in self.calls):
            raise RuntimeError("a bug")
        return await super().receive(wait_s=wait_s)


class StandingStore(InterruptibleStore):
    """A store whose answers do not come until `gate` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()

    async def load(self, requests: Sequence[LoadRequest]) -> dict[str, Pair]:
        await self.gate.wait()
        return await super().load(requests)


async def test_receiving_pauses_above_32_mib_in_flight() -> None:
    """800 messages of 1 MiB, the largest that SQS takes, were received, whatever memory the worker had."""
    large = [
        body("conversation", f"c{number}", 4, {"status": "open", "preview": "x" * 900_000}) for number in range(60)
    ]
    store = StandingStore()
    async with running_pipeline(*large, store=store) as pipeline:
        await until(lambda: pipeline.queue.calls.count(("receive", 1)) == 4)
        await run_ready_tasks()
        assert pipeline.queue.calls.count(("receive", 1)) == 4
        store.gate.set()
        await until(lambda: pipeline.queue.left == [])
        await pipeline.stop()


async def test_a_message_is_handled_settled_and_its_sync_published() -> None:
    async with running_pipeline(WORK_ITEM, CONVERSATION) as pipeline:
        await until(lambda: len(pipeline.topics.published) == 1)
        assert pipeline.queue.left == []
        ((arn, (message,)),) = pipeline.topics.calls
        assert arn.endswith(":work-items")
        published = json.loads(message.text)
        assert (message.group, published["body"]["isSync"], published["body"]["data"]["id"]) == ("c1", True, "w1")
        await pipeline.stop()
    assert (await pipeline.store.backlog()).count == 0
    assert [line["outcome"] for line in pipeline.recorder.lines if "outcome" in line] == ["skipped", "applied"]


async def test_row_7_half_an_emoji_in_a_text_that_nobody_models_holds_no_assignment_back() -> None:
    half = CONVERSATION.replace('"status"', '"preview": "thank you \\ud83d", "status"')
    item = WORK_ITEM.replace('"status"', '"note": "\\ude00", "status"')
    async with running_pipeline(item, half) as pipeline:
        await until(lambda: len(pipeline.topics.published) == 1)
        ((_, (message,)),) = pipeline.topics.calls
        data = json.loads(message.text)["body"]["data"]
        assert (data["attributes"]["note"], data["relationships"]["assignedTo"]["data"]["id"]) == ("\ufffd", "u1")
        await pipeline.stop()
    assert pipeline.queue.dead == []
    assert pipeline.recorder.counts[f"{Metric.MENDED} event=kustomer.conversation.update"] == 1
    assert pipeline.recorder.counts[f"{Metric.MENDED} event=kustomer.work-item.update"] == 1


async def test_waits_are_recorded_and_measured_where_waiting_times_are_on() -> None:
    last = {"enteredQueueAt": "2024-05-06T07:00:00.000Z", "queueTime": 25_900, "routedAt": "2024-05-06T07:00:25.900Z"}
    routed = WORK_ITEM.replace('"ivr"', f'"routed", "lastRevision": {json.dumps(last)}').replace(
        '"relationships": {', '"relationships": {"queue": {"data": {"id": "q-1"}}, '
    )
    gauge = f"{Metric.LATEST_WAIT} queue=q-1"
    for on in (True, False):
        async with running_pipeline(routed, waiting_times=on) as pipeline:
            await until(lambda: pipeline.queue.left == [])
            await pipeline.clock.advance(60)
            assert pipeline.recorder.gauges.get(gauge) == (25 if on else None)
            assert len(pipeline.store.documents(Collection.WAITS)) == on
            await pipeline.stop()


async def test_a_stop_first_finishes_the_messages_in_flight() -> None:
    async with running_pipeline(WORK_ITEM, CONVERSATION) as pipeline:
        pipeline.topics.gate = asyncio.Event()
        await until(lambda: pipeline.queue.left == [])
        stopping = asyncio.create_task(pipeline.stop())
        await run_ready_tasks()
        pipeline.topics.gate.set()
        await stopping
    assert len(pipeline.topics.published) == 1


async def test_a_clock_that_was_set_back_does_not_delay_the_stop() -> None:
    async with running_pipeline() as pipeline:
        await pipeline.clock.advance(3)
        pipeline.clock.put(-3_600)
        await asyncio.wait_for(pipeline.stop(), timeout=5)


@pytest.mark.thorough
async def test_messages_that_cannot_be_finished_in_time_are_handed_back() -> None:
    async with running_pipeline(WORK_ITEM, CONVERSATION, away=True) as pipeline:
        await until(lambda: "store away, receiving pauses" in pipeline.recorder.messages)
        await pipeline.stop()
    assert [pipeline.queue.visible_in_seconds(one) for one in pipeline.queue.left] == [0, 0]
    assert pipeline.queue.dead == []
    assert "not finished in time, handed back" in pipeline.recorder.messages


async def test_a_part_that_raises_ends_all_parts_and_hands_back_the_messages_in_flight() -> None:
    queue = BrokenQueue(FakeClock())
    async with running_pipeline(WORK_ITEM, CONVERSATION, queue=queue, away=True) as pipeline:
        with pytest.raises(BaseExceptionGroup) as raised:
            await pipeline.running
    assert raised.group_contains(RuntimeError, match="a bug")
    assert [pipeline.queue.visible_in_seconds(one) for one in pipeline.queue.left] == [0, 0]


async def test_the_pipeline_runs_on_while_sns_and_sqs_are_away() -> None:
    async with running_pipeline() as pipeline:
        pipeline.queue.refuse("receive", *[QueueAway("away")] * 3)
        pipeline.topics.away = True
        await until(lambda: pipeline.health.report()["checks"]["pipelines"]["ok"])
        assert not pipeline.running.done()
        await pipeline.stop()
    assert pipeline.running.exception() is None


async def test_a_field_whose_event_does_not_come_is_decided_by_the_poll_and_published() -> None:
    now = "2024-05-06T07:08:09.123Z"
    asks = json.loads(body("conversation", "c1", 4, {"status": "open", "assignedUsers": ["u1"], "updatedAt": now}))
    asks["body"]["changes"] = {"attributes": {"assignedUsers": {"op": "replace", "before": [], "after": ["u1"]}}}
    # The events of the work-item's first two revisions never arrive.
    item = json.loads(WORK_ITEM)
    item["body"]["data"]["attributes"] |= {"rev": 3, "updatedAt": now}
    item["body"]["changes"] = {"attributes": {"priority": {"op": "replace", "before": 1, "after": 2}}}
    async with running_pipeline(json.dumps(item), json.dumps(asks), subscribed=True) as pipeline:

        def synced() -> list[str]:
            return [arn for arn, _ in pipeline.topics.calls if arn.endswith(":work-items")]

        await until(lambda: pipeline.queue.left == [])
        await pipeline.clock.advance(60)
        assert pipeline.recorder.gauges[Metric.WAITING.value] == 1
        assert synced() == []
        # The watermark is behind by a minute, a second and the pause between heartbeats. A round takes 15 s.
        await pipeline.clock.advance(36)
        await until(lambda: len(synced()) == 1)
        await pipeline.stop()
    applied = [line for line in pipeline.recorder.lines if line.get("outcome") == "applied"]
    assert [(line["trigger"], line["event"]) for line in applied] == [("gap", None)]


async def test_heartbeats_are_published_until_the_stop_and_acknowledged() -> None:
    async with running_pipeline(subscribed=True) as pipeline:
        await pipeline.clock.advance(60)
        beats = list(pipeline.topics.published)
        assert len(beats) == 3
        assert {arn.rpartition(":")[2] for arn, _ in pipeline.topics.calls} == {"conversations"}
        assert pipeline.queue.left == []
        await pipeline.stop()
        assert pipeline.topics.published == beats
    assert pipeline.recorder.total(Metric.UNSUPPORTED) == 0
    assert "CONVERSATION_SYNC_AUDIT" not in pipeline.recorder.messages


@pytest.mark.parametrize(
    ("policy", "heartbeat_seconds"), [(PolicyInUse.CAUSAL, 0), (PolicyInUse.LEGACY, 20), (PolicyInUse.SHADOW, 20)]
)
async def test_no_heartbeat_is_published_without_need(policy: PolicyInUse, heartbeat_seconds: float) -> None:
    async with running_pipeline(policy=policy, heartbeat_seconds=heartbeat_seconds) as pipeline:
        await pipeline.clock.advance(90)
        assert pipeline.topics.published == []
        shown = pipeline.health.report()["watermark"]
        expected = {"time": None, "reason": "SILENCE"} if policy is PolicyInUse.CAUSAL else None
        assert shown == expected
        await pipeline.stop()


@pytest.mark.parametrize("policy", [PolicyInUse.LEGACY, PolicyInUse.SHADOW])
async def test_other_policies_run_no_gap_poll_and_expire_states_all_the_same(
    policy: PolicyInUse,
) -> None:
    async with running_pipeline(policy=policy) as pipeline:
        finished = SyncState(version=1, finished_at=pipeline.clock.now() - timedelta(days=31))
        await pipeline.store.commit([state_plan("c9", state=finished)])
        await pipeline.clock.advance(1_201)
        assert Metric.WAITING.value not in pipeline.recorder.gauges
        assert pipeline.store.state("c9").version == 0
        await pipeline.stop()


def _drifted(pipeline: RunningPipeline) -> None:
    """The events of a pair were lost long ago."""
    old = "2020-01-02T03:04:05.678Z"
    assigned = work_item(2, status="queued", queuedCount=1, updatedAt=old)
    for data in (conversation(2, users=("u-1",), updatedAt=old), assigned):
        document = document_from_snapshot(data, org="org-1", rev=2)
        put = pipeline.store.put_conversation if data["type"] == "conversation" else pipeline.store.put_work_item
        put(document)


async def test_a_pair_that_no_event_brings_back_is_found_by_the_sweep_and_published() -> None:
    async with running_pipeline(subscribed=True) as pipeline:
        _drifted(pipeline)
        await pipeline.clock.advance(700)
        await pipeline.stop()
    applied = [line for line in pipeline.recorder.lines if line.get("outcome") == "applied"]
    assert [(line["trigger"], line["conversationId"]) for line in applied] == [("sweep", "c-1")]
    assert [arn for arn, _ in pipeline.topics.calls if arn.endswith(":work-items")]


@pytest.mark.parametrize("policy", [PolicyInUse.LEGACY, PolicyInUse.SHADOW])
async def test_under_the_other_policies_the_sweep_tells_and_writes_nothing(policy: PolicyInUse) -> None:
    async with running_pipeline(policy=policy) as pipeline:
        _drifted(pipeline)
        before = pipeline.store.documents(Collection.WORK_ITEMS)
        await pipeline.clock.advance(700)
        assert pipeline.store.documents(Collection.WORK_ITEMS) == before
        await pipeline.stop()
    found = [line for line in pipeline.recorder.lines if line["msg"] == "drift found by the sweep"]
    assert {(line["conversationId"], line["end"]) for line in found} == {("c-1", "planned")}
