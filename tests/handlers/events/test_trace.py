"""The trace of an event: its carriers, their precedence, and unreadable traces, which are ignored."""

import base64

import orjson
import pytest

from handlers.events.event import Event
from handlers.events.parser import read_message, read_object
from tests.handlers.wire_events import Json, conversation, event, log_line, notification, published, queued, read, text

BARE = event(conversation(3, queue="q-1", users=("u-1",)), at=7)
PUBLISHED = published(BARE)

HEADERS = {"x-datadog-trace-id": "123", "x-datadog-parent-id": "456", "x-datadog-sampling-priority": "1"}
TRACE = {"trace_id": "123", "span_id": "456"}


class TestTrace:
    def test_dd_of_a_log_line_without_the_rest_of_it(self) -> None:
        line = log_line(PUBLISHED, dd={**TRACE, "service": "sobjects", "version": "1"})
        assert read(line).trace == TRACE

    def test_dd_of_a_published_message_as_we_publish_it(self) -> None:
        assert read(queued(notification({**PUBLISHED, "dd": TRACE}))).trace == TRACE

    def test_sns_message_attributes_as_text(self) -> None:
        carrier = {"_datadog": {"Type": "String", "Value": text(HEADERS)}}
        assert read(queued(notification(PUBLISHED, MessageAttributes=carrier))).trace == TRACE

    def test_sns_message_attributes_as_binary(self) -> None:
        """Datadog's tracers send `_datadog` to SNS as Binary, and a notification writes binary attributes in base64."""
        value = base64.b64encode(orjson.dumps(HEADERS)).decode()
        carrier = {"_datadog": {"Type": "Binary", "Value": value}}
        assert read(queued(notification(PUBLISHED, MessageAttributes=carrier))).trace == TRACE

    @pytest.mark.parametrize(
        "carrier",
        [
            {"DataType": "String", "StringValue": text(HEADERS)},
            {"DataType": "Binary", "BinaryValue": orjson.dumps(HEADERS)},
        ],
        ids=["string", "binary"],
    )
    def test_attributes_of_the_sqs_message_itself(self, carrier: Json) -> None:
        result = read_message(text(PUBLISHED), {"_datadog": carrier})
        assert isinstance(result, Event)
        assert result.trace == TRACE

    @pytest.mark.parametrize(
        "carrier",
        [
            {"DataType": "String", "StringValue": text(HEADERS)},
            {"DataType": "Binary", "BinaryValue": base64.b64encode(orjson.dumps(HEADERS)).decode()},
        ],
        ids=["string", "binary"],
    )
    def test_row_13_attributes_inside_a_captured_sqs_message(self, carrier: Json) -> None:
        """A captured message is JSON, which holds bytes in base64."""
        assert read(queued(PUBLISHED, MessageAttributes={"_datadog": carrier})).trace == TRACE

    def test_without_a_parent(self) -> None:
        result = read_object(BARE, attributes={"_datadog": {"StringValue": '{"x-datadog-trace-id":"123"}'}})
        assert isinstance(result, Event)
        assert result.trace == {"trace_id": "123"}

    def test_a_trace_in_the_body_precedes_the_messages_attributes(self) -> None:
        other = {"_datadog": {"StringValue": text({**HEADERS, "x-datadog-trace-id": "999"})}}
        result = read_object({**PUBLISHED, "dd": TRACE}, attributes=other)
        assert isinstance(result, Event)
        assert result.trace == TRACE

    @pytest.mark.parametrize(
        "attributes",
        [
            {},
            {"_datadog": None},
            {"_datadog": "text"},
            {"_datadog": {}},
            {"_datadog": {"StringValue": "not json"}},
            {"_datadog": {"StringValue": "[1]"}},
            {"_datadog": {"StringValue": '{"x-datadog-trace-id":7}'}},
            {"_datadog": {"BinaryValue": b"\xff\x00"}},
            {"_datadog": {"StringValue": {"deep": 1}}},
            {"other": {"StringValue": "x"}},
        ],
        ids=repr,
    )
    def test_an_unreadable_trace_is_ignored(self, attributes: Json) -> None:
        result = read_object({**PUBLISHED, "dd": {"trace_id": 7}}, attributes=attributes)
        assert isinstance(result, Event)
        assert result.trace is None
        assert read(notification(PUBLISHED, MessageAttributes=attributes)).trace is None
