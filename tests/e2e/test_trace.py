"""Row 13: the trace of an announcement is a binary attribute, on a subscription with a filter and raw delivery too."""

import json
from typing import Any

from handlers.events.envelope import trace_of
from handlers.events.event import Event
from handlers.events.parser import read_message
from tests.e2e.outside import Outside
from tests.e2e.stage import Stage
from tests.e2e.worker_process import wait_until


def _filtered_queue(stage: Stage, topic: str) -> str:
    """The URL of a queue that takes updates alone, raw, by a filter of message attributes."""
    url = str(stage.sqs.create_queue(QueueName=f"{stage.provisioning.name}-filtered")["QueueUrl"])
    arn = stage.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    only = {"RawMessageDelivery": "true", "FilterPolicy": json.dumps({"name": [{"prefix": "kustomer."}]})}
    stage.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes=only)
    return url


def test_row_13_the_trace_arrives_by_every_way_of_delivery(stage: Stage) -> None:
    filtered_url = _filtered_queue(stage, stage.variables["SNS_CONVERSATION_TOPIC_ARN"])
    outside = Outside(2)
    messages = [message for number in range(5) for message in outside.pair(number, 6)]
    traces = {message["dd"]["trace_id"] for message in messages}
    worker = stage.worker()
    worker.wait_ready()
    stage.publish(messages)
    stage.wait_drained(within_s=60)
    raw: list[dict[str, Any]] = []

    def synced() -> bool:
        raw.extend(each for each in stage.take_all(filtered_url) if json.loads(each["Body"])["body"]["isSync"])
        return bool(raw)

    wait_until(synced, within_s=30, what=lambda: "an announcement has arrived")
    for each in raw:
        carrier = each["MessageAttributes"]["_datadog"]
        assert carrier["DataType"] == "Binary"
        assert json.loads(carrier["BinaryValue"])["x-datadog-trace-id"] in traces
        # A service that publishes no trace in the body: the attribute alone names it.
        body = {name: value for name, value in json.loads(each["Body"]).items() if name != "dd"}
        event = read_message(json.dumps(body), each["MessageAttributes"])
        assert isinstance(event, Event)
        assert event.trace is not None
        assert event.trace["trace_id"] in traces
    wrapped = [json.loads(each["Body"]) for each in stage.take_all(stage.spy_url)]
    assert wrapped
    for each in wrapped:
        assert each["MessageAttributes"]["_datadog"]["Type"] == "Binary"
        found = trace_of(each)
        assert found is not None
        assert found["trace_id"] in traces
    assert worker.terminate()[0] == 0
