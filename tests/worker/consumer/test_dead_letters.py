"""Dead letters: they hold the reason and fit the limits of SQS."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from handlers.events.event import RejectionCode
from handlers.outcome import Poison
from tests.worker.stand_ins.fake_clock import T0
from worker.consumer.dead_letters import ATTRIBUTES_MAX, REASON_BYTES_MAX, dead_letter, shortened
from worker.ports.aws_calls import size_bytes
from worker.ports.message_queue import Message, QueueAttributes

QUEUE_ATTRIBUTES = QueueAttributes(
    visibility_timeout_s=60, receive_count_max=10, fifo=False, dead_letter_url="dead", dead_letter_bytes_max=262_144
)
MESSAGE = Message(id="m1", receipt="r1", body="{nonsense", attributes={}, receive_count=1, sent_at=T0, received_at=T0)
POISON = Poison(code=RejectionCode.NOT_JSON, reason="the body is not JSON")


def _values(attributes: Any) -> dict[str, str]:
    return {name: value["StringValue"] for name, value in attributes.items()}


def test_a_dead_letter_keeps_its_body_and_holds_the_reason() -> None:
    written = dead_letter(MESSAGE, POISON, QUEUE_ATTRIBUTES)
    assert written.explained
    assert written.letter.body == "{nonsense"
    assert _values(written.letter.attributes) == {
        "error_code": "NOT_JSON",
        "error_reason": "the body is not JSON",
        "source_message_id": "m1",
        "received_at": "2024-05-06T07:08:09.123Z",
    }
    assert (written.letter.group, written.letter.deduplication_id) == (None, None)


def test_a_fifo_dead_letter_has_group_and_deduplication_id() -> None:
    queue_attributes = replace(QUEUE_ATTRIBUTES, fifo=True)
    grouped = dead_letter(replace(MESSAGE, group="c1"), POISON, queue_attributes).letter
    assert (grouped.group, grouped.deduplication_id) == ("c1", "m1")
    assert dead_letter(MESSAGE, POISON, queue_attributes).letter.group == "m1"


def test_the_messages_attributes_are_copied_while_there_is_room() -> None:
    own = {f"a{n}": {"DataType": "String", "StringValue": "x", "StringListValues": []} for n in range(9)}
    letter = dead_letter(replace(MESSAGE, attributes=own), POISON, QUEUE_ATTRIBUTES).letter
    assert len(letter.attributes) == ATTRIBUTES_MAX
    assert letter.attributes["a0"] == {"DataType": "String", "StringValue": "x"}
    redriven = {"error_code": {"DataType": "String", "StringValue": "TOO_DEEP"}}
    assert (
        _values(dead_letter(replace(MESSAGE, attributes=redriven), POISON, QUEUE_ATTRIBUTES).letter.attributes)[
            "error_code"
        ]
        == "NOT_JSON"
    )


def test_of_the_messages_attributes_the_trace_comes_first() -> None:
    """SNS's raw delivery brings up to ten attributes, and four are the letter's own."""
    trace = {"DataType": "Binary", "BinaryValue": b'{"x-datadog-trace-id":"7"}'}
    others = {f"other-{number}": {"DataType": "String", "StringValue": "x"} for number in range(9)}
    message = replace(MESSAGE, attributes={**others, "_datadog": trace})
    attributes = dead_letter(message, POISON, QUEUE_ATTRIBUTES).letter.attributes
    assert len(attributes) == ATTRIBUTES_MAX
    assert attributes["_datadog"] == trace


def test_a_body_that_leaves_little_room_shortens_the_reason() -> None:
    body = "x" * (QUEUE_ATTRIBUTES.dead_letter_bytes_max - 160)
    written = dead_letter(replace(MESSAGE, body=body), replace(POISON, reason="because " * 50), QUEUE_ATTRIBUTES)
    reason = _values(written.letter.attributes)["error_reason"]
    assert reason.endswith("…")
    assert size_bytes(body, written.letter.attributes) == QUEUE_ATTRIBUTES.dead_letter_bytes_max


def test_a_dead_letter_without_room_has_no_attributes() -> None:
    written = dead_letter(replace(MESSAGE, body="x" * QUEUE_ATTRIBUTES.dead_letter_bytes_max), POISON, QUEUE_ATTRIBUTES)
    assert not written.explained
    assert written.letter.attributes == {}


@pytest.mark.parametrize(
    ("text", "bytes_max", "expected"),
    [
        ("plain", 5, "plain"),
        ("plain", 4, "p…"),
        ("null \0 bell \a", 100, "null \ufffd bell \ufffd"),
        ("ééé", 5, "é…"),
        ("half \ud800 pair", 100, "half \ufffd pair"),
        ("anything", 3, ""),
        ("anything", -20, ""),
    ],
)
def test_a_reason_is_shortened_to_its_byte_limit(text: str, bytes_max: int, expected: str) -> None:
    assert shortened(text, bytes_max) == expected


@given(body=st.integers(0, 1_200), reason=st.text(max_size=400), limit=st.integers(1_024, 1_300))
def test_a_dead_letter_always_fits_the_size_limit(body: int, reason: str, limit: int) -> None:
    queue_attributes = replace(QUEUE_ATTRIBUTES, dead_letter_bytes_max=limit)
    message = replace(MESSAGE, body="x" * min(body, limit))
    letter = dead_letter(message, replace(POISON, reason=reason), queue_attributes).letter
    assert size_bytes(letter.body, letter.attributes) <= limit
    assert all(value["StringValue"] for value in letter.attributes.values())
    assert len(shortened(reason, REASON_BYTES_MAX).encode()) <= REASON_BYTES_MAX
