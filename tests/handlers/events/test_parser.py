"""From a message's body to an event: the five shapes, what is a sync and whose, what is supported."""

from collections.abc import Callable

import pytest

from commands.instant import format_instant
from handlers.documents.document import document_from_snapshot
from handlers.documents.document_mapping import work_item_of
from handlers.events.event import UnsupportedEvent
from handlers.events.parser import read_message, read_object
from tests.handlers.small_ports import START
from tests.handlers.wire_events import (
    LOST_ASSIGNMENT,
    UNASSIGN_WITHOUT_QUEUE,
    Json,
    captured,
    changes,
    conversation,
    event,
    link,
    log_line,
    notification,
    published,
    queued,
    read,
    read_unsupported,
    text,
    work_item,
)

BARE = event(conversation(3, queue="q-1", users=("u-1",)), at=7)
PUBLISHED = published(BARE)

SHAPES: dict[str, object] = {
    "bare": BARE,
    "published": PUBLISHED,
    "log-line": log_line(PUBLISHED),
    "log-line-of-a-bare-event": log_line(BARE),
    "sns": notification(PUBLISHED),
    "sns-of-a-bare-event": notification(BARE),
    "sns-of-a-log-line": notification(log_line(PUBLISHED)),
    "sqs-raw": queued(PUBLISHED),
    "sqs-raw-bare": queued(BARE),
    "sqs-sns": queued(notification(PUBLISHED)),
    "sqs-sns-bare": queued(notification(BARE)),
    "sqs-log-line": queued(log_line(PUBLISHED)),
    "sqs-in-sqs": queued(queued(notification(PUBLISHED))),
    "sqs-without-a-receipt": {"MessageId": "m", "Body": text(PUBLISHED)},
    "sqs-without-an-id": {"ReceiptHandle": "r", "Body": text(PUBLISHED)},
}


class TestShapes:
    @pytest.mark.parametrize("thing", SHAPES.values(), ids=SHAPES.keys())
    def test_every_shape_holds_the_same_event(self, thing: object) -> None:
        assert read(thing) == read(BARE)

    @pytest.mark.parametrize("thing", SHAPES.values(), ids=SHAPES.keys())
    def test_every_shape_as_text_holds_the_same_event(self, thing: object) -> None:
        assert read_message(text(thing)) == read(BARE)

    def test_the_event_has_the_wires_values(self) -> None:
        found = read(PUBLISHED)
        assert (found.id, found.name) == (BARE["id"], "kustomer.conversation.update")
        assert (found.org, found.partition, found.client) == ("org-1", "partition-1", "api")
        assert (found.side, found.conversation_id, found.document_id, found.rev) == ("conversation", "c-1", "c-1", 3)
        assert found.data == BARE["data"]
        assert found.published_at is not None
        assert format_instant(found.published_at) == "2024-05-06T07:08:16.250Z"

    def test_published_at_is_the_publishing_time_else_the_creation_time(self) -> None:
        later = read({**PUBLISHED, "publishedAt": "2024-05-06T09:08:20.000+02:00"})
        assert later.published_at is not None
        assert format_instant(later.published_at) == "2024-05-06T07:08:20.000Z"
        assert read({**PUBLISHED, "publishedAt": None}).published_at == read(BARE).published_at
        assert read({key: value for key, value in BARE.items() if key != "createdAt"}).published_at is None

    def test_flags_of_another_shape_do_not_change_the_shape(self) -> None:
        """An event may have the keys of another shape's flags."""
        found = read({**BARE, "Type": "Notification", "version": 3, "MessageId": "m", "producer": "SNSEventProducer"})
        assert found == read(BARE)

    def test_fields_that_are_not_modelled_stay_in_the_snapshot(self) -> None:
        data = conversation(3, custom={"fcrBool": True, "a.b": [None, 1.5]}, tags=["x"])
        data["meta"] = {"kept": True}
        assert read(event(data)).data == data

    def test_the_audit_records_event(self) -> None:
        assert read({**PUBLISHED, "body": {**BARE, "isSync": True}}).as_audit() == {
            "id": BARE["id"],
            "name": "kustomer.conversation.update",
            "rev": 3,
            "client": "api",
            "isSync": True,
            "publishedAt": "2024-05-06T07:08:16.250Z",
        }

    @pytest.mark.parametrize("incident", [LOST_ASSIGNMENT, UNASSIGN_WITHOUT_QUEUE])
    def test_every_captured_line_is_an_event(self, incident: str) -> None:
        for line in captured(incident):
            found = read(line)
            assert found.data == line["body"]["body"]["data"]
            assert found.is_sync is (line["body"]["body"].get("isSync") is True)
            assert read_message(text(queued(notification(line["body"])))) == read(line["body"])


OWN_SYNC = [{"action": "SYNC_WORK_ITEM", "code": "CONVERSATION_ASSIGNED", "meta": {"rule": "B1"}}]
FOREIGN_SYNC = [
    {"action": "UPDATE_COMMAND", "code": "WORK_ITEM_UPDATE_CMD", "meta": {"commandName": "assignCommandParams"}}
]


class TestSync:
    @pytest.mark.parametrize(
        ("told", "is_sync"),
        [({"isSync": True}, True), ({"isSync": False}, False), ({"isSync": None}, False), ({}, False)],
        ids=["true", "false", "null", "absent"],
    )
    def test_only_true_means_sync(self, told: Json, is_sync: bool) -> None:
        assert read({**BARE, **told}).is_sync is is_sync

    @pytest.mark.parametrize(
        ("is_sync", "reasons", "is_own_sync"),
        [
            (True, OWN_SYNC, True),
            (True, [*FOREIGN_SYNC, *OWN_SYNC], True),
            (True, [{"action": "SYNC_CONVERSATION"}], True),
            (True, FOREIGN_SYNC, False),
            (True, [], False),
            (True, None, False),
            (True, [{"action": None, "code": "SYNC_"}], False),
            (False, OWN_SYNC, False),
            (None, OWN_SYNC, False),
        ],
    )
    def test_an_own_sync_has_a_sync_action(
        self, is_sync: bool | None, reasons: list[Json] | None, is_own_sync: bool
    ) -> None:
        found = read(event(work_item(3), isSync=is_sync, routingReasons=reasons))
        assert found.is_own_sync is is_own_sync

    def test_the_predecessors_captured_syncs_are_not_own_syncs(self) -> None:
        syncs = [read(line) for line in captured(UNASSIGN_WITHOUT_QUEUE) + captured(LOST_ASSIGNMENT)]
        assert [found.rev for found in syncs if found.is_sync] == [4, 5, 7]
        assert not any(found.is_own_sync for found in syncs)


class TestSupport:
    @pytest.mark.parametrize("what", ["create", "update", "delete"])
    def test_conversation_events(self, what: str) -> None:
        found = read(event(conversation(3), what))
        assert (found.side, found.supported, found.deletion) == ("conversation", True, what == "delete")

    @pytest.mark.parametrize("what", ["create", "update"])
    def test_work_item_events(self, what: str) -> None:
        found = read(event(work_item(3, key="w-9", of="c-9", number=4), what))
        assert (found.side, found.supported) == ("work-item", True)
        assert (found.conversation_id, found.document_id, found.work_item_number) == ("c-9", "w-9", 4)

    def test_a_deletion_may_come_as_an_update(self) -> None:
        found = read(event(conversation(3, deleted=True), changes=changes({"deleted": (False, True)})))
        assert found.deletion
        assert found.changed_fields == frozenset({"status"})
        assert found.values["status"] == "deleted"

    @pytest.mark.parametrize("deleted", [False, None])
    def test_not_deleted_is_no_deletion(self, deleted: bool | None) -> None:
        assert not read(event(conversation(3, deleted=deleted))).deletion

    @pytest.mark.parametrize(
        "name", ["kustomer.message.create", "kustomer.customer.update", "anything", "KUSTOMER.CONVERSATION.UPDATE"]
    )
    def test_another_name_is_unsupported(self, name: str) -> None:
        thing = {**BARE, "name": name, "data": {"id": "m-1", "type": "message", "attributes": {"rev": "x"}}}
        assert read_unsupported(thing) == UnsupportedEvent(id=BARE["id"], name=name)

    @pytest.mark.parametrize(
        "data", [{}, {"type": None}, {"type": ["conversation"]}, {"type": {}}, {"id": 7}], ids=repr
    )
    def test_an_unsupported_events_data_is_not_checked(self, data: Json) -> None:
        assert read_unsupported({"id": "e", "name": "other", "data": data}).name == "other"

    @pytest.mark.parametrize("kind", ["message", "email", "", "Conversation"])
    def test_a_work_item_of_another_resource_type_is_unsupported(self, kind: str) -> None:
        found = read_object(event(work_item(3, resourceType=kind)))
        assert isinstance(found, UnsupportedEvent) is (kind != "")

    def test_a_work_item_whose_resource_is_of_another_type_is_unsupported(self) -> None:
        data = work_item(3, resourceType=None)
        data["relationships"]["resource"] = link("message", "m-1")
        assert read_unsupported(event(data)).name == "kustomer.work-item.update"

    def test_a_work_item_without_resource_type_belongs_to_a_conversation(self) -> None:
        data = work_item(3, resourceType=None)
        data["relationships"]["resource"] = {"data": {"id": "c-1"}}
        assert read(event(data)).conversation_id == "c-1"

    @pytest.mark.parametrize("build", [conversation, work_item])
    def test_an_unknown_name_with_a_known_document_is_observed(self, build: Callable[..., Json]) -> None:
        found = read({**event(build(4)), "name": "kustomer.something.happened"})
        assert not found.supported
        assert found.rev == 4
        assert found.observation().rev == 4

    def test_an_unknown_name_with_an_unreadable_snapshot_is_unsupported(self) -> None:
        assert read_unsupported({**event(conversation(4, status="archived")), "name": "kustomer.thing"}).name

    @pytest.mark.parametrize("kind", ["work_item", "work-item"])
    def test_both_spellings_of_a_work_items_type(self, kind: str) -> None:
        assert read(event({**work_item(3), "type": kind})).side == "work-item"


STATUSES = [
    ("ivr", "ivr"),
    ("queued", "queued"),
    ("routed", "routed"),
    ("assigned", "assigned"),
    ("wrap-up", "wrap-up"),
    ("wrapUp", "wrap-up"),
    ("wrapup", "wrap-up"),
    ("completed", "completed"),
    ("complete", "completed"),
]


@pytest.mark.parametrize(("status", "canonical"), STATUSES)
def test_statuses_and_their_aliases(status: str, canonical: str) -> None:
    found = read(event(work_item(3, status=status)))
    document = document_from_snapshot(found.data, org="org-1", rev=3)
    assert work_item_of(document).status.value == canonical
    assert document["active"] is (canonical != "completed")
    assert document["attributes"]["status"] == status


def test_published_at_is_the_time_that_a_test_names() -> None:
    assert read(event(conversation(1), at=0)).published_at == START
