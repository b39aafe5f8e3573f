"""JSON text to values: a search of the text finds the same as a walk over the values would."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.documents.json_values import unstorable
from handlers.events.event import Malformed, RejectionCode
from handlers.events.json_text import ParsedJson, parse_json

LONG = 12345678901234567890123
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(min_value=-(10**25), max_value=10**25)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(alphabet='ab\0\\u0:,[{-"\n 123456789', max_size=30)
    | st.just(f"call {LONG}"),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(alphabet="ab\0\\u0", max_size=6), inner, max_size=4)
    ),
    max_leaves=12,
)
layouts = st.sampled_from([(None, (",", ":")), (None, (", ", ": ")), (2, (",", ":")), (1, (" ,", "\t:\r\n"))])


def parsed(text: str | bytes, depth_max: int = 64) -> ParsedJson:
    result = parse_json(text, "it", depth_max=depth_max)
    assert not isinstance(result, Malformed), result
    return result


@given(value=values, layout=layouts, ascii_only=st.booleans())
@settings(max_examples=200, deadline=None)
def test_numbers_are_exact_and_a_known_storable_value_can_be_stored(value: Any, layout: Any, ascii_only: bool) -> None:
    indent, separators = layout
    text = json.dumps(value, indent=indent, separators=separators, ensure_ascii=ascii_only)
    result = parsed(text)
    assert repr(result.value) == repr(json.loads(text))
    assert not result.known_storable or unstorable(result.value) is None


@pytest.mark.parametrize(
    "place", ['{"a":%s}', '{"a": %s}', "[1,%s]", "[%s]", '{"a":\n%s}', '{"a":\t%s}', "[1,\r%s]", "%s"]
)
@pytest.mark.parametrize("number", [LONG, -LONG, 2**63, -(2**63) - 1])
def test_a_number_beyond_64_bits_is_read_as_it_stands(place: str, number: int) -> None:
    text = place % number
    result = parsed(text)
    assert result.value == json.loads(text)
    assert not result.known_storable


@pytest.mark.parametrize(
    "text",
    [
        '{"trace_id":"6938909321752945810"}',
        '{"n":123456789012345678}',
        '{"n":-0.1234567890123456789012}',
        '{"id":"5c093c1abd6d1c00124a36b2","said":"one\\ntwo"}',
    ],
)
def test_an_ordinary_text_is_known_storable(text: str) -> None:
    assert parsed(text) == ParsedJson(value=json.loads(text), known_storable=True)


@pytest.mark.parametrize("text", ['{"a\\u0000":1}', '{"\\u0000":{}}'])
def test_a_null_character_is_never_known_storable(text: str) -> None:
    assert not parsed(text).known_storable


@pytest.mark.parametrize("text", ["[" + "[]," * 80 + "{}]", '{"a":"' + "[{" * 80 + '"}'])
def test_many_brackets_are_not_deep(text: str) -> None:
    assert parsed(text, depth_max=2).value == json.loads(text)


@pytest.mark.parametrize("text", ["[" * 65 + "]" * 65, '{"a":' * 65 + "1" + "}" * 65, "[{}," + "[" * 64 + "]" * 65])
def test_a_value_that_nests_too_deep_is_rejected(text: str) -> None:
    result = parse_json(text, "it", depth_max=64)
    assert result == Malformed(code=RejectionCode.TOO_DEEP, reason="it nests deeper than 64 levels")
