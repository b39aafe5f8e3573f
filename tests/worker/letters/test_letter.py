"""What a letter says of itself, which letters are meant, how they are summed up and shown, and the capture of them."""

import json
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from handlers.events.envelope import DEFAULT_LIMITS
from handlers.events.event import Event
from handlers.events.parser import read_message
from tests.handlers.wire_events import conversation, event, notification, published, text, work_item
from tests.worker.stand_ins.fake_clock import T0
from worker.captures import Capture, captures_of
from worker.letters.letter import MOVED_BY_SQS, READ_FAULT, CodeSource, Letter, read_letters
from worker.letters.letter_capture import capture_line
from worker.letters.letter_filter import LetterFilter
from worker.letters.letter_summary import GROUPS_MAX, LetterSummary
from worker.letters.shown_letter import letter_line, shown_letter
from worker.ports.letters import LetterDelivery
from worker.ports.message_queue import NO_CODE, Message
from worker.telemetry.status_page.dead_letter_counts import OTHER_REASONS

WORDS = "Where is my parcel, Zoë?"
GOOD = text(notification(published(event(work_item(3, of="c-9", preview=WORDS, mail="zoe@example.org")))))


def delivered(body: str, *, moved_from: str | None = None, letter_id: str = "l-1", **attributes: str) -> LetterDelivery:
    values: dict[str, Any] = {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}
    values["_datadog"] = {"DataType": "Binary", "BinaryValue": b'{"x-datadog-trace-id":"7"}'}
    message = Message(
        id=letter_id, receipt="r", body=body, attributes=values, receive_count=2, sent_at=T0, received_at=T0, group="g"
    )
    return LetterDelivery(message=message, moved_from=moved_from)


async def letter_of(body: str, **more: Any) -> Letter:
    (letter,) = await read_letters([delivered(body, **more)], DEFAULT_LIMITS)
    return letter


async def test_the_workers_own_code_and_reason_count_whatever_the_reader_says_now() -> None:
    letter = await letter_of(GOOD, error_code="TOO_DEEP", error_reason="the body nests", source_message_id="m-1")
    assert (letter.code, letter.code_source, letter.reason) == ("TOO_DEEP", CodeSource.ATTRIBUTES, "the body nests")
    assert (letter.source_id, letter.is_readable, letter.name) == ("m-1", True, "kustomer.work-item.update")
    assert (letter.conversation_id, letter.document_id, letter.rev) == ("c-9", "w-1", 3)


async def test_a_letter_without_a_code_gets_the_readers() -> None:
    letter = await letter_of(text(published(event(conversation(0)))))
    assert (letter.code, letter.code_source, letter.is_readable) == ("BAD_REVISION", CodeSource.READER, False)
    assert letter.name == "kustomer.conversation.update"


async def test_a_readable_letter_that_sqs_moved_has_no_code() -> None:
    letter = await letter_of(GOOD, moved_from="arn:aws:sqs:eu-west-1:1:events")
    assert (letter.code, letter.code_source, letter.reason) == (NO_CODE, CodeSource.NOBODY, MOVED_BY_SQS)
    assert letter.is_readable


async def test_an_unsupported_event_is_readable_for_the_worker_deletes_it() -> None:
    body = text(published({**event(conversation(2)), "name": "kustomer.message.create"}))
    assert (await letter_of(body)).is_readable


class _Undecided:
    """A name of an attribute that cannot be told from `_datadog`, where the reader looks for the trace."""

    def __eq__(self, other: object) -> bool:
        raise TypeError

    def __hash__(self) -> int:
        return hash("_datadog")


async def test_an_error_of_the_reader_is_the_fault_of_its_letter_alone() -> None:
    deliveries = [delivered(GOOD, letter_id="a"), delivered("no JSON", letter_id="b")]
    attributes: dict[Any, Any] = {_Undecided(): {}}
    deliveries[0] = replace(deliveries[0], message=replace(deliveries[0].message, attributes=attributes))
    first, second = await read_letters(deliveries, DEFAULT_LIMITS)
    assert (first.code, first.is_readable) == (READ_FAULT, False)
    assert "TypeError" in first.reason
    assert second.code == "NOT_JSON"


async def test_a_text_from_an_attribute_cannot_move_the_terminals_cursor() -> None:
    letter = await letter_of("no JSON", error_code="NOT_JSON\x1b[2J", error_reason="line\r\nline\u202e")
    assert (letter.code, letter.reason) == ("NOT_JSON\ufffd[2J", "line\ufffd\ufffdline\ufffd")


@pytest.mark.parametrize(
    ("chosen", "accepted"),
    [
        (LetterFilter(), True),
        (LetterFilter(codes=frozenset({"NO_CODE", "NOT_JSON"})), True),
        (LetterFilter(codes=frozenset({"NOT_JSON"})), False),
        (LetterFilter(reason="MAXreceive"), True),
        (LetterFilter(reason="parcel"), False),
        (LetterFilter(names=("kustomer.work-item.*",)), True),
        (LetterFilter(names=("kustomer.conversation.*",)), False),
        (LetterFilter(conversations=frozenset({"c-9"})), True),
        (LetterFilter(conversations=frozenset({"w-1"})), False),
        (LetterFilter(ids=frozenset({"l-1", "other"})), True),
        (LetterFilter(ids=frozenset({"event-w-1-3-update"})), True),
        (LetterFilter(ids=frozenset({"other"})), False),
        (LetterFilter(older_than=timedelta(minutes=59)), True),
        (LetterFilter(older_than=timedelta(hours=1)), False),
        (LetterFilter(newer_than=timedelta(hours=1)), False),
        (LetterFilter(newer_than=timedelta(minutes=61)), True),
        (LetterFilter(codes=frozenset({"NO_CODE"}), reason="nothing"), False),
    ],
)
async def test_all_conditions_hold_and_of_each_one_value(chosen: LetterFilter, accepted: bool) -> None:
    letter = await letter_of(GOOD, moved_from="arn:aws:sqs:eu-west-1:1:events")
    assert chosen.accepts(letter, T0 + timedelta(hours=1)) is accepted
    assert chosen.accepts_all is (chosen == LetterFilter())


async def test_letters_whose_reasons_differ_in_a_size_are_one_group_and_many_reasons_are_summed_up() -> None:
    summary = LetterSummary()
    for size in (1_100_000, 1_200_000):
        summary.add(await letter_of("x", error_code="TOO_LARGE", error_reason=f"{size} bytes, the limit is 1048576"))
    (group,) = summary.groups()
    assert (group.count, group.reason) == (2, "N bytes, the limit is 1048576")
    for number in range(GROUPS_MAX + 50):
        summary.add(await letter_of("x", error_code="INVALID_FIELD", error_reason=f"field-{number}: wrong"))
    groups = summary.groups()
    assert len(groups) == GROUPS_MAX + 1
    assert (groups[0].reason, groups[0].count) == (OTHER_REASONS, 51)
    assert sum(group.count for group in groups) == summary.count == GROUPS_MAX + 52


async def test_a_letter_is_shown_without_customers_words_unless_they_are_asked_for() -> None:
    letter = await letter_of(GOOD)
    shown = shown_letter(letter, DEFAULT_LIMITS, with_content=False)
    written = json.dumps(shown, ensure_ascii=False)
    assert "parcel" not in written
    assert "zoe@" not in written
    assert "x-datadog" not in written
    assert shown["event"]["data"]["relationships"]["resource"]["data"]["id"] == "c-9"
    assert shown["event"]["data"]["attributes"]["rev"] == 3
    assert shown["message"]["publishedAt"] == "2024-05-06T07:08:09.250Z"
    whole = shown_letter(letter, DEFAULT_LIMITS, with_content=True)
    assert whole["event"]["data"]["attributes"]["preview"] == WORDS
    assert whole["attributes"] == {"_datadog": '{"x-datadog-trace-id":"7"}'}


@pytest.mark.parametrize(
    ("body", "left_out"),
    [
        (WORDS, "(left out): 24 characters that are no JSON"),
        (json.dumps({"Type": "Notification", "MessageId": "m", "Message": WORDS}), None),
        (json.dumps([WORDS]), None),
        (json.dumps({WORDS: WORDS}), None),
        (text(published(event(conversation(2, status=WORDS)))), None),
    ],
)
async def test_a_malformed_body_is_shown_without_words_too(body: str, left_out: str | None) -> None:
    letter = await letter_of(body)
    for shown in (shown_letter(letter, DEFAULT_LIMITS, with_content=False), letter_line(letter)):
        assert "parcel" not in json.dumps(shown)
    if left_out is not None:
        assert shown_letter(letter, DEFAULT_LIMITS, with_content=False)["body"] == left_out
    assert "parcel" in json.dumps(shown_letter(letter, DEFAULT_LIMITS, with_content=True))


async def test_a_capture_is_read_as_the_worker_reads_the_letter() -> None:
    letters = [
        await letter_of(GOOD, moved_from="arn:aws:sqs:eu-west-1:1:events"),
        await letter_of("no\nJSON \U0001f4e6"),
    ]
    lines = [f"{capture_line(letter)}\n".encode() for letter in letters]
    good, bad = captures_of("file", lines)
    assert isinstance(good, Capture)
    read = read_message(good.text)
    assert isinstance(read, Event)
    assert (read.conversation_id, read.trace) == ("c-9", {"trace_id": "7"})
    assert isinstance(bad, Capture)
    assert json.loads(bad.text)["Body"] == "no\nJSON \U0001f4e6"
    assert json.loads(good.text)["Attributes"]["SentTimestamp"] == "1714979289123"
