"""Messages that look like the worker's own syncs and are none, or have a fault: the full reader reads them."""

from collections.abc import Callable
from typing import Any, Final

import pytest

from handlers.events.envelope import Limits
from handlers.events.event import Event, Malformed, UnsupportedEvent
from handlers.events.own_syncs import read_own_sync
from handlers.events.parser import read_delivered
from tests.handlers.events.malformed.fields import (
    MISSING,
    WRONG_IN_A_CONVERSATION,
    WRONG_IN_A_REASON,
    WRONG_IN_A_WORK_ITEM,
    WRONG_IN_THE_EVENT,
)
from tests.handlers.events.malformed.kind import GONE, altered
from tests.handlers.events.own_syncs.comparison import compared, left, own_sync, own_sync_text
from tests.handlers.wire_events import (
    LOST_ASSIGNMENT,
    UNASSIGN_WITHOUT_QUEUE,
    Json,
    captured,
    conversation,
    event,
    notification,
    published,
    queued,
    text,
)

EITHER_SIDE: Final = pytest.mark.parametrize("side", ["conversation", "work-item"])
CONVERSATION: Final = text(own_sync())


class TestLeftToTheFullReader:
    """A message that only looks like an own sync is none, and one with a fault is refused as ever."""

    @EITHER_SIDE
    @pytest.mark.parametrize("sync", [False, None, 1, "true", "True", GONE, [True], {"isSync": True}], ids=repr)
    def test_only_true_is_a_sync(self, side: str, sync: Any) -> None:
        assert left(altered(own_sync(side), "body.isSync", sync))

    @pytest.mark.parametrize(
        "action",
        ["sync_x", "SYNC-X", "XSYNC_", " SYNC_X", "ＳYNC_X", "SYNС_X", "ЅYNC_X", "", None, ["SYNC_X"], GONE],
        ids=ascii,
    )
    def test_only_a_reason_of_this_worker_marks_it(self, action: Any) -> None:
        message = own_sync()
        # Somewhere the words have to stand, or the message is not looked at.
        message["body"]["data"]["attributes"]["note"] = "SYNC_X"
        assert left(altered(message, "body.routingReasons.1.action", action))

    @pytest.mark.parametrize("place", ["", "body.data", "body.data.attributes", "body.changes", "body.meta"])
    def test_a_marker_in_another_place_is_none(self, place: str) -> None:
        message = own_sync()
        message["body"]["meta"] = {}
        marker = {"isSync": message["body"].pop("isSync"), "routingReasons": message["body"].pop("routingReasons")}
        node: Any = message
        for step in place.split(".") if place else ():
            node = node[step]
        node.update(marker)
        assert left(message)
        assert left(notification(message, **marker))

    @pytest.mark.parametrize(
        ("name", "other"),
        [("isSync", "isSynс"), ("isSync", "IsSync"), ("routingReasons", "routingReаsons")],
        ids=ascii,
    )
    def test_a_name_that_looks_like_the_markers_is_none(self, name: str, other: str) -> None:
        message = own_sync()
        message["body"][other] = message["body"].pop(name)
        assert left(message)

    @pytest.mark.parametrize(
        ("marker", "twice"),
        [
            ('"isSync":true', '"isSync":true,"isSync":false'),
            ('"isSync":true', '"isSync":true,"isSync":null'),
            ('"isSync":true', '"isSync":true,"\\u0069sSync":false'),
            ('"action":"SYNC_X"', '"action":"SYNC_X","action":"X"'),
            ('"action":"SYNC_X"', '"action":"SYNC_X","\\u0061ction":null'),
            ('"policy":"causal"}}]', '"policy":"causal"}}],"routingReasons":[]'),
            ('"publishedAt":', '"body":{},"publishedAt":'),
            ('"publishedAt":', '"body":null,"publishedAt":'),
            ('"status":"open"', '"status":"open","status":"closed"'),
            ('"type":"conversation"', '"type":"conversation","type":"work_item"'),
            ('"rev":2', '"rev":2,"rev":0'),
        ],
    )
    def test_of_a_name_that_is_there_twice_the_last_value_counts(self, marker: str, twice: str) -> None:
        assert CONVERSATION.count(marker) >= 1
        body = twice.join(CONVERSATION.rsplit(marker, 1))
        assert left(body)

    @pytest.mark.parametrize(
        ("marker", "twice"),
        [
            ('"isSync":true', '"isSync":false,"isSync":true'),
            ('"action":"SYNC_X"', '"action":"X","action":"SYNC_X"'),
            ('"action":"SYNC_X"', '"\\u0061ction":"\\u0053YNC_Y SYNC_X"'),
            ('"rev":2', '"rev":7,"rev":2'),
            ('"rev":2', '"r\\u0065v":2'),
            ('"id":"c-1"', '"id":"c-2","id":"c-1"'),
        ],
    )
    def test_and_the_last_one_may_be_the_marker(self, marker: str, twice: str) -> None:
        assert CONVERSATION.count(marker) >= 1
        compared(twice.join(CONVERSATION.rsplit(marker, 1)))

    @pytest.mark.parametrize("rev", [0, -1, 1.0, 2.5, "2", True, None, 2**53, 2**63, 2**64, 10**40, GONE], ids=repr)
    def test_a_revision_that_is_none(self, rev: Any) -> None:
        assert left(own_sync_text("data.attributes.rev", rev))

    @pytest.mark.parametrize("spelt", ["2.0", "2e0", "20e-1", "1e400", "2E+0"])
    def test_a_revision_spelt_as_a_fraction(self, spelt: str) -> None:
        assert left(CONVERSATION.replace('"rev":2', f'"rev":{spelt}', 1))

    @EITHER_SIDE
    def test_every_modelled_field_of_a_wrong_type(self, side: str) -> None:
        tables = {
            "conversation": {**WRONG_IN_THE_EVENT, **WRONG_IN_A_CONVERSATION},
            "work-item": {**WRONG_IN_A_REASON, **WRONG_IN_A_WORK_ITEM},
        }
        for path, value in tables[side].items():
            message = altered(own_sync(side), f"body.{path}", value)
            assert left(message), path
            assert left(notification(message)), path
            assert isinstance(read_delivered(text(message)), Malformed), path

    @EITHER_SIDE
    def test_every_required_field_missing_or_null(self, side: str) -> None:
        for path in MISSING[side]:
            for value in (GONE, None):
                message = altered(own_sync(side), f"body.{path}", value)
                assert left(message), path
                assert isinstance(read_delivered(text(message)), Malformed), path

    @pytest.mark.parametrize("path", ["id", "org", "data.id", "data.relationships.queue.data.id"])
    @pytest.mark.parametrize("value", ["", "x" * 257, "a\0", "\U0001f600" * 257], ids=ascii)
    def test_ids_of_another_form(self, path: str, value: str) -> None:
        assert left(own_sync_text(path, value))

    def test_an_id_of_256_characters_beyond_the_basic_plane(self) -> None:
        assert compared(own_sync_text("data.id", "\U0001f600" * 256)) == "own sync"

    @pytest.mark.parametrize("path", ["createdAt", "data.attributes.updatedAt"])
    @pytest.mark.parametrize("value", ["2024-05-06T07:08:09", "yesterday", "", "0001-01-01T00:00:00+23:59"])
    def test_instants_of_another_form(self, path: str, value: str) -> None:
        assert left(own_sync_text(path, value))

    @pytest.mark.parametrize("half", ["\\ud83d", "\\ude00", "\\ude00\\ud83d"])
    @pytest.mark.parametrize("place", ["Ada-Lovelace-says-hello", "routing-worker", "event-c-1-2-update"])
    def test_half_an_emoji(self, half: str, place: str) -> None:
        body = CONVERSATION.replace(place, f"{place}{half}", 1)
        assert body != CONVERSATION
        assert left(body)
        assert left(notification(body))

    @pytest.mark.parametrize(
        "change",
        [
            lambda body: body[:-1],
            lambda body: body + "x",
            lambda body: body.replace("Ada", "\\q", 1),
            lambda body: body.replace("Ada", "\x01", 1),
            lambda body: body.replace('"Ada-Lovelace-says-hello"', "NaN", 1),
            lambda body: body.replace('"Ada-Lovelace-says-hello"', "01", 1),
            lambda body: body.replace('"Ada-Lovelace-says-hello"', "[1,]", 1),
            lambda body: "\ufeff" + body,
            lambda body: body.replace("Ada", "\ud800", 1),
        ],
        ids=["cut", "more", "escape", "control", "NaN", "octal", "comma", "BOM", "surrogate"],
    )
    def test_a_text_that_is_not_json_in_an_unread_place(self, change: Callable[[str], str]) -> None:
        assert left(change(CONVERSATION))

    @EITHER_SIDE
    @pytest.mark.parametrize("what", ["create", "delete", "tag.update", "other side"])
    def test_other_names(self, side: str, what: str) -> None:
        sides = {"conversation": "work-item", "work-item": "conversation"}
        end = {"other side": f"{sides[side]}.update", "tag.update": what}.get(what, f"{side}.{what}")
        assert left(altered(own_sync(side), "body.name", f"kustomer.{end}"))

    @pytest.mark.parametrize(
        ("path", "value"), [("attributes.resourceType", "company"), ("relationships.resource.data.type", "company")]
    )
    def test_a_work_item_that_is_not_a_conversations(self, path: str, value: str) -> None:
        message = altered(own_sync("work-item"), f"body.data.{path}", value)
        if "attributes" not in path:
            message = altered(message, "body.data.attributes.resourceType", None)
        assert left(message)
        assert isinstance(read_delivered(text(message)), UnsupportedEvent)

    @pytest.mark.parametrize("key", ["Body", "Type", "body"])
    def test_an_event_that_wraps_another(self, key: str) -> None:
        """The full reader unwraps to the innermost event: an outside write in the dress of an own sync is seen."""
        outside = event(conversation(9, key="c-9"))
        inner = {"body": outside, "Body": text(outside), "Type": "Notification"}[key]
        dress = {key: inner, "MessageId": "m", "Message": text(published(outside))}
        message = own_sync()
        bodies: list[Json] = [{**message, "body": {**message["body"], **dress}}]
        if key != "body":
            bodies.append({**message, **dress})
            bodies.append(notification(message, **{key: inner}))
        for each in (*bodies, *map(notification, bodies)):
            compared(text(each))
        seen = read_delivered(text(bodies[0]))
        assert isinstance(seen, Event)
        assert seen.conversation_id == "c-9"
        assert not seen.is_own_sync

    def test_other_shapes(self) -> None:
        message = own_sync()
        for body in (
            message["body"],
            queued(message),
            queued(notification(message)),
            notification(notification(message)),
        ):
            assert left(body)

    def test_a_message_that_may_be_too_large(self) -> None:
        size = len(CONVERSATION.encode())
        assert read_own_sync(CONVERSATION, None, Limits(bytes_max=size)) is None
        assert isinstance(read_delivered(CONVERSATION, None, Limits(bytes_max=size)), Event)
        assert isinstance(read_delivered(CONVERSATION, None, Limits(bytes_max=size - 1)), Malformed)
        assert read_own_sync(CONVERSATION, None, Limits(bytes_max=4 * size)) is not None

    @pytest.mark.parametrize("incident", [LOST_ASSIGNMENT, UNASSIGN_WITHOUT_QUEUE])
    def test_the_predecessors_captured_syncs(self, incident: str) -> None:
        for line in captured(incident):
            assert left(line["body"])
            assert left(notification(line["body"]))
