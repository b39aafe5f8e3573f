"""Text of others cannot steer a terminal."""

import json

import pytest

from worker.printable_text import printable, printable_json

OBEYED = "\x00\x07\b\t\n\r\x1b\x7f\x85\x9b\x9d\u061c\u200e\u200f\u2028\u2029\u202a\u202e\u2066\u2069"


@pytest.mark.parametrize("character", OBEYED, ids=lambda character: f"{ord(character):04x}")
def test_no_character_that_a_terminal_obeys_is_left(character: str) -> None:
    assert printable(f"a{character}b") == "a\ufffdb"
    for indented in (False, True):
        text = printable_json({"a": f"x{character}y"}, indented=indented)
        assert character not in text.replace("\n", "") or character == "\n"
        assert json.loads(text) == {"a": f"x{character}y"}
    assert "\n" not in printable_json(["x", f"{character}"])


def test_every_other_text_stays_as_it_is() -> None:
    words = 'Zoë 你好 \U0001f4e6 -> "x" \\'
    assert printable(words) == words
    assert printable_json([words]) == json.dumps([words], ensure_ascii=False, separators=(",", ":"))
