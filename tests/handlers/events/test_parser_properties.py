"""Reading never raises: any input ends in an event, an unsupported event or a malformed one."""

import copy
from collections.abc import Iterator
from typing import Any, Final

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.events.event import Event, Malformed, UnsupportedEvent
from handlers.events.parser import read_message, read_object
from tests.handlers.events.malformed.kind import good
from tests.handlers.wire_events import (
    LOST_ASSIGNMENT,
    UNASSIGN_WITHOUT_QUEUE,
    Json,
    captured,
    notification,
    queued,
    text,
)

FEW: Final = settings(max_examples=40, deadline=None)
MORE: Final = settings(max_examples=50, deadline=None)

ENDS: Final = (Event, UnsupportedEvent, Malformed)

scalars = (
    st.none()
    | st.booleans()
    | st.integers(min_value=-(2**63), max_value=2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(
        ["conversation", "work_item", "kustomer.conversation.update", "completed", "open", "2024-05-06T07:08:09Z", "\0"]
    )
)
names = st.text(max_size=8) | st.sampled_from(
    ["body", "Body", "Message", "Type", "MessageId", "data", "name", "id", "type", "attributes", "rev", "status"]
)
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=5),
    max_leaves=8,
)

LINES: Final[tuple[Json, ...]] = (
    *captured(LOST_ASSIGNMENT),
    *captured(UNASSIGN_WITHOUT_QUEUE),
    good("conversation"),
    good("work-item"),
)


def ways(thing: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The path to every value inside."""
    parts = thing.items() if isinstance(thing, dict) else enumerate(thing) if isinstance(thing, list) else ()
    for key, value in parts:
        yield (*at, key)
        yield from ways(value, (*at, key))


WAYS: Final = tuple(tuple(ways(line)) for line in LINES)


@st.composite
def mutated(draw: st.DrawFn) -> Json:
    """A captured event with one to three of its values replaced or removed, at any depth."""
    number = draw(st.integers(min_value=0, max_value=len(LINES) - 1))
    line = copy.deepcopy(LINES[number])
    for _ in range(draw(st.integers(min_value=1, max_value=3))):
        *rollout, last = draw(st.sampled_from(WAYS[number]))
        node: Any = line
        for step in rollout:
            keys: Any = range(len(node)) if isinstance(node, list) else node if isinstance(node, dict) else ()
            node = node[step] if step in keys else None
        if isinstance(node, dict) and last in node:
            if draw(st.booleans()):
                node[last] = draw(json_values)
            else:
                del node[last]
    return line


@given(thing=json_values)
@FEW
def test_arbitrary_json(thing: Any) -> None:
    assert isinstance(read_message(text(thing)), ENDS)
    assert isinstance(read_object(thing), ENDS)


@given(body=st.text())
@FEW
def test_arbitrary_text(body: str) -> None:
    assert isinstance(read_message(body), ENDS)


@given(line=mutated(), wraps=st.sampled_from(["none", "sns", "sqs", "sqs-sns"]), attributes=json_values)
@MORE
def test_mutated_events(line: Json, wraps: str, attributes: Any) -> None:
    thing: object = line
    if "sns" in wraps:
        thing = notification(line, MessageAttributes=attributes)
    if "sqs" in wraps:
        thing = queued(thing, MessageAttributes={"_datadog": attributes})
    result = read_message(text(thing), {"_datadog": attributes})
    assert isinstance(result, ENDS)
    if isinstance(result, Event):
        assert result.rev >= 1
        assert result.conversation_id
        # What is read can be written out again: for the store, for the announcement, for the audit.
        orjson.dumps([result.as_audit(), dict(result.data)])


@given(cut=st.integers(min_value=0, max_value=4_000), line=st.sampled_from(LINES))
@FEW
def test_truncated_events(cut: int, line: Json) -> None:
    body = text(line)[:cut]
    assert isinstance(read_message(body), ENDS if cut >= len(text(line)) else Malformed)


@given(line=st.sampled_from(LINES), position=st.integers(min_value=0, max_value=4_000), char=st.characters())
@FEW
def test_events_with_one_character_changed(line: Json, position: int, char: str) -> None:
    body = text(line)
    at = position % len(body)
    assert isinstance(read_message(body[:at] + char + body[at + 1 :]), ENDS)
