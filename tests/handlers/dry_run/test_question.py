"""`decide`: both kinds of question in the forms of docs/decide.md."""

import pytest

from handlers.dry_run.question import BadQuestion, answer
from tests.handlers.dry_run.questions import COMMAND, NOW, SYNC, C, W, ask, fault
from tests.handlers.wire_events import Json


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
