"""`decide`: questions that are refused, and lines among which some cannot be read."""

import copy
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.dry_run.question import BadQuestion
from tests.handlers.dry_run.questions import COMMAND, SYNC, C, W, ask, fault
from tests.handlers.events.test_parser_properties import json_values, ways
from tests.handlers.wire_events import Json
from worker.cli.input_files.decide import answers

FAULTS: list[tuple[object, str]] = [
    (None, "the question must be a JSON object, this is null"),
    ([], "the question must be a JSON object, this is a list"),
    ("sync", "the question must be a JSON object, this is a string"),
    ({}, "kind is missing or null: set it to 'sync' or 'command'"),
    ({"kind": "snyc"}, "kind is another text: set it to 'sync' or 'command'"),
    ({"kind": ["sync"]}, "kind is a list: set it to 'sync' or 'command'"),
    ({**SYNC, "policy": "random"}, "policy: "),
    ({key: value for key, value in SYNC.items() if key != "policy"}, "policy: "),
    ({**SYNC, "trigger": "gap"}, "trigger: "),
    ({**SYNC, "conversation": []}, "conversation: "),
    ({**SYNC, "conversation": {**C, "status": "completed"}}, "conversation.attributes.status: "),
    ({**SYNC, "conversation": {**C, "assignedUsers": "u-1"}}, "conversation.attributes.assignedUsers: "),
    ({**SYNC, "conversation": {**C, "queue": {"id": 7}}}, "conversation.relationships.queue.data.id: "),
    ({**SYNC, "conversation": {**C, "rev": 0}}, "conversation.attributes.rev: "),
    ({**SYNC, "conversation": {}}, "conversation.attributes.status: "),
    ({**SYNC, "workItem": {**W, "status": "done"}}, "workItem.attributes.status: "),
    ({**SYNC, "workItem": {**W, "assignedTo": ["u-1"]}}, "workItem.relationships.assignedTo.data.id: "),
    ({**SYNC, "workItem": {**W, "paused": "no"}}, "workItem.attributes.paused: "),
    ({**SYNC, "state": 7}, "state: "),
    ({**SYNC, "event": {}}, "event: "),
    ({**COMMAND, "engine": "steam"}, "engine: "),
    ({**COMMAND, "workItem": None}, "workItem: "),
    ({key: value for key, value in COMMAND.items() if key != "update"}, "update: "),
    ({**COMMAND, "queues": {"id": "q"}}, "queues: "),
    ({**COMMAND, "queues": [{"key": "k"}]}, "queues.0.id: "),
    ({**COMMAND, "sessions": [{"id": "s"}]}, "sessions.0.user: "),
    ({**COMMAND, "sessions": [{"id": "s", "user": "u", "capacity": -1}]}, "sessions.0.capacity: "),
    ({**COMMAND, "sessions": [{"id": "s", "user": "u", "workItems": ["w"]}]}, "sessions.0.workItems.0: "),
    ({**COMMAND, "now": "yesterday"}, "now: "),
    ({**COMMAND, "colour": "red"}, "colour: "),
]


@pytest.mark.parametrize(("question", "says"), FAULTS, ids=[f"{n}-{says}" for n, (_, says) in enumerate(FAULTS)])
def test_a_question_that_cannot_be_answered_names_its_fault(question: object, says: str) -> None:
    assert says in fault(question)


def test_all_faults_are_named_at_once() -> None:
    message = fault({**SYNC, "conversation": {**C, "status": "x", "ended": 1}})
    assert "status: " in message
    assert "ended: " in message


UNKNOWN: list[tuple[Json, str, str]] = [
    ({**SYNC, "workitem": W}, "workitem", "workItem"),
    ({**SYNC, "conversation": {**C, "assignedUser": "u-1"}}, "conversation.assignedUser", "assignedUsers"),
    ({**SYNC, "conversation": {**C, "queue": {"id": "q-1", "rule": "r"}}}, "conversation.queue.*", "id"),
    ({**SYNC, "workItem": {**W, "assignedto": "u-1"}}, "workItem.assignedto", "assignedTo"),
    ({**SYNC, "workItem": {**W, "queuedcount": 1}}, "workItem.queuedcount", "queuedCount"),
    ({**SYNC, "workItem": {**W, "queue": {"id": "q-1", "ruel": "r"}}}, "workItem.queue.ruel", "rule"),
    ({**SYNC, "workItem": {**W, "resource": {"idd": "c"}}}, "workItem.resource.idd", "id"),
    ({**SYNC, "state": {"change": {}}}, "state.change", "changed"),
    ({**SYNC, "state": {"knowAt": {}}}, "state.knowAt", "knownAt"),
    ({**SYNC, "state": {"changed": {"assignedTo": 1}}}, "state.changed.assignedTo", "assignee"),
    ({**SYNC, "state": {"touched": {"pause": 1}}}, "state.touched.pause", "paused"),
    ({**SYNC, "state": {"doneBy": {"number": 1, "rev": 1, "revs": 2}}}, "state.doneBy.revs", "rev"),
    ({**SYNC, "state": {"observed": {"workItems": []}}}, "state.observed.workItems", "workItem"),
    ({**COMMAND, "session": []}, "session", "sessions"),
    ({**COMMAND, "queues": [{"id": "q", "keys": "k"}]}, "queues.0.keys", "key"),
    ({**COMMAND, "sessions": [{"id": "s", "user": "u", "pending": None}]}, "sessions.0.pending", "pendingItem"),
    (
        {**COMMAND, "sessions": [{"id": "s", "user": "u", "workItems": [{"id": "w", "size": 1}]}]},
        "sessions.0.workItems.0.size",
        "itemSize",
    ),
    ({**COMMAND, "workItem": {**W, "lastRevision": {"queuetime": 1}}}, "workItem.lastRevision.queuetime", "queueTime"),
    ({**COMMAND, "workItem": {**W, "wrapUp": {"entered": 1}}}, "workItem.wrapUp.entered", "enteredAt"),
    ({**COMMAND, "workItem": {**W, "handle": {"resumed": 1}}}, "workItem.handle.resumed", "resumedAt"),
]


@pytest.mark.parametrize(("question", "path", "nearest"), UNKNOWN, ids=[case[1] for case in UNKNOWN])
def test_an_unknown_name_is_a_fault_that_names_the_nearest_known_one(question: Json, path: str, nearest: str) -> None:
    assert fault(question) == f"{path}: unknown name; the nearest known one is {nearest!r}"


@pytest.mark.parametrize("side", ["conversation", "workItem"])
def test_a_documents_name_that_is_like_no_known_one_is_not_quoted(side: str) -> None:
    """A document may have a customer's words for a name."""
    message = fault({**SYNC, side: {**SYNC[side], "born in Lyon": 1}})
    assert message.startswith(f"{side}.*: unknown name; the nearest known one is '")


def test_unknown_names_and_wrong_values_are_named_at_once() -> None:
    message = fault({**SYNC, "workItem": {**W, "status": "x", "pausd": True}})
    assert "workItem.pausd: unknown name" in message
    assert "workItem.attributes.status: " in message


@pytest.mark.parametrize("side", ["conversation", "workItem"])
def test_a_bare_queue_id_never_becomes_a_rule(side: str) -> None:
    """docs/decide.md: a queue is written `{"id": q}` or null. A bare id must not become the queue's rule as well."""
    question = {**COMMAND, "workItem": {**W, "queue": "q-1"}, "update": {"paused": True}}
    if side == "conversation":
        question = {**SYNC, "conversation": {**C, "queue": "q-1"}}
    try:
        told = ask(question)
    except BadQuestion:
        return
    if side == "workItem":
        assert told["workItem"]["queue"] in ("q-1", {"id": "q-1"})


class TestLines:
    def test_an_unreadable_line_does_not_stop_the_rest(self) -> None:
        good = orjson.dumps(SYNC)
        lines = [
            good,
            b"{not json\n",
            b"\n",
            b"  \n",
            b'{"kind": "x"}\n',
            b"\xff\xfe\n",
            b"[" * 5000 + b"\n",
            good + b"\n",
        ]
        told = list(answers(lines))
        assert told[0] == told[-1]
        assert told[0]["outcome"] == "applied"
        assert [each["error"]["line"] for each in told[1:-1]] == [2, 5, 6, 7]
        assert all(set(each["error"]) == {"line", "message"} for each in told[1:-1])
        assert "is not JSON" in told[1]["error"]["message"]
        assert told[2]["error"]["message"].startswith("kind is another text")

    def test_no_question_has_no_answer(self) -> None:
        assert list(answers([])) == list(answers([b"\n", b" "])) == []

    def test_every_answer_can_be_printed(self) -> None:
        """orjson reads deeper nesting than it writes, and an answer repeats the work-item with all its fields."""
        deep: Any = 1
        for _ in range(300):
            deep = [deep]
        line = orjson.dumps({**COMMAND, "workItem": {**W, "channel": 0}}).replace(
            b'"channel":0', b'"channel":' + b"[" * 300 + b"1" + b"]" * 300
        )
        for told in answers([line, orjson.dumps(SYNC)]):
            orjson.dumps(told)

    @given(
        which=st.sampled_from([SYNC, COMMAND]),
        value=json_values,
        data=st.data(),
    )
    @settings(max_examples=30, deadline=None)
    def test_every_question_has_one_answer(self, which: Json, value: Any, data: st.DataObject) -> None:
        question = copy.deepcopy(which)
        *rollout, last = data.draw(st.sampled_from(list(ways(which))))
        node: Any = question
        for step in rollout:
            node = node[step]
        node[last] = value
        [told] = answers([orjson.dumps(question)])
        orjson.dumps(told)
