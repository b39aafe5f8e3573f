"""The shared fields that a write changed, and the conversation revision that a work-item's write knew."""

from typing import Any

import pytest

from sync.conversation import FIELDS
from tests.handlers.wire_events import (
    LOST_ASSIGNMENT,
    UNASSIGN_WITHOUT_QUEUE,
    Json,
    captured,
    changes,
    conversation,
    event,
    read,
    work_item,
)

META_KNEW: list[tuple[str, list[Json] | None, int | None]] = [
    ("conversationRev", [{"meta": {"conversationRev": 4}}], 4),
    ("resource.rev", [{"meta": {"data": {"rev": 1, "resource": {"rev": 5}}}}], 5),
    ("conversationRev-before-resource.rev", [{"meta": {"conversationRev": 4, "data": {"resource": {"rev": 5}}}}], 4),
    (
        "conversationRev-of-a-later-reason-before-resource.rev-of-an-earlier",
        [{"meta": {"data": {"resource": {"rev": 5}}}}, {"meta": {"conversationRev": 4}}],
        4,
    ),
    ("the-first-of-two", [{"meta": {"conversationRev": 4}}, {"meta": {"conversationRev": 6}}], 4),
    ("none-says", [{"action": "X"}, {"meta": None}, {"meta": {"data": None}}, {"meta": {"data": {"rev": 1}}}], None),
    ("no-reasons", [], None),
    ("null", None, None),
]


class TestWhatAWorkItemWriteKnew:
    @pytest.mark.parametrize(("reasons", "knew"), [case[1:] for case in META_KNEW], ids=[case[0] for case in META_KNEW])
    def test_on_an_update(self, reasons: list[Json] | None, knew: int | None) -> None:
        assert read(event(work_item(3, resourceRev=2), routingReasons=reasons)).known_conversation_rev == knew

    @pytest.mark.parametrize(("reasons", "knew"), [case[1:] for case in META_KNEW], ids=[case[0] for case in META_KNEW])
    def test_on_a_create_resource_rev_comes_last(self, reasons: list[Json] | None, knew: int | None) -> None:
        assert read(event(work_item(1, resourceRev=2), routingReasons=reasons)).known_conversation_rev == (knew or 2)

    def test_a_create_without_a_known_revision(self) -> None:
        assert read(event(work_item(1))).known_conversation_rev is None

    def test_the_captured_writes(self) -> None:
        assert [read(line).known_conversation_rev for line in captured(LOST_ASSIGNMENT)] == [4, 4, None, None]
        assert [read(line).known_conversation_rev for line in captured(UNASSIGN_WITHOUT_QUEUE)] == [
            8,
            None,
            None,
            None,
            None,
            None,
        ]


Attributes = dict[str, tuple[Any, Any]]
Relationships = dict[str, tuple[str | None, str | None]]
"""The ids before and after."""

CONVERSATION_FIELDS: list[tuple[str, Attributes, Relationships, set[str]]] = [
    ("nothing-but-the-revision", {"rev": (1, 2)}, {}, set()),
    ("unmodelled", {"preview": ("a", "b"), "updatedAt": (None, None), "rev": (1, 2)}, {"brand": (None, "b")}, set()),
    ("assignedUsers", {"assignedUsers": ([], ["u"])}, {}, {"assignee"}),
    ("the-same-users", {"assignedUsers": (["u"], ["u"])}, {}, set()),
    ("still-no-users", {"assignedUsers": (None, [])}, {}, set()),
    ("queue", {}, {"queue": (None, "q")}, {"queue"}),
    ("another-queue", {}, {"queue": ("q", "r")}, {"queue"}),
    ("no-queue", {}, {"queue": ("q", None)}, {"queue"}),
    ("the-same-queue", {}, {"queue": ("q", "q")}, set()),
    ("still-no-queue", {}, {"queue": (None, None)}, set()),
    ("ended", {"ended": (False, True)}, {}, {"ended"}),
    ("not-ended-as-before", {"ended": (None, False)}, {}, set()),
    ("open-to-done", {"status": ("open", "done")}, {}, {"status"}),
    ("done-to-open", {"status": ("done", "open")}, {}, {"status"}),
    ("open-to-snoozed", {"status": ("open", "snoozed")}, {}, {"paused"}),
    ("snoozed-to-open", {"status": ("snoozed", "open")}, {}, {"paused"}),
    ("snoozed-to-done", {"status": ("snoozed", "done")}, {}, {"paused", "status"}),
    ("done-to-snoozed", {"status": ("done", "snoozed")}, {}, {"paused", "status"}),
    ("none-to-open", {"status": (None, "open")}, {}, set()),
    ("undeleted", {"deleted": (True, False)}, {}, {"status"}),
    ("not-deleted-as-before", {"deleted": (None, False)}, {}, set()),
    (
        "all",
        {"status": ("snoozed", "done"), "assignedUsers": (["u"], []), "ended": (None, True)},
        {"queue": (None, "q")},
        set(FIELDS),
    ),
]
WORK_ITEM_FIELDS: list[tuple[str, Attributes, Relationships, set[str]]] = [
    ("nothing-but-the-revision", {"rev": (1, 2)}, {}, set()),
    (
        "unmodelled",
        {"priority": (1, 2), "lastRevision": ({}, {})},
        {"rule": (None, "r"), "workSession": ("s", None)},
        set(),
    ),
    ("assignedTo", {}, {"assignedTo": ("u", None)}, {"assignee"}),
    ("the-same-assignedTo", {}, {"assignedTo": ("u", "u")}, set()),
    ("queue", {}, {"queue": (None, "q")}, {"queue"}),
    ("another-queue", {}, {"queue": ("q", "r")}, {"queue"}),
    ("no-queue", {}, {"queue": ("q", None)}, {"queue"}),
    ("the-same-queue", {}, {"queue": ("q", "q")}, set()),
    ("still-no-queue", {}, {"queue": (None, None)}, set()),
    ("paused", {"paused": (False, True)}, {}, {"paused"}),
    ("not-paused-as-before", {"paused": (None, False)}, {}, set()),
    ("ivr-to-queued", {"status": ("ivr", "queued")}, {}, set()),
    ("queued-to-assigned", {"status": ("queued", "assigned")}, {}, set()),
    ("assigned-to-wrap-up", {"status": ("assigned", "wrap-up")}, {}, {"ended"}),
    ("assigned-to-wrapUp", {"status": ("assigned", "wrapUp")}, {}, {"ended"}),
    ("wrapup-to-wrap-up", {"status": ("wrapup", "wrap-up")}, {}, set()),
    ("wrap-up-to-assigned", {"status": ("wrap-up", "assigned")}, {}, {"ended"}),
    ("assigned-to-completed", {"status": ("assigned", "completed")}, {}, {"status"}),
    ("assigned-to-complete", {"status": ("assigned", "complete")}, {}, {"status"}),
    ("complete-to-completed", {"status": ("complete", "completed")}, {}, set()),
    ("wrap-up-to-completed", {"status": ("wrap-up", "completed")}, {}, {"status", "ended"}),
    (
        "all",
        {"status": ("wrap-up", "completed"), "paused": (True, False)},
        {"queue": ("q", None), "assignedTo": ("u", None)},
        set(FIELDS),
    ),
]


class TestSharedFieldsThatAWriteChanged:
    @pytest.mark.parametrize(
        ("attributes", "relationships", "fields"),
        [case[1:] for case in CONVERSATION_FIELDS],
        ids=[case[0] for case in CONVERSATION_FIELDS],
    )
    def test_conversation(self, attributes: Any, relationships: Any, fields: set[str]) -> None:
        assert read(event(conversation(3), changes=changes(attributes, relationships))).changed_fields == frozenset(
            fields
        )

    @pytest.mark.parametrize(
        ("attributes", "relationships", "fields"),
        [case[1:] for case in WORK_ITEM_FIELDS],
        ids=[case[0] for case in WORK_ITEM_FIELDS],
    )
    def test_work_item(self, attributes: Any, relationships: Any, fields: set[str]) -> None:
        assert read(event(work_item(3), changes=changes(attributes, relationships))).changed_fields == frozenset(fields)

    @pytest.mark.parametrize(
        "told", [None, {}, {"attributes": None, "relationships": None}, {"attributes": {}}], ids=repr
    )
    def test_an_update_without_changes_does_not_say(self, told: Json | None) -> None:
        assert read(event(conversation(3), changes=told)).changed_fields is None
        assert read(event(work_item(3), changes=told)).changed_fields is None

    @pytest.mark.parametrize(
        ("before", "after", "fields"),
        [
            ({"data": {"type": "queue", "id": "q"}}, {"data": {"id": "q"}, "links": {"self": "/q"}}, set()),
            ({"type": "queue", "id": "q"}, {"data": {"type": "queue", "id": "q"}}, set()),
            ({"data": None}, None, set()),
            ({"data": {"id": "q"}}, {"data": None}, {"queue"}),
            ("q", "r", {"queue"}),
        ],
        ids=["links-beside-it", "two-forms", "two-forms-of-none", "removed", "unknown-forms"],
    )
    def test_a_relationship_is_compared_by_its_targets_id(self, before: Any, after: Any, fields: set[str]) -> None:
        told = {"relationships": {"queue": {"op": "replace", "before": before, "after": after}}}
        assert read(event(conversation(3), changes=told)).changed_fields == frozenset(fields)
        assert read(event(work_item(3), changes=told)).changed_fields == frozenset(fields)

    def test_an_added_relationship_without_a_value_before(self) -> None:
        told = {"relationships": {"queue": {"op": "add", "after": {"data": {"type": "queue", "id": "q"}}}}}
        assert read(event(conversation(3), changes=told)).changed_fields == frozenset({"queue"})

    def test_a_conversations_create_changes_no_field_a_work_items_create_changes_all(self) -> None:
        assert read(event(conversation(1))).changed_fields == frozenset()
        assert read(event(work_item(1))).changed_fields == frozenset(FIELDS)

    def test_a_deletion_changes_the_status_alone(self) -> None:
        found = read(
            event(conversation(3), "delete", changes=changes({"assignedUsers": ([], ["u"])}, {"queue": (None, "q")}))
        )
        assert found.changed_fields == frozenset({"status"})

    def test_the_conversations_values(self) -> None:
        found = read(event(conversation(3, queue="q-1", users=("u-2", "u-1"), status="snoozed", ended=True)))
        assert found.values == {
            "assignee": ["u-2", "u-1"],
            "queue": "q-1",
            "status": False,
            "ended": True,
            "paused": True,
        }

    def test_the_captured_writes(self) -> None:
        assert [read(line).changed_fields for line in captured(LOST_ASSIGNMENT)] == [
            set(FIELDS),
            {"queue"},
            {"assignee"},
            {"assignee"},
        ]
        assert [read(line).changed_fields for line in captured(UNASSIGN_WITHOUT_QUEUE)] == [
            set(FIELDS),
            {"queue"},
            {"queue"},
            {"queue"},
            {"assignee"},
            {"assignee"},
        ]
