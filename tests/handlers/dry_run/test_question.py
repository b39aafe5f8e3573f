"""`decide`: both kinds of question in the forms of docs/decide.md, and questions that are refused."""

import copy
from datetime import UTC, datetime
from typing import Any, Final

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.dry_run.question import BadQuestion, answer
from tests.handlers.events.test_parser_properties import json_values, ways
from tests.handlers.wire_events import Json
from worker.cli.input_files.decide import answers

NOW: Final = datetime(2024, 5, 6, 8, 0, tzinfo=UTC)

C: Final[Json] = {
    "id": "c", "rev": 3, "status": "open", "assignedUsers": ["u-1"], "queue": None, "ended": False, "deleted": False
}  # fmt: skip
W: Final[Json] = {"id": "w", "rev": 5, "status": "queued", "assignedTo": None, "queue": {"id": "q-1"}, "paused": False}
SYNC: Final[Json] = {
    "kind": "sync", "policy": "legacy", "trigger": "conversation", "conversation": C, "workItem": W, "state": None
}  # fmt: skip
COMMAND: Final[Json] = {
    "kind": "command",
    "engine": "composed",
    "workItem": {
        **W,
        "resource": {"id": "c"},
        "itemSize": 1,
        "priority": 2,
        "queuedCount": 1,
        "firstEnterQueueAt": "2022-03-02T19:13:20.000Z",
        "lastRevision": {"enteredQueueAt": "2022-03-02T19:13:20.000Z"},
        "channel": {"kept": True},
    },
    "update": {"assignedTo": "u-1"},
    "queues": [{"id": "q-1", "key": "k", "itemSize": 2, "priority": 3}],
    "sessions": [
        {
            "id": "s-1",
            "user": "u-1",
            "active": True,
            "capacity": 5,
            "workItems": [{"id": "other", "itemSize": 1}],
            "pausedWorkItems": [],
            "pendingItem": None,
        },
        {"id": "s-2", "user": "u-2"},
    ],
    "now": "2022-03-02T19:13:26.158Z",
}


def ask(question: object) -> Json:
    """The answer by way of JSON, as on the command line."""
    answered: Json = orjson.loads(orjson.dumps(answer(orjson.loads(orjson.dumps(question)), now=NOW)))
    return answered


def fault(question: object) -> str:
    with pytest.raises(BadQuestion) as raised:
        ask(question)
    return str(raised.value)


class TestSync:
    def test_forward(self) -> None:
        assert ask(SYNC) == {
            "outcome": "applied",
            "direction": "forward",
            "updatedConversation": None,
            "updatedWorkItem": {"assignedTo": "u-1", "queue": None},
            "reasons": [
                {
                    "action": "SYNC_WORK_ITEM",
                    "code": "CONVERSATION_ASSIGNED",
                    "meta": {"rule": "B1", "policy": "legacy"},
                },
                {
                    "action": "SYNC_WORK_ITEM",
                    "code": "CONVERSATION_QUEUE_REMOVED",
                    "meta": {"rule": "B8", "policy": "legacy"},
                },
            ],
            "suppressed": [],
        }

    def test_reverse(self) -> None:
        told = ask({**SYNC, "trigger": "work-item"})
        assert (told["outcome"], told["direction"]) == ("applied", "reverse")
        assert told["updatedConversation"] == {"assignedUsers": [], "queue": {"id": "q-1"}}
        assert told["updatedWorkItem"] is None

    def test_skipped(self) -> None:
        assert ask({**SYNC, "conversation": {**C, "assignedUsers": [], "queue": {"id": "q-1"}}}) == {
            "outcome": "skipped",
            "direction": None,
            "updatedConversation": None,
            "updatedWorkItem": None,
            "reasons": [{"action": "SKIP_SYNC", "code": "IN_SYNC", "meta": {}}],
            "suppressed": [],
        }

    @pytest.mark.parametrize("trigger", ["conversation", "work-item"])
    @pytest.mark.parametrize(
        ("told", "code"),
        [
            ({"conversation": None}, "NO_CONVERSATION"),
            ({"workItem": None}, "NO_ACTIVE_WORK_ITEM"),
            ({"conversation": None, "workItem": None}, "NO_CONVERSATION"),
        ],
        ids=["no-conversation", "no-work-item", "neither"],
    )
    def test_null_for_either(self, trigger: str, told: Json, code: str) -> None:
        assert ask({**SYNC, "trigger": trigger, **told})["reasons"][0]["code"] == code

    @pytest.mark.parametrize("state", [{"changed": {"queue": 3}, "known": {"queue": 2}}, {"changed": {}}, {}], ids=repr)
    def test_legacy_ignores_the_state(self, state: Json) -> None:
        assert ask({**SYNC, "state": state}) == ask(SYNC)

    def test_state_may_be_missing(self) -> None:
        assert ask({key: value for key, value in SYNC.items() if key != "state"}) == ask(SYNC)

    def test_fields_that_are_not_shared_are_accepted(self) -> None:
        rich = {
            **W,
            "acceptedBy": "u-9",
            "session": "s",
            "lastRevision": {"queueTime": 3},
            "resource": {"id": "c"},
            "modifiedAt": "2022-03-02T19:13:26.158Z",
        }
        assert ask({**SYNC, "workItem": rich}) == ask(SYNC)


class TestCommand:
    def test_applied(self) -> None:
        told = ask(COMMAND)
        assert set(told) == {"outcome", "workItem", "changes", "sessions", "command", "refusal"}
        assert told["outcome"] == "applied"
        assert told["refusal"] is None
        assert told["workItem"] == {
            **COMMAND["workItem"],
            "rev": 6,
            "status": "assigned",
            "assignedTo": "u-1",
            "acceptedBy": "u-1",
            "session": "s-1",
            "updatedAt": "2022-03-02T19:13:26.158Z",
            "lastRevision": {
                "enteredQueueAt": "2022-03-02T19:13:20.000Z",
                "queueTime": 6158,
                "queueBusinessTime": 6158,
                "acceptedAt": "2022-03-02T19:13:26.158Z",
            },
        }
        assert told["command"] == {
            "engine": "composed",
            "name": "composedCommandParams",
            "actions": ["assign", "setStatus"],
            "composed": True,
        }
        assert set(told["changes"]) == {"attributes", "relationships"}
        assert set(told["changes"]["attributes"]) == {"rev", "status", "updatedAt", "lastRevision"}
        assert set(told["changes"]["relationships"]) == {"assignedTo", "acceptedBy", "workSession"}
        assert told["changes"]["attributes"]["rev"] == {"op": "replace", "before": 5, "after": 6}
        assert told["sessions"] == [
            {
                "id": "s-1",
                "user": "u-1",
                "active": True,
                "capacity": 5,
                "workItems": [{"id": "other", "itemSize": 1}, {"id": "w", "itemSize": 1}],
                "pausedWorkItems": [],
                "pendingItem": None,
            }
        ]

    def test_a_queue_and_its_rule(self) -> None:
        told = ask({**COMMAND, "update": {"queue": {"key": "k", "rule": "r-1"}}})
        assert told["workItem"]["queue"] == {"id": "q-1", "rule": "r-1"}
        told = ask({**COMMAND, "update": {"queue": None}})
        assert told["workItem"]["queue"] is None
        assert told["workItem"]["status"] == "ivr"

    def test_what_the_status_makes_no_use_of_is_named(self) -> None:
        kept = {"queue": {"id": "q-1", "enteredAt": "2022-03-02T19:00:00.000Z"}}
        told = ask({**COMMAND, "update": kept})
        assert (told["outcome"], told["command"]["ignored"]) == ("unchanged", ["queue.enteredAt"])
        assert "ignored" not in ask({**COMMAND, "update": {"paused": True}})["command"]

    @pytest.mark.parametrize(("size", "listed"), [(0.5, 0.5), (-3, 0), (2.0, 2.0), (7, 7)])
    def test_an_item_size_is_any_finite_number(self, size: float, listed: float) -> None:
        others = [{"id": "other", "itemSize": 0.25}, {"id": "odd", "itemSize": -1}]
        asked = {
            **COMMAND,
            "queues": [{"id": "q-1", "itemSize": size}],
            "sessions": [{"id": "s-1", "user": "u-1", "capacity": 1, "workItems": others}],
            "workItem": {**W, "status": "ivr", "queue": None, "itemSize": 1},
            "update": {"queue": "q-1", "assignedTo": "u-1"},
        }
        told = ask(asked)
        assert told["workItem"]["itemSize"] == size
        assert told["sessions"][0]["workItems"] == [*others, {"id": "w", "itemSize": listed}]

    @pytest.mark.parametrize("size", [True, "1", [], {}], ids=repr)
    def test_another_item_size_is_an_error(self, size: object) -> None:
        for at in (
            {"workItem": {**W, "itemSize": size}},
            {"queues": [{"id": "q-1", "itemSize": size}]},
            {"sessions": [{"id": "s-1", "user": "u-1", "workItems": [{"id": "other", "itemSize": size}]}]},
        ):
            with pytest.raises(BadQuestion, match="itemSize"):
                answer({**COMMAND, **at}, now=NOW)

    def test_a_locked_session(self) -> None:
        locked = {"id": "s-1", "user": "u-1", "capacity": 5, "pendingItem": "another"}
        told = ask({**COMMAND, "sessions": [locked], "update": {"routed": {"to": "u-1"}}})
        assert (told["outcome"], told["refusal"]["code"]) == ("refused", "SESSION_LOCKED")
        roomy = {"id": "s-9", "user": "u-1", "capacity": 1}
        told = ask({**COMMAND, "sessions": [locked, roomy], "update": {"routed": {"to": "u-1"}}})
        assert (told["workItem"]["session"], [one["id"] for one in told["sessions"]]) == ("s-9", ["s-9"])

    def test_unchanged(self) -> None:
        told = ask({**COMMAND, "update": {"paused": False}})
        assert told["outcome"] == "unchanged"
        assert told["workItem"] == COMMAND["workItem"]
        assert told["changes"] == {"attributes": {}, "relationships": {}}
        assert (told["sessions"], told["refusal"]) == ([], None)

    @pytest.mark.parametrize(
        ("told", "code"),
        [
            ({"update": {"colour": "red", "paused": 1}}, "INVALID_UPDATE"),
            ({"update": {}}, "INVALID_UPDATE"),
            ({"update": None}, "INVALID_UPDATE"),
            ({"update": [1]}, "INVALID_UPDATE"),
            ({"update": {"routed": {"to": "u-1"}, "paused": True}}, "UNSUPPORTED_COMBINATION"),
            ({"update": {"paused": True, "rev": 4}}, "REVISION_CONFLICT"),
            ({"update": {"queue": {"key": "nowhere"}}}, "UNKNOWN_QUEUE"),
            ({"update": {"routed": {"rejectedBy": "u-1"}}}, "NOT_ROUTED"),
            ({"workItem": {**W, "status": "completed"}}, "WORK_ITEM_COMPLETED"),
            ({"workItem": {**W, "status": "ivr"}, "update": {"routed": {"to": "u-1"}}}, "NOT_QUEUED"),
        ],
        ids=repr,
    )
    def test_refused(self, told: Json, code: str) -> None:
        question = {**COMMAND, **told}
        answered = ask(question)
        assert answered["outcome"] == "refused"
        assert answered["refusal"]["code"] == code
        assert answered["refusal"]["message"]
        assert answered["workItem"] == question["workItem"]
        assert (answered["changes"], answered["sessions"]) == ({"attributes": {}, "relationships": {}}, [])

    def test_the_smallest_question(self) -> None:
        least = {"kind": "command", "workItem": {"status": "ivr"}, "update": {"paused": True}}
        told = ask(least)
        assert told["outcome"] == "applied"
        assert told["workItem"]["updatedAt"] == "2024-05-06T08:00:00.000Z"

    def test_a_removed_field_is_null_where_the_question_had_it(self) -> None:
        held = {**W, "status": "assigned", "assignedTo": "u-1", "session": "s-1", "team": "t"}
        told = ask({**COMMAND, "workItem": held, "update": {"assignedTo": None}})["workItem"]
        assert {told[name] for name in ("assignedTo", "session", "team")} == {None}

    def test_the_legacy_engine_answers_by_the_funnel(self) -> None:
        told = ask({**COMMAND, "engine": "legacy", "update": {"queue": None, "paused": True}})
        assert told["command"] == {
            "engine": "legacy", "name": "dequeueCommandParams", "actions": ["DeQueue"], "composed": False
        }  # fmt: skip
        assert (told["workItem"]["status"], told["workItem"]["paused"]) == ("ivr", False)

    def test_another_engine_is_a_fault(self) -> None:
        assert fault({**COMMAND, "engine": "new"}) == "engine: Input should be 'composed' or 'legacy'"


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
