"""A form equals the one that urllib writes, and urllib reads it back, for any text."""

import json
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from worker.aws.sns.http_transport import encode_form

texts = st.text(st.characters(exclude_categories=["Cs"]))
fields = st.lists(st.tuples(texts, texts))


@given(fields)
@example([("Message", "".join(map(chr, range(0x100))))])
@example([("Message", "+&%=; \r\n\0~*%2B%00"), ("", "")])
@example([("Message", "\u00fe\u00ff\ufeff\uffff\U0001f4e6\U0010ffff")])
def test_the_form_equals_the_one_of_urllib_and_is_read_back(given_fields: list[tuple[str, str]]) -> None:
    form = encode_form(given_fields)
    assert form == urlencode(given_fields).encode()
    # An empty form and a form with one empty field look alike.
    if form:
        assert parse_qsl(form.decode(), keep_blank_values=True, strict_parsing=True) == given_fields


@given(st.recursive(st.none() | texts, lambda inner: st.lists(inner) | st.dictionaries(texts, inner)))
def test_json_texts_are_read_back(value: object) -> None:
    for ascii_only in (False, True):
        text = json.dumps(value, ensure_ascii=ascii_only)
        assert parse_qsl(encode_form([("Message", text)]).decode()) == [("Message", text)]


@pytest.mark.parametrize("text", ["\ud800", "a\udcff", "\ude00\ud83d"])
def test_a_lone_surrogate_is_refused_as_by_urllib(text: str) -> None:
    for make in (encode_form, urlencode):
        with pytest.raises(UnicodeEncodeError):
            make([("Message", text)])
