"""The delivery watch: it tells what keeps published events from the queue, once, and when that is mended."""

import asyncio
from collections.abc import Sequence

import pytest

from tests.worker.stand_ins.fake_clock import FakeClock, run_ready_tasks
from tests.worker.stand_ins.moto_clients import Aws
from tests.worker.stand_ins.telemetry_recorder import TelemetryRecorder, runtime_of
from worker.aws.checks.delivery import QueueDelivery
from worker.aws.provisioning import ProvisioningResult
from worker.findings import Finding, FindingCode, Result, Sound, Untried
from worker.sweeps.delivery_watch import INTERVAL_S, DeliveryWatch

METRIC = "routing_sync.delivery.findings"
WARNING = "published events may not reach the queue"
ABSENT = Finding(code=FindingCode.SUBSCRIPTION_ABSENT, subject="subscription", found="there is none", remedy="make it")
CLOSED = Finding(code=FindingCode.TOPIC_NOT_ALLOWED, subject="queue policy", found="it forbids", remedy="allow")
SOUND = Sound(subject="queue policy", found="the topic may send")
UNSEEN = Untried(subject="subscription", reason="the right is missing")
AWAY = Untried(subject="delivery to the queue", reason="no connection")


class DeliveryWatchBench:
    """A watch that sees what the test puts there."""

    def __init__(self) -> None:
        self.clock, self.recorder = FakeClock(), TelemetryRecorder()
        self.runtime = runtime_of(self.clock, self.recorder)
        self.seen: Sequence[Result] = [SOUND]
        self.looks = 0
        self.watch = DeliveryWatch(delivery=self, runtime=self.runtime)

    async def look(self) -> Sequence[Result]:
        self.looks += 1
        return self.seen

    async def sees(self, *results: Result) -> None:
        self.seen = results
        await self.watch.round()

    @property
    def shown(self) -> dict[str, list[str]]:
        shown: dict[str, list[str]] = self.runtime.health.report()["delivery"]
        return shown

    @property
    def warned(self) -> list[str]:
        return [line["code"] for line in self.recorder.lines if line["msg"] == WARNING]


async def test_what_is_found_is_warned_of_once_and_shown_as_long_as_it_stands() -> None:
    bench = DeliveryWatchBench()
    assert bench.runtime.health.report()["delivery"] is None
    await bench.sees(SOUND, ABSENT)
    await bench.sees(SOUND, ABSENT)
    assert bench.warned == ["SUBSCRIPTION_ABSENT"]
    (line,) = [line for line in bench.recorder.lines if line["msg"] == WARNING]
    assert (line["subject"], line["reason"], line["remedy"]) == ("subscription", "there is none", "make it")
    assert bench.shown == {"findings": ["subscription: there is none: make it"], "untried": []}
    assert bench.recorder.gauges == {METRIC: 1}
    await bench.sees(CLOSED, ABSENT)
    assert bench.warned == ["SUBSCRIPTION_ABSENT", "TOPIC_NOT_ALLOWED"]
    assert bench.recorder.gauges == {METRIC: 2}


async def test_what_is_mended_is_told() -> None:
    bench = DeliveryWatchBench()
    await bench.sees(ABSENT)
    await bench.sees(SOUND)
    assert bench.recorder.messages[-1].startswith("published events reach the queue again")
    assert bench.shown == {"findings": [], "untried": []}
    assert bench.recorder.gauges == {METRIC: 0}
    await bench.sees(ABSENT)
    assert len(bench.warned) == 2


async def test_what_cannot_be_looked_at_counts_neither_as_mended_nor_as_found() -> None:
    bench = DeliveryWatchBench()
    await bench.sees(SOUND, UNSEEN)
    await bench.sees(SOUND, UNSEEN)
    assert bench.recorder.messages == ["delivery not checked"]
    assert bench.recorder.gauges == {METRIC: 0}
    assert bench.shown == {"findings": [], "untried": ["subscription: the right is missing"]}
    await bench.sees(SOUND, ABSENT)
    for results in ([SOUND, UNSEEN], [AWAY]):
        await bench.sees(*results)
        assert bench.recorder.gauges == {METRIC: 1}
    assert len(bench.warned) == 1


async def test_it_looks_at_the_start_and_then_every_few_minutes() -> None:
    bench = DeliveryWatchBench()
    running = asyncio.create_task(bench.watch.run())
    await run_ready_tasks()
    assert bench.looks == 1
    await bench.clock.advance(1.5 * INTERVAL_S)
    assert bench.looks in {2, 3, 4}
    running.cancel()
    await asyncio.wait([running])


def delivery(aws: Aws, made: ProvisioningResult) -> QueueDelivery:
    topics = {
        "SNS_CONVERSATION_TOPIC_ARN": made.conversation_topic_arn,
        "SNS_WORK_ITEM_TOPIC_ARN": made.work_item_topic_arn,
    }
    return QueueDelivery(aws.sqs, aws.sns, queue_url=made.queue_url, topics=topics)


@pytest.mark.thorough
async def test_a_policy_and_a_subscription_that_are_removed_are_found_in_a_real_queue(aws: Aws) -> None:
    made = await aws.provisioned()
    looks = delivery(aws, made)
    assert {type(result) for result in await looks.look()} == {Sound}
    (found,) = (await aws.sns.list_subscriptions_by_topic(TopicArn=made.work_item_topic_arn))["Subscriptions"]
    await aws.sns.unsubscribe(SubscriptionArn=found["SubscriptionArn"])
    await aws.sqs.set_queue_attributes(QueueUrl=made.queue_url, Attributes={"Policy": ""})
    findings = [result.code for result in await looks.look() if isinstance(result, Finding)]
    assert findings == [*[FindingCode.TOPIC_NOT_ALLOWED] * 2, FindingCode.SUBSCRIPTION_ABSENT]
    await aws.sqs.delete_queue(QueueUrl=made.queue_url)
    (result,) = await looks.look()
    assert isinstance(result, Untried)
    assert result.reason.startswith("QueueDoesNotExist: ")
