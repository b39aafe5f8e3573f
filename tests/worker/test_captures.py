"""Capture files: three formats, and errors that name file and line and do not stop the reading."""

import gzip
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from worker.captures import CHARACTERS_MAX, Capture, CaptureFault, captures_of, read_captures

EVENT = {"id": "e1", "name": "kustomer.conversation.update", "data": {"id": "c1", "tags": [1, {"deep": []}]}}
LINE = json.dumps(EVENT)


def _read(text: str) -> list[object]:
    """The line of each value and the text of each error."""
    found = captures_of("f", text.encode().splitlines(keepends=True))
    return [one.line if isinstance(one, Capture) else str(one) for one in found]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (f"{LINE}\n{LINE}\n", [1, 2]),
        (f"{LINE}\n\n\n{LINE}", [1, 4]),
        (f"[{LINE},\n{LINE}]", [1, 2]),
        (f"[{LINE},{LINE}]", [1, 1]),
        (f"{LINE}{LINE} {LINE}\n{LINE}", [1, 1, 1, 2]),
        (json.dumps(EVENT, indent=2) + "\n" + LINE, [1, 14]),
        (json.dumps([EVENT, EVENT], indent=2), [2, 15]),
        (json.dumps([EVENT, EVENT], indent=0), [2, 15]),
        (json.dumps([EVENT], indent="\t").replace("\n", "\r\n"), [2]),
        ("\ufeff" + LINE, [1]),
        ("", []),
        ("[]", []),
    ],
)
def test_every_way_to_write_events_is_read(text: str, lines: list[int]) -> None:
    assert _read(text) == lines


_WRONG_DEEP_DOWN = (
    "the value is not JSON: unexpected character, expected a JSON value"
    if sys.version_info < (3, 12)
    else "Expecting value (column 1016)"
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{LINE}\nhello\n{LINE}", [1, "f:2: NOT_JSON: Expecting value (column 1)", 3]),
        (f'{{"id": "e1", "na\n{LINE}', ["f:1: NOT_JSON: the value is not finished", 2]),
        (f'{{"a": 1,\n"b": 2,\n{LINE}\n', ["f:1: NOT_JSON: the value is not finished", 3]),
        (f"{LINE}\n{LINE[:-5]}", [1, "f:2: NOT_JSON: the value is not finished"]),
        (f'{{\n "a": 1\n "b": 2,\n "c": {{\n}}\n}}\n{LINE}', ["f:3: NOT_JSON: Expecting ',' delimiter (column 2)", 7]),
        (f'5\n"text"\n{LINE}', ["f:1: NOT_AN_EVENT: an event is a JSON object",
                                 "f:2: NOT_AN_EVENT: an event is a JSON object", 3]),
        ('{"a":' * 200_000 + f"\n{LINE}", ["f:1: TOO_DEEP: the value nests deeper than 64 levels", 2]),
        # Python 3.11's decoder runs out of stack before it meets what is wrong. The worker's parser takes 1,024 levels.
        ('{"a":' + "[" * 1_010 + "?" + "]" * 1_010 + f"}}\n{LINE}",
         [f"f:1: NOT_JSON: {_WRONG_DEEP_DOWN}", 2]),
    ],
)  # fmt: skip
def test_an_unreadable_value_is_reported_and_the_rest_is_read(text: str, expected: list[object]) -> None:
    assert _read(text) == expected


def test_bytes_that_are_not_utf_8_are_reported() -> None:
    found = [str(one) for one in captures_of("f", [b"\xff\xfe\n", LINE.encode()]) if isinstance(one, CaptureFault)]
    assert found == ["f:1: NOT_JSON: not UTF-8"]


def test_a_value_above_the_limit_is_reported() -> None:
    found = captures_of("f", [b'{"a": "' + b"x" * CHARACTERS_MAX + b"\n", LINE.encode()])
    assert [one.line if isinstance(one, Capture) else one.message for one in found] == [
        f"TOO_LARGE: longer than {CHARACTERS_MAX} characters",
        2,
    ]


def test_lines_are_read_on_demand() -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield LINE.encode() + b"\n"

    found = captures_of("f", endless())
    assert [next(found) for _ in range(3)] == [Capture(file="f", line=n, text=LINE) for n in (1, 2, 3)]


def test_a_file_that_cannot_be_opened_is_reported(tmp_path: Path) -> None:
    (fault,) = read_captures(tmp_path / "none.ndjson")
    assert str(fault) == f"{tmp_path}/none.ndjson: cannot be read: No such file or directory"


def test_the_captured_incidents_are_read_whole() -> None:
    folder = Path(__file__).parents[1] / "fixtures" / "captured"
    for file in sorted(folder.glob("*/events.ndjson")):
        found = list(read_captures(file))
        assert all(isinstance(one, Capture) for one in found)
        assert len(found) == len(file.read_text().splitlines())


@pytest.mark.parametrize(
    "value", ["9" * 5_000, "NaN", "-Infinity", "1e400", '"half \\ud83d"', "12345678901234567890123"]
)
@pytest.mark.parametrize("between", ["\n", ",", " "])
def test_a_value_that_is_more_than_json_is_found_with_its_own_text(value: str, between: str) -> None:
    odd = f'{{"data": {value}}}'
    found = list(captures_of("f", f"[{odd}{between}{LINE}]".encode().splitlines(keepends=True)))
    assert [one.text for one in found if isinstance(one, Capture)] == [odd, LINE]


def test_a_value_over_several_lines_has_its_text_as_written() -> None:
    text = json.dumps(EVENT, indent=2)
    (capture,) = captures_of("f", f"[\n{text},\n]".encode().splitlines(keepends=True))
    assert capture == Capture(file="f", line=2, text=text)


def test_a_gzip_file_is_read_and_a_damaged_one_is_one_fault(tmp_path: Path) -> None:
    path = tmp_path / "events.gz"
    whole = gzip.compress(f"{LINE}\n{LINE}\n".encode())
    path.write_bytes(whole)
    assert [one.line for one in read_captures(path) if isinstance(one, Capture)] == [1, 2]
    for damaged in (whole[:-9], whole[:12] + b"\xff\xff" + whole[14:], whole[:3]):
        path.write_bytes(damaged)
        faults = [str(one) for one in read_captures(path) if isinstance(one, CaptureFault)]
        assert f"{path}: the gzip file is damaged: " in faults[-1]
        assert faults[-1].endswith(": fetch it again")
