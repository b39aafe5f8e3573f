"""A form is what urllib makes, and urllib reads it back, whatever the text."""

import json
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from worker.aws.sns_http import form_of

texts = st.text(st.characters(exclude_categories=["Cs"]))
fields = st.lists(st.tuples(texts, texts))


@given(fields)
@example([("Message", "".join(map(chr, range(0x100))))])
@example([("Message", "+&%=; \r\n\0~*%2B%00"), ("", "")])
@example([("Message", "\u00fe\u00ff\ufeff\uffff\U0001f4e6\U0010ffff")])
def test_it_is_what_urllib_makes_and_reads(given_fields: list[tuple[str, str]]) -> None:
    form = form_of(given_fields)
    assert form == urlencode(given_fields).encode()
    # A form without fields and one with a field that says nothing look alike.
    if form:
        assert parse_qsl(form.decode(), keep_blank_values=True, strict_parsing=True) == given_fields


@given(st.recursive(st.none() | texts, lambda some: st.lists(some) | st.dictionaries(texts, some)))
def test_json_texts_are_read_back(value: object) -> None:
    for ascii_only in (False, True):
        text = json.dumps(value, ensure_ascii=ascii_only)
        assert parse_qsl(form_of([("Message", text)]).decode()) == [("Message", text)]


@pytest.mark.parametrize("text", ["\ud800", "a\udcff", "\ude00\ud83d"])
def test_a_lone_surrogate_is_refused_as_urllib_does(text: str) -> None:
    for make in (form_of, urlencode):
        with pytest.raises(UnicodeEncodeError):
            make([("Message", text)])
