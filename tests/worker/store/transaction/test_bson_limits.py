"""The check of the in-memory store agrees with the driver's own encoder on every document."""

from datetime import UTC, datetime
from typing import Any

import bson
import pytest
from bson.errors import InvalidDocument
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.worker.store.plans import nested
from worker.store.transaction.bson_limits import DEPTH_MAX, rejection_reason
from worker.store.transaction.result import (
    DOCUMENT_BYTES_MAX,
    DOCUMENT_TOO_DEEP,
    DOCUMENT_TOO_LARGE,
    NOT_BSON,
    NUMBER_TOO_LARGE,
    TEXT_NOT_UNICODE,
)

_numbers = st.integers(min_value=-(2**65), max_value=2**65) | st.sampled_from(
    [sign * 2**bits + slip for bits in (31, 53, 63) for sign in (1, -1) for slip in (-1, 0, 1)]
)
_texts = st.text() | st.sampled_from(["\0", "a\0b", "\ud800", "é", "😀", "\\u0000"])
_values = st.recursive(
    st.none() | st.booleans() | _numbers | st.floats() | _texts | st.just(datetime(2024, 5, 6, tzinfo=UTC)),
    lambda inner: st.lists(inner, max_size=12) | st.dictionaries(_texts | st.just("k"), inner, max_size=4),
    max_leaves=12,
)


def _driver_says(document: dict[str, Any]) -> str | None:
    try:
        bson.encode(document)
    except OverflowError:
        return NUMBER_TOO_LARGE
    except UnicodeEncodeError:
        return TEXT_NOT_UNICODE
    except InvalidDocument:
        return NOT_BSON
    return None


@given(st.dictionaries(st.sampled_from(["a", "b", "ü"]), _values, max_size=3))
def test_a_document_is_rejected_where_the_driver_refuses_it(document: dict[str, Any]) -> None:
    assert rejection_reason(document) == _driver_says(document)


@settings(max_examples=12)  # Each example makes two documents of 16 MiB.
@given(st.dictionaries(st.sampled_from(["a", "b", "ü"]), _values, max_size=3))
def test_the_size_is_counted_to_the_byte(document: dict[str, Any]) -> None:
    if _driver_says(document) is not None:
        return
    room = DOCUMENT_BYTES_MAX - len(bson.encode({**document, "room": ""}))
    assert rejection_reason({**document, "room": "x" * room}) is None
    assert rejection_reason({**document, "room": "x" * (room + 1)}) == DOCUMENT_TOO_LARGE


@pytest.mark.thorough
def test_a_list_of_small_numbers_grows_most() -> None:
    """The list's JSON text is a sixth of the limit; its BSON, with a key for each position, is beyond it."""
    assert len(bson.encode({"a": [0] * 1_400_000})) > DOCUMENT_BYTES_MAX
    assert rejection_reason({"a": [0] * 1_400_000}) == DOCUMENT_TOO_LARGE


@pytest.mark.parametrize("levels", [DEPTH_MAX, 100_000])
def test_a_document_may_nest_to_the_limit(levels: int) -> None:
    assert rejection_reason({"a": nested(DEPTH_MAX - 1)}) is None
    assert rejection_reason({"a": nested(levels)}) == DOCUMENT_TOO_DEEP


@pytest.mark.parametrize("document", [{1: "a key that is no text"}, {"a": {None: 1}}, {"a": object()}, {"a": {1, 2}}])
def test_a_key_or_value_that_bson_does_not_have_is_named(document: dict[str, Any]) -> None:
    assert rejection_reason(document) == NOT_BSON
