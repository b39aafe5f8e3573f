"""The audit shows of an event's `changes` the shared fields and the status alone (handlers/events/told_changes.py)."""

from typing import Any, Final

import orjson
import pytest

from handlers.events.told_changes import told_changes
from tests.handlers.wire_events import Json, changes, conversation, event, link, read, work_item

WORDS: Final = "my card number is 4111"


def audited(thing: Json) -> Any:
    return read(thing).as_audit().get("changes")


def test_an_unassignment_is_told_with_the_agent_who_had_it() -> None:
    told = changes({"assignedUsers": (["u-1"], []), "rev": (4, 5), "preview": (WORDS, WORDS + "!")})
    assert audited(event(conversation(5), changes=told)) == {"assignedUsers": {"before": ["u-1"], "after": []}}


def test_a_work_item_that_leaves_its_agent_for_its_queue() -> None:
    told = changes({"status": ("assigned", "queued")}, {"assignedTo": ("u-1", None), "queue": (None, "q-1")})
    assert audited(event(work_item(5, queue="q-1"), changes=told)) == {
        "status": {"before": "assigned", "after": "queued"},
        "assignedTo": {"before": "u-1", "after": None},
        "queue": {"before": None, "after": {"id": "q-1"}},
    }


def test_nothing_is_told_where_no_such_field_changed() -> None:
    assert "changes" not in read(event(conversation(5))).as_audit()
    same = changes({"assignedUsers": (["u-1"], ["u-1"]), "ended": (False, False)}, {"queue": ("q-1", "q-1")})
    assert audited(event(conversation(5), changes=same)) is None
    assert read(event(conversation(5), changes=None)).as_audit()["changes"] is None, "it does not say"


def test_a_creation_tells_what_it_gave() -> None:
    assert audited(event(conversation(1, users=("u-1",), queue="q-1"))) == {
        "status": {"after": "open"},
        "assignedUsers": {"after": ["u-1"]},
        "queue": {"after": {"id": "q-1"}},
    }
    assert audited(event(work_item(1, user="u-1", status="assigned"))) == {
        "status": {"after": "assigned"},
        "assignedTo": {"after": "u-1"},
    }


def test_an_own_sync_tells_nothing_as_its_decision_is_in_the_audit() -> None:
    reasons = [{"action": "SYNC_CONVERSATION", "code": "WORK_ITEM_ASSIGNED", "meta": {}}]
    told = changes({"assignedUsers": ([], ["u-1"])})
    synced = event(conversation(5, users=("u-1",)), changes=told, isSync=True)
    assert audited({**synced, "routingReasons": reasons}) is None
    # The predecessor's syncs have no decision in our audit.
    assert audited(synced) == {"assignedUsers": {"before": [], "after": ["u-1"]}}


@pytest.mark.parametrize(
    "odd",
    [
        WORDS, [WORDS], {"id": WORDS}, {"data": {"id": WORDS}}, 7, True, [[]], ["u"] * 11, {"data": WORDS}, "x" * 129,
        [7], {"data": {"id": 7}}, {"data": ["u-1"]},
    ],
    ids=lambda value: repr(value)[:40],
)  # fmt: skip
def test_a_value_of_another_form_is_never_shown(odd: Any) -> None:
    """`changes` is not checked when an event is read."""
    change: Any = {"before": odd, "after": odd}
    shown = [
        told_changes("conversation", dict.fromkeys(("status", "assignedUsers"), change), {"queue": change}),
        told_changes("work-item", {"status": change}, dict.fromkeys(("assignedTo", "routedTo", "queue"), change)),
    ]
    assert shown == [
        {"status": {}, "assignedUsers": {}, "queue": {}},
        {"status": {}, "assignedTo": {}, "routedTo": {}, "queue": {}},
    ]


def test_what_is_known_of_a_change_is_shown() -> None:
    assert told_changes("work-item", {}, {"assignedTo": {"before": WORDS, "after": link("user", "u-1")}}) == {
        "assignedTo": {"after": "u-1"}
    }
    assert told_changes("conversation", {"deleted": {"after": True}}, {}) == {
        "deleted": {"before": None, "after": True}
    }


def test_the_longest_line_of_changes_is_bounded() -> None:
    users = [f"{n:0128}" for n in range(10)]
    told = told_changes(
        "conversation",
        {"assignedUsers": {"before": users, "after": users[1:]}, "status": {"before": "open", "after": "done"}},
        {"queue": {"before": link("queue", "q" * 128), "after": None}},
    )
    assert len(orjson.dumps(told)) < 3_000
