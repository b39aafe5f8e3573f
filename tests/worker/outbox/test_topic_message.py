"""Topic messages: their attributes, and how they are packed into calls."""

import json

from worker.outbox.topic_message import pack_into_calls, topic_message


def test_row_13_a_message_carries_its_name_as_text_and_its_trace_as_bytes() -> None:
    text = json.dumps({"name": "kustomer.conversation.update", "dd": {"trace_id": "12", "span_id": "34"}})
    attributes = topic_message(id="a", group="c1", text=text).attributes
    assert attributes["name"] == {"DataType": "String", "StringValue": "kustomer.conversation.update"}
    # Row 13: SNS drops a message with JSON in a text attribute for every subscription that has a filter.
    assert attributes["_datadog"] == {
        "DataType": "Binary",
        "BinaryValue": b'{"x-datadog-trace-id":"12","x-datadog-parent-id":"34"}',
    }
    assert topic_message(id="a", group="c1", text='{"name": "", "dd": {}}').attributes == {}


def test_packing_keeps_the_order() -> None:
    messages = [topic_message(id=str(n), group="c1", text=json.dumps({"f": "x" * 60_000})) for n in range(23)]
    calls = list(pack_into_calls(messages))
    assert [message.id for call in calls for message in call] == [str(n) for n in range(23)]
    assert list(pack_into_calls([])) == []
