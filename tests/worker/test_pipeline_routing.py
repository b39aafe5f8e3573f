"""The pipeline creates and queues a work-item, and its own events come back through the queue."""

import json
from typing import Any, Final

from handlers.documents.document_mapping import work_item_of
from tests.handlers.wire_events import conversation, event, published, text
from tests.worker.pipeline_bench import RunningPipeline, running_pipeline
from tests.worker.stand_ins.fake_clock import until
from worker.store.documents import Collection
from worker.store.memory.queue_rules import MemoryQueueRules
from worker.telemetry.metrics import Metric

BODY: Final = text(published(event(conversation(3, channel="email"), "update")))
RULES: Final = MemoryQueueRules(
    rules=[{"_id": "r-bad", "org": "org-1", "enabled": True}],
    queues=[{"_id": "q-1", "org": "org-1", "default": True}],
)


def _codes(pipeline: RunningPipeline) -> list[Any]:
    lines = [line for line in pipeline.recorder.lines if line["msg"] == "CONVERSATION_SYNC_AUDIT"]
    return [[reason["code"] for reason in line["reasons"]] for line in lines]


async def test_the_work_item_is_created_and_queued_and_what_comes_back_changes_nothing() -> None:
    async with running_pipeline(BODY, subscribed=True, queue_rules=RULES) as pipeline:
        await until(lambda: len(_codes(pipeline)) == 4)
        await pipeline.stop()
    [document] = pipeline.store.documents(Collection.WORK_ITEMS)
    assert (work_item_of(document).queue, document["rev"]) == ("q-1", 2)
    first, *back = _codes(pipeline)
    assert first == [
        "CONVERSATION_ROUTABLE",
        "QUEUE_DEFAULT",
        "WORK_ITEM_UPDATE_CMD",
        "WORK_ITEM_QUEUE_CHANGED",
    ]
    assert sorted(code for [code] in back) == ["IN_SYNC", "IS_SYNC", "STALE_REV"]
    assert pipeline.store.documents(Collection.OUTBOX) == ()


async def test_what_was_written_is_counted_and_a_rule_that_cannot_be_used_is_named() -> None:
    async with running_pipeline(BODY, queue_rules=RULES) as pipeline:
        await until(lambda: len(_codes(pipeline)) == 1)
        await pipeline.stop()
    counts = pipeline.recorder.counts
    event_name = "event=kustomer.conversation.update"
    for action, code in (("create_work_item", "conversation_routable"), ("queue_work_item", "queue_default")):
        assert counts[f"{Metric.ROUTED.value} action={action} code={code} {event_name}"] == 1
    assert pipeline.recorder.total(Metric.RULE_UNREADABLE) == 1
    [line] = [each for each in pipeline.recorder.lines if each["msg"].startswith("a queue rule cannot be used")]
    assert json.dumps(line["reason"]).startswith('"r-bad in the store cannot be read: ')
