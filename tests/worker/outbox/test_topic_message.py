"""Topic messages: their attributes, and how they are packed into calls."""

import json

from worker.outbox.topic_message import pack_into_calls, topic_message


def test_a_message_carries_its_name_and_its_trace_as_attributes() -> None:
    text = json.dumps({"name": "kustomer.conversation.update", "dd": {"trace_id": "12", "span_id": "34"}})
    attributes = topic_message(id="a", group="c1", text=text).attributes
    assert attributes["name"] == {"DataType": "String", "StringValue": "kustomer.conversation.update"}
    assert json.loads(attributes["_datadog"]["StringValue"]) == {
        "x-datadog-trace-id": "12",
        "x-datadog-parent-id": "34",
    }
    assert topic_message(id="a", group="c1", text='{"name": "", "dd": {}}').attributes == {}


def test_packing_keeps_the_order() -> None:
    messages = [topic_message(id=str(n), group="c1", text=json.dumps({"f": "x" * 60_000})) for n in range(23)]
    calls = list(pack_into_calls(messages))
    assert [message.id for call in calls for message in call] == [str(n) for n in range(23)]
    assert list(pack_into_calls([])) == []
