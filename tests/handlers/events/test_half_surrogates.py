"""Half surrogate pairs in JSON text: replaced in the text as they would be in the values."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.events.half_surrogates import has_halves, names_with_halves, without_half_escapes, without_halves

_texts = st.text(alphabet=st.sampled_from(["\ud83d", "\ude00", "\U0001f600", "\\", "u", "d", "8", '"', "\n", "é", "a"]))
_values = st.recursive(
    _texts | st.integers() | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_texts, inner, max_size=4),
    max_leaves=10,
)


@given(value=_values, ascii_only=st.booleans(), upper=st.booleans())
@settings(max_examples=300, deadline=None)
def test_a_text_without_half_escapes_is_the_value_without_halves(value: Any, ascii_only: bool, upper: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    if upper:
        text = text.replace("\\ud83d", "\\uD83D").replace("\\ude00", "\\uDE00")
    # Two halves side by side, in a text or as escapes, are the pair to every reader of JSON.
    written = json.loads(text)
    mended = without_half_escapes(text)
    if ascii_only:
        assert (mended is None) is not has_halves(written)
        assert json.loads(text if mended is None else mended) == without_halves(written)
    assert not has_halves(without_halves(written))


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        ('"\\ud83d\\ude00"', None),
        ('"\\\\ud83d"', None),
        ('"\\\\\\ud83d"', '"\\\\\ufffd"'),
        ('"\\ude00\\ud83d"', '"\ufffd\ufffd"'),
        ('"\\ud83d\\ud83d\\ude00"', '"\ufffd\\ud83d\\ude00"'),
        ('"\ud83d"', '"\ufffd"'),
        ('"no half at all \\n"', None),
    ],
)
def test_only_halves_are_replaced(text: str, mended: str | None) -> None:
    assert without_half_escapes(text) == mended


def test_names_are_told_from_texts() -> None:
    assert not names_with_halves({"a": ["\ud83d"]})
    assert names_with_halves([{"a": {"\ud83d": 1}}])
