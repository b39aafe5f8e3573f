"""Valid JSON with hostile values, wherever bytes enter: duplicate names, query operators in the place of ids."""

from typing import Any, Final

import pytest

from commands.reason import Refusal, RefusalCode
from commands.update import parse_update
from handlers.dry_run.question import BadQuestion, answer
from handlers.events.event import Event, Malformed, RejectionCode
from handlers.events.parser import read_message
from handlers.planning.event_batch import load_request_of
from tests.handlers.dry_run.questions import COMMAND, NOW, SYNC, C, W
from tests.handlers.events.malformed.kind import good
from tests.handlers.wire_events import Json, text

OPERATORS: Final[tuple[Any, ...]] = (
    {"$ne": None}, {"$gt": ""}, {"$where": "sleep(9999)"}, {"$in": ["u-1"]}, {"a.b": "u-1"}, ["u-1"], 7, True, 2**70,
)  # fmt: skip
OF_DATA: Final = '"id":"c-1","type":"conversation"'
BAD_LAST: Final = '"id":"c-1","id":{"$ne":null},"type":"conversation"'
GOOD_LAST: Final = '"id":{"$ne":null},"id":"c-1","type":"conversation"'


class TestDuplicateNames:
    """Of a duplicate name every JSON reader keeps the last value, so that value is checked and used."""

    @pytest.mark.parametrize("beyond", ["", f',"long":"{"1" * 20}"'], ids=["one reader", "the other"])
    def test_the_last_value_is_checked_and_used(self, beyond: str) -> None:
        """A long number makes the exact JSON reader parse the text again."""
        whole = text(good())
        last = whole.replace(OF_DATA, GOOD_LAST + beyond)
        assert last != whole
        read = read_message(last)
        assert isinstance(read, Event), read
        assert read.conversation_id == "c-1"
        assert load_request_of(read.conversation_id, [read]).conversation_id == "c-1"

    @pytest.mark.parametrize("beyond", ["", f',"long":"{"1" * 20}"'], ids=["one reader", "the other"])
    def test_a_bad_last_value_is_rejected_after_a_good_first(self, beyond: str) -> None:
        whole = text(good()).replace(OF_DATA, BAD_LAST + beyond)
        read = read_message(whole)
        assert isinstance(read, Malformed)
        assert (read.code, read.reason.partition(":")[0]) == (RejectionCode.INVALID_FIELD, "data.id")

    def test_a_duplicate_revision(self) -> None:
        read = read_message(text(good()).replace('"rev":2,', '"rev":2,"rev":{"$inc":1},'))
        assert isinstance(read, Malformed)
        assert read.code is RejectionCode.BAD_REVISION


@pytest.mark.parametrize("value", OPERATORS, ids=repr)
class TestOperatorsInPlaceOfIds:
    @pytest.mark.parametrize(
        "update",
        [
            lambda value: {"queue": value},
            lambda value: {"queue": {"id": value}},
            lambda value: {"queue.id": value},
            lambda value: {"queue": {"key": value}},
            lambda value: {"queue": {"id": "q-1", "rule": value}},
            lambda value: {"assignedTo": value},
            lambda value: {"routed": {"to": value}},
            lambda value: {"routed": {"to": "u-1", "workSession": value}},
            lambda value: {"accepted": {"by": value}},
            lambda value: {"accepted.by": "u-1", "accepted.workSession": value},
        ],
    )
    def test_an_update_is_refused(self, update: Any, value: Any) -> None:
        refused = parse_update(update(value))
        assert isinstance(refused, Refusal)
        assert refused.code is RefusalCode.INVALID_UPDATE

    @pytest.mark.parametrize(
        "question",
        [
            lambda value: {**SYNC, "conversation": {**C, "id": value}},
            lambda value: {**SYNC, "conversation": {**C, "queue": value}},
            lambda value: {**SYNC, "conversation": {**C, "queue": {"id": value}}},
            lambda value: {**SYNC, "conversation": {**C, "assignedUsers": [value]}},
            lambda value: {**SYNC, "workItem": {**W, "queue": value}},
            lambda value: {**SYNC, "workItem": {**W, "queue": {"id": "q-1", "rule": value}}},
            lambda value: {**SYNC, "workItem": {**W, "assignedTo": value}},
            lambda value: {**COMMAND, "queues": [{"id": value}]},
            lambda value: {**COMMAND, "sessions": [{"id": value, "user": "u-1"}]},
            lambda value: {**COMMAND, "sessions": [{"id": "s-1", "user": value}]},
        ],
    )
    def test_a_question_is_refused(self, question: Any, value: Any) -> None:
        with pytest.raises(BadQuestion):
            answer(question(value), now=NOW)


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**40])
@pytest.mark.parametrize("place", ["workItem", "conversation", "update"])
def test_a_number_beyond_64_bits_in_a_question_is_refused(place: str, number: int) -> None:
    questions: dict[str, Json] = {
        "workItem": {**COMMAND, "workItem": {**W, "custom": [{"sum": number}]}},
        "conversation": {**SYNC, "conversation": {**C, "custom": number}},
        "update": {**COMMAND, "update": {"paused": True, "rev": number}},
    }
    with pytest.raises(BadQuestion, match="a number beyond 64 bits"):
        answer(questions[place], now=NOW)


def test_a_reason_counts_or_masks_names_that_are_not_modelled() -> None:
    read = read_message('{"data": 1, "her number is 555": 1, "name": "n"}')
    assert isinstance(read, Malformed)
    assert read.reason == "keys data, name, 1 unknown are those of no known shape"
    body = good()
    body["body"]["changes"]["attributes"] = {"her number is 555": 1, "status": 2}
    read = read_message(text(body))
    assert isinstance(read, Malformed)
    assert read.reason.startswith("changes.attributes.*: ")
    assert "; changes.attributes.status: " in read.reason
