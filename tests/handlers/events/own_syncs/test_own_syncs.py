"""The worker's own syncs, read in part: what is taken, what is left to the full reader, and that both end alike."""

import copy
import json
from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from handlers.events.event import OwnSync
from handlers.events.own_syncs import read_own_sync
from handlers.events.parser import read_delivered, read_message
from tests.handlers.events.malformed.fields import (
    MISSING,
)
from tests.handlers.events.malformed.kind import GONE, altered
from tests.handlers.events.own_syncs.comparison import compared, left, own_sync, own_sync_text
from tests.handlers.events.test_parser_properties import json_values, ways
from tests.handlers.wire_events import (
    Json,
    changes,
    conversation,
    event,
    notification,
    published,
    text,
    work_item,
)
from tests.handlers.world import World

EITHER_SIDE: Final = pytest.mark.parametrize("side", ["conversation", "work-item"])
CONVERSATION: Final = text(own_sync())


class TestTaken:
    @EITHER_SIDE
    @pytest.mark.parametrize("wrap", [published, notification], ids=["raw", "sns"])
    def test_own_syncs_in_both_ways_of_delivery(self, side: str, wrap: Callable[[Any], Json]) -> None:
        message = own_sync(side)
        body = text(message if wrap is published else notification(message))
        assert compared(body) == "own sync"
        assert isinstance(read_delivered(body), OwnSync)

    async def test_the_workers_own_announcements(self) -> None:
        """As they are published, of both sides."""
        world = World()
        await world.take(event(conversation(1, queue="q-1")), event(work_item(1, queue="q-1", status="queued")))
        to_users = changes({"assignedUsers": ([], ["u-1"])})
        await world.take(event(conversation(2, queue="q-1", users=("u-1",)), changes=to_users))
        moved = event(
            work_item(3, queue="q-2", user="u-1", status="assigned"),
            changes=changes(relationships={"queue": ("q-1", "q-2")}),
            routingReasons=[{"action": "QUEUE_WORK_ITEM", "code": "X", "meta": {"conversationRev": 2}}],
        )
        await world.take(moved)
        announced = world.announced()
        assert {message["name"] for message in announced} == {
            "kustomer.conversation.update",
            "kustomer.work-item.update",
        }
        for message in announced:
            assert compared(text(notification(message))) == "own sync"

    @EITHER_SIDE
    def test_fields_that_may_be_missing_or_null(self, side: str) -> None:
        required = {"id", "name", "isSync", "routingReasons", "data", *MISSING[side], "data.attributes.rev"}
        for way in ways(own_sync(side)["body"]):
            path = ".".join(map(str, way))
            if path in required or path.startswith(("data.id", "routingReasons.1")):
                continue
            for value in (GONE, None):
                if value is GONE and isinstance(way[-1], int):
                    continue
                message = altered(own_sync(side), f"body.{path}", value)
                compared(text(message))
                compared(text(notification(message)))

    def test_the_trace_is_the_outermost(self) -> None:
        def carrier(trace: str) -> Json:
            return {"_datadog": {"Type": "String", "Value": text({"x-datadog-trace-id": trace})}}

        message = own_sync()
        message["body"]["dd"] = {"trace_id": "4"}
        attributes = carrier("5")
        taken = []
        for more in ({}, {"dd": {"trace_id": "3"}}, {"dd": {"trace_id": "3"}, "MessageAttributes": carrier("2")}):
            for outer in ({}, {"MessageAttributes": carrier("1")}):
                body = text(notification({**message, **more}, **outer))
                assert compared(body, attributes) == "own sync"
                found = read_own_sync(body, attributes)
                assert found is not None
                taken.append(None if found.trace is None else found.trace["trace_id"])
        assert taken == ["4", "1", "3", "1", "3", "1"]
        del message["body"]["dd"]
        found = read_own_sync(text(message), attributes)
        assert found is not None
        assert found.trace == {"trace_id": "5"}


class TestUnread:
    """What the store could not keep is not looked at: of an own sync nothing is stored."""

    @pytest.mark.parametrize("value", [2**64, 10**400], ids=["65 bits", "no double"])
    def test_numbers(self, value: int) -> None:
        assert compared(own_sync_text("data.attributes.custom", value)) == "own sync with unread limits"

    def test_depth(self) -> None:
        deep: Any = 1
        for _ in range(100):
            deep = [deep]
        assert compared(own_sync_text("data.attributes.custom", deep)) == "own sync with unread limits"

    def test_depth_that_could_exhaust_the_stack(self) -> None:
        deep = "[" * 100_000 + "]" * 100_000
        assert left(CONVERSATION.replace('"Ada-Lovelace-says-hello"', deep, 1))

    def test_names(self) -> None:
        message = own_sync()
        message["body"]["data"]["$set"] = message["body"]["data"]["a.b"] = 1
        assert compared(text(message)) == "own sync with unread limits"


SYNCS: Final = tuple(own_sync(side) for side in ("conversation", "work-item"))
WAYS: Final = tuple(tuple(ways(each)) for each in SYNCS)
_fields: st.SearchStrategy[Any] = st.sampled_from(
    [True, False, None, 1, 1.0, 2, "SYNC_", "SYNC_X", "x", "conversation", "work_item", "work-item", "company", "",
     "kustomer.conversation.update", "kustomer.work-item.update", "2024-05-06T07:08:09Z", "2024-05-06T07:08:09", "open",
     "queued", "\0", 2**53, 2**64, [], {}, {"data": None}, {"trace_id": "1"}, "Notification"]
)  # fmt: skip
_names = st.sampled_from(
    ["isSync", "routingReasons", "action", "meta", "conversationRev", "data", "resource", "rev", "type", "id", "name",
     "body", "Body", "Type", "Message", "MessageId", "MessageAttributes", "dd", "publishedAt", "createdAt", "a.b",
     "$set", "resourceType", "updatedAt", "priority", "links"]
)  # fmt: skip


@st.composite
def altered_own_syncs(draw: st.DrawFn) -> Json:
    """An own sync with up to three of its values replaced, removed or added, at any depth."""
    number = draw(st.integers(min_value=0, max_value=1))
    message: Json = copy.deepcopy(SYNCS[number])
    for _ in range(draw(st.integers(min_value=0, max_value=3))):
        *steps, last = draw(st.sampled_from(WAYS[number]))
        node: Any = message
        for step in steps:
            keys: Any = range(len(node)) if isinstance(node, list) else node if isinstance(node, dict) else ()
            node = node[step] if step in keys else None
        if isinstance(node, dict):
            what = draw(st.sampled_from(["replace", "remove", "add"]))
            if what == "remove":
                node.pop(last, None)
            else:
                node[last if what == "replace" else draw(_names)] = draw(_fields | json_values)
    return message


@given(message=altered_own_syncs(), wraps=st.booleans(), attributes=json_values)
@example(message=SYNCS[0], wraps=False, attributes=None)
@settings(max_examples=300, deadline=None)
def test_whatever_is_taken_ends_as_with_the_full_reader(message: Json, wraps: bool, attributes: Any) -> None:
    more = {"MessageAttributes": attributes} if isinstance(attributes, dict) else {}
    # orjson writes no number beyond 64 bits.
    whole = json.dumps(message)
    compared(text(notification(whole, **more)) if wraps else whole, {"_datadog": attributes})


@given(position=st.integers(min_value=0), char=st.characters(), cut=st.integers(min_value=0, max_value=2))
@settings(max_examples=100, deadline=None)
def test_so_does_a_text_with_one_character_changed(position: int, char: str, cut: int) -> None:
    at = position % len(CONVERSATION)
    compared(CONVERSATION[:at] + char + CONVERSATION[at + cut :])


def test_the_full_reader_reads_what_the_partial_one_leaves() -> None:
    outside = text(event(conversation(3)))
    assert read_delivered(outside) == read_message(outside)
