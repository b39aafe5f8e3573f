"""Documents and nouns: round trips, fields that no noun models, and writes of changed fields only."""

import copy
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commands.context import CommandContext
from commands.engines.composed import Composed, compose
from commands.execute import Applied, execute
from commands.timings import always_open
from commands.update import parse_update
from commands.work_item import HandleDuration, QueuePass, Status, StatusDuration, WorkItem
from handlers.documents.document import changes_between, document_from_snapshot, snapshot_of
from handlers.documents.document_mapping import (
    conversation_of,
    updated_conversation_document,
    updated_work_item_document,
    work_item_of,
)
from handlers.documents.relationships import related_id, relationship
from handlers.documents.stored_forms import UnreadableDocument
from handlers.ports import Document
from sync.conversation import Conversation, ConversationStatus
from tests.handlers.events.malformed.kind import good
from tests.handlers.events.test_parser_properties import json_values
from tests.handlers.wire_events import LOST_ASSIGNMENT, UNASSIGN_WITHOUT_QUEUE, Json, captured, conversation, work_item

NOW = datetime(2024, 5, 6, 8, 0, tzinfo=UTC)
SNAPSHOTS = [
    line["body"]["body"]["data"]
    for line in (
        *captured(LOST_ASSIGNMENT),
        *captured(UNASSIGN_WITHOUT_QUEUE),
        {"body": good()},
        {"body": good("work-item")},
    )
]
FULL: Json = good("work-item")["body"]["data"]


def stored(data: Json) -> dict[str, Any]:
    return document_from_snapshot(data, org="org-1", rev=data["attributes"]["rev"])


class TestDocumentAndSnapshot:
    @pytest.mark.parametrize("data", SNAPSHOTS, ids=lambda data: f"{data['type']}-{data['attributes']['rev']}")
    def test_round_trip(self, data: Json) -> None:
        before = copy.deepcopy(data)
        assert snapshot_of(stored(data)) == before == data

    @given(
        more=st.dictionaries(
            st.text(max_size=6).filter(lambda name: name not in ("id", "_id")), json_values, max_size=4
        )
    )
    @settings(max_examples=20, deadline=None)
    def test_fields_that_are_not_modelled_stay(self, more: Json) -> None:
        data = {**more, **conversation(3, **{f"x-{name}": value for name, value in more.items()})}
        on_top = {"org", "rev", "conversationId", "active", "workItemNumber"}
        assert snapshot_of(stored(data)) == {name: value for name, value in data.items() if name not in on_top}

    def test_the_stores_own_fields_replace_a_snapshots_fields_of_the_same_name(self) -> None:
        sly = {
            "_id": "other",
            "org": "other",
            "rev": 99,
            "conversationId": "c-9",
            "active": False,
            "workItemNumber": 99,
        }
        document = document_from_snapshot({**work_item(3, number=2), **sly}, org="org-1", rev=3)
        assert {name: document[name] for name in sly} == {
            "_id": "w-1",
            "org": "org-1",
            "rev": 3,
            "conversationId": "c-1",
            "active": True,
            "workItemNumber": 2,
        }
        document = document_from_snapshot({**conversation(3), **sly}, org=None, rev=3)
        assert (document["_id"], document["org"], document["rev"]) == ("c-1", None, 3)
        assert not {"conversationId", "active", "workItemNumber"} & document.keys()

    def test_a_deletion_is_marked_in_the_document_only(self) -> None:
        data = conversation(3)
        assert document_from_snapshot(data, org=None, rev=3, deletion=True)["attributes"]["deleted"] is True
        assert "deleted" not in data["attributes"]


class TestNouns:
    def test_conversation(self) -> None:
        data = conversation(
            3,
            queue="q-1",
            users=("u-2", "u-1"),
            status="snoozed",
            ended=True,
            deleted=True,
            updatedAt="2024-05-06T10:00:00+02:00",
        )
        assert conversation_of(stored(data)) == Conversation(
            id="c-1",
            rev=3,
            status=ConversationStatus.SNOOZED,
            assigned_users=("u-2", "u-1"),
            queue="q-1",
            ended=True,
            deleted=True,
            updated_at=NOW,
        )

    @pytest.mark.parametrize(
        "attributes", [{}, {"assignedUsers": None, "ended": None, "deleted": None, "updatedAt": None}]
    )
    @pytest.mark.parametrize(
        "relationships", [None, {}, {"queue": None}, {"queue": {}}, {"queue": {"data": None}}], ids=repr
    )
    def test_a_conversation_with_required_fields_only(self, attributes: Json, relationships: Json | None) -> None:
        data = {
            "id": "c-1",
            "type": "conversation",
            "attributes": {"rev": 3, "status": "open", **attributes},
            "relationships": relationships,
        }
        assert conversation_of(stored(data)) == Conversation(id="c-1", rev=3, status=ConversationStatus.OPEN)

    def test_work_item(self) -> None:
        at = datetime(2024, 5, 6, 7, 8, 9, 250_000, tzinfo=UTC)
        assert work_item_of(stored(FULL)) == WorkItem(
            id="w-1",
            rev=2,
            status=Status.ASSIGNED,
            number=1,
            assigned_to="u-1",
            accepted_by="acceptedBy-1",
            queue="q-1",
            rule="rule-1",
            routed_to="routedTo-1",
            session="s-1",
            team="team-1",
            paused=False,
            item_size=1,
            priority=1,
            queued_count=1,
            resource_rev=1,
            first_enter_queue_at=at,
            last_revision=QueuePass(
                entered_queue_at=at, queue_time_ms=1, queue_business_time_ms=1, routed_at=at, accepted_at=at
            ),
            ivr=StatusDuration(entered_at=at, time_ms=1, business_time_ms=1),
            wrap_up=StatusDuration(entered_at=at, time_ms=1, business_time_ms=1),
            handle=HandleDuration(time_ms=1, resumed_at=at),
            resource_created_at=at,
            resource_first_queue_time_ms=1,
            resource_first_route_time_ms=1,
            resource_first_assign_time_ms=1,
            completed_at=at,
            updated_at=at,
        )

    def test_a_work_item_with_required_fields_only(self) -> None:
        data = {
            "id": "w-1",
            "type": "work_item",
            "attributes": {"rev": 3, "status": "ivr"},
            "relationships": {"resource": {"data": {"id": "c-1"}}},
        }
        assert work_item_of(stored(data)) == WorkItem(id="w-1", rev=3, status=Status.IVR)

    def test_related_id(self) -> None:
        assert related_id(work_item(1, queue="q-1"), "queue") == "q-1"
        assert related_id(work_item(1), "queue") is None
        assert relationship("workSession", "s-1") == {
            "data": {"type": "work_session", "id": "s-1"},
            "links": {"self": "/v1/routing/work-sessions/s-1"},
        }


class TestWithConversation:
    BEFORE = stored(
        conversation(3, queue="q-1", users=("u-1",), custom={"kept": [1]}, updatedAt="2024-05-06T07:00:00.000Z")
    )

    @pytest.mark.parametrize(
        ("fields", "attributes", "queue"),
        [
            ({"status": "done"}, {"status": "done"}, "q-1"),
            ({"assignedUsers": []}, {"assignedUsers": []}, "q-1"),
            ({"ended": True, "assignedUsers": ["u-2"]}, {"ended": True, "assignedUsers": ["u-2"]}, "q-1"),
            ({"queue": {"id": "q-2"}}, {}, "q-2"),
            ({"queue": {"id": None}}, {}, None),
        ],
        ids=repr,
    )
    def test_only_changed_fields_are_written(self, fields: Json, attributes: Json, queue: str | None) -> None:
        frozen = copy.deepcopy(self.BEFORE)
        after = updated_conversation_document(self.BEFORE, fields, now=NOW)
        assert frozen == self.BEFORE
        expected = copy.deepcopy(self.BEFORE)
        expected["rev"] = 4
        expected["attributes"] |= {**attributes, "rev": 4, "updatedAt": "2024-05-06T08:00:00.000Z"}
        if queue is None:
            del expected["relationships"]["queue"]
        elif queue != "q-1":
            expected["relationships"]["queue"] = relationship("queue", queue)
        assert after == expected

    def test_a_document_without_relationships_gets_some(self) -> None:
        before = {**self.BEFORE, "relationships": None}
        after = updated_conversation_document(before, {"queue": {"id": "q-2"}}, now=NOW)
        assert after["relationships"] == {"queue": relationship("queue", "q-2")}


UPDATES: list[Json] = [
    {"queue": None},
    {"queue": {"id": "q-2", "rule": "r-2"}},
    {"assignedTo": None},
    {"assignedTo": "u-2"},
    {"status": "wrap-up"},
    {"status": "completed"},
    {"paused": True},
    {"queue": {"id": "q-2"}, "assignedTo": None, "paused": True},
]


class TestWithWorkItem:
    @pytest.mark.parametrize("update", UPDATES, ids=repr)
    @pytest.mark.parametrize(
        "told",
        [FULL, work_item(2), work_item(2, status="wrapUp", queue="q-1", user="u-1")],
        ids=["full", "bare", "alias"],
    )
    def test_after_a_command_the_document_holds_the_work_item_after_it(self, told: Json, update: Json) -> None:
        before = stored(told)
        item = work_item_of(before)
        parsed: Any = parse_update(update)
        result = execute(item, parsed, context=CommandContext(), now=NOW)
        if not isinstance(result, Applied):
            assert item == work_item_of(before)
            return
        frozen = copy.deepcopy(before)
        after = updated_work_item_document(before, item, result.after)
        assert before == frozen
        assert work_item_of(after) == result.after
        assert after["active"] is result.after.active
        unmodelled = {name: before["attributes"].get(name) for name in ("custom", "resourceType", "resourceRev")}
        assert {name: after["attributes"].get(name) for name in unmodelled} == unmodelled
        assert after["relationships"]["resource"] == before["relationships"]["resource"]
        composed = compose(item, parsed, context=CommandContext(), now=NOW, calendar=always_open)
        assert isinstance(composed, Composed)

    @pytest.mark.parametrize("size", [None, 0, -1, 2.5, 2.0])
    def test_an_item_size_is_read_as_it_stands(self, size: float | None) -> None:
        read = work_item_of(stored(work_item(2, itemSize=size))).item_size
        assert (read, type(read)) == (size, type(size))

    @pytest.mark.parametrize("size", ["2", True, [], float("nan"), float("inf")], ids=repr)
    def test_a_stored_item_size_of_another_type_makes_the_document_unreadable(self, size: Any) -> None:
        """In a sum of sizes it would fail as an error of the worker's code."""
        with pytest.raises(UnreadableDocument, match="w-1"):
            work_item_of(stored(work_item(2, itemSize=size)))

    def test_an_unchanged_work_item_leaves_the_document_equal(self) -> None:
        for told in (FULL, work_item(2, status="wrapup"), work_item(2, status="complete")):
            before = stored(told)
            item = work_item_of(before)
            assert updated_work_item_document(before, item, item) == before

    def test_unmodelled_fields_of_a_timing_record_stay(self) -> None:
        told = work_item(2, status="queued", queue="q-1", ivr={"time": 5, "note": "x"}, lastRevision={"custom": 1})
        before = stored(told)
        item = work_item_of(before)
        parsed: Any = parse_update({"assignedTo": "u-1"})
        result = execute(item, parsed, context=CommandContext(), now=NOW)
        assert isinstance(result, Applied)
        attributes = updated_work_item_document(before, item, result.after)["attributes"]
        assert attributes["ivr"] == {"time": 5, "note": "x"}
        assert attributes["lastRevision"] == {
            "custom": 1,
            "queueTime": 0,
            "queueBusinessTime": 0,
            "acceptedAt": "2024-05-06T08:00:00.000Z",
        }


class TestChanges:
    def test_ops(self) -> None:
        before = {
            "attributes": {"same": 1, "old": 1, "gone": 1, "nulled": 1, "filled": None},
            "relationships": {"queue": {"data": 1}},
        }
        after = {"attributes": {"same": 1, "old": 2, "nulled": None, "filled": 3, "new": 4}, "relationships": {}}
        assert changes_between(before, after) == {
            "attributes": {
                "old": {"op": "replace", "before": 1, "after": 2},
                "gone": {"op": "remove", "before": 1, "after": None},
                "nulled": {"op": "remove", "before": 1, "after": None},
                "filled": {"op": "add", "before": None, "after": 3},
                "new": {"op": "add", "before": None, "after": 4},
            },
            "relationships": {"queue": {"op": "remove", "before": {"data": 1}, "after": None}},
        }

    def test_null_equals_absent(self) -> None:
        assert changes_between({"attributes": {"a": None}}, {"attributes": {}})["attributes"] == {}

    @pytest.mark.parametrize("level", [None, {}])
    def test_a_missing_level_has_no_changes(self, level: Json | None) -> None:
        before: Document = {"attributes": level, "relationships": level}
        after: Document = {"attributes": {}, "relationships": {"queue": 1}}
        assert changes_between(before, after) == {
            "attributes": {},
            "relationships": {"queue": {"op": "add", "before": None, "after": 1}},
        }

    def test_changes_between_captured_documents_are_the_captured_changes(self) -> None:
        first, second = (line["body"]["body"] for line in captured(UNASSIGN_WITHOUT_QUEUE)[:2])
        told = changes_between(stored(first["data"]), stored(second["data"]))
        assert told == second["changes"]
