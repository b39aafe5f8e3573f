"""Rows 7 and 8: an event in a message's body and the same event in a capture get the same verdict.

The worker, `replay` in its three modes and `publish` read one and the same text. A text that the worker dead-letters is
reported with its file, its line and the worker's code, and the events around it are taken.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

import orjson
import pytest

from handlers.events.event import Event, Malformed
from handlers.events.parser import read_message
from sync.gates import Side
from tests.handlers.events.malformed.kind import BYTES_MAX, CONTENT, good
from tests.handlers.wire_events import Json, conversation, event, log_line, notification, published, text
from tests.worker.replay.replays import Runner, replay
from tests.worker.stand_ins.topics import StandInTopics
from worker.captures import read_captures
from worker.cli.input_files.outgoing_events import EventSender, PublishCounts

__all__ = ["replay"]

WHOLE: Final = text(good()).replace('"isSync":false', '"isSync":null')
LONG: Final = "9" * 5_000
HALF: Final = "\\ud83d"

TAKEN: Final = {
    "row-7-high-half": f'"{CONTENT}{HALF}"',
    "row-7-low-half": '"\\uDE00 hello"',
    "row-7-halves-the-wrong-way-round": '"\\ude00\\ud83d"',
    "row-7-half-before-a-pair": f'"{HALF}\\ud83d\\ude00"',
    "row-7-half-before-an-escape": f'"{HALF}\\n\\\\u0041"',
    "row-7-half-in-a-list-of-objects": f'[{{"text": ["{HALF}"]}}]',
    "row-8-minus-zero": "-0",
    "row-8-largest-number": str(2**63 - 1),
    "row-8-fraction-of-many-digits": "0." + LONG,
    "row-8-duplicate-names": '{"a":1,"a":2}',
}
"""A value of a field that nobody models."""
REFUSED: Final = {
    "row-7-half-in-an-id": ('"data":{"id":"', f'"data":{{"id":"{HALF}', "INVALID_FIELD"),
    "row-7-half-in-a-user": ('"u-1"', f'"{HALF}"', "INVALID_FIELD"),
    "row-7-half-in-a-status": ('"status":"open"', f'"status":"{HALF}"', "INVALID_FIELD"),
    "row-7-half-in-a-name": ('"attributes":{', f'"attributes":{{"{HALF}":1,', "INVALID_FIELD"),
    "row-7-half-in-the-time": ('"publishedAt":"', f'"publishedAt":"{HALF}', "INVALID_FIELD"),
    "row-8-beyond-64-bits": (f'"{CONTENT}"', str(2**63), "INVALID_FIELD"),
    "row-8-far-below-64-bits": (f'"{CONTENT}"', str(-(10**40)), "INVALID_FIELD"),
    "row-8-revision-beyond-64-bits": ('"rev":2', f'"rev":{2**64}', "BAD_REVISION"),
    "row-8-revision-minus-zero": ('"rev":2', '"rev":-0', "BAD_REVISION"),
    "row-8-duplicate-revision": ('"rev":2', '"rev":2,"rev":"2"', "BAD_REVISION"),
    "row-8-not-a-number": (f'"{CONTENT}"', "NaN", "NOT_JSON"),
    "row-8-infinity": (f'"{CONTENT}"', "-Infinity", "NOT_JSON"),
    "row-8-beyond-a-double": (f'"{CONTENT}"', "1e400", "NOT_JSON"),
    "row-8-many-digits": (f'"{CONTENT}"', LONG, "NOT_JSON"),
    "row-8-deep": (f'"{CONTENT}"', "[" * 65 + "]" * 65, "TOO_DEEP"),
    "row-8-very-deep": (f'"{CONTENT}"', '{"a":' * 5_000 + "1" + "}" * 5_000, "TOO_DEEP"),
}
"""A part of the event, what stands in its place, and the code."""


def around(odd: str) -> str:
    """A capture with an event in the second line, and good events before and after it."""
    before, after = (text(published(event(conversation(1, key=key)))) for key in ("before", "after"))
    return f"{before}\n{odd}\n{after}\n"


def faults(errors: list[str]) -> list[str]:
    """The lines of a run's errors that name a fault; below those that an import may mend stands its command."""
    return [line for line in errors if not line.startswith("1 part could not be read: `routing-sync import ")]


def sent(path: Path) -> tuple[PublishCounts, list[str], list[str]]:
    """The counts, the errors and the texts of publishing a capture."""
    topics, errors = StandInTopics(), list[str]()
    arns: dict[Side, str] = {"conversation": "arn:c", "work-item": "arn:w"}

    async def publish() -> PublishCounts:
        sender = EventSender(topics, arns, outside_only=False, print_error=errors.append)
        for capture in read_captures(path):
            await sender.add(capture)
        await sender.finish()
        return sender.counts

    counts = asyncio.run(publish())
    return counts, faults(errors), [message.text for _, messages in topics.calls for message in messages]


@pytest.mark.parametrize("value", TAKEN.values(), ids=TAKEN.keys())
class TestTaken:
    def odd(self, value: str) -> str:
        return WHOLE.replace(f'"{CONTENT}"', value)

    def test_by_replay(self, replay: Runner, value: str) -> None:
        assert isinstance(read_message(self.odd(value)), Event)
        (replay.folder / "capture").write_text(around(self.odd(value)))
        for mode in ("observe", "simulate"):
            replayed = replay(mode, "--json", str(replay.folder / "capture"))
            assert (replayed.status, replayed.err) == (0, [])
            assert set(replayed.final["conversations"]) == {"before", "c-1", "after"}
            assert not [
                reason for audit in replayed.audits for reason in audit["reasons"] if reason["action"] == "FAULT"
            ]
        explored = replay("explore", "--json", str(replay.folder / "capture"))
        assert (explored.status, explored.err, len(explored.explored)) == (0, [], 3)

    def test_by_publish_as_the_worker_reads_it(self, tmp_path: Path, value: str) -> None:
        (tmp_path / "capture").write_text(around(self.odd(value)))
        counts, errors, texts = sent(tmp_path / "capture")
        assert (counts, errors) == (PublishCounts(published=3), [])
        straight, again = read_message(self.odd(value)), read_message(texts[1])
        assert isinstance(straight, Event)
        assert isinstance(again, Event)
        assert again.data == straight.data


@pytest.mark.parametrize("more", ['"seq": ' + "9" * 30, '"dd": {"trace_id": "1", "n": ' + "9" * 30 + "}"])
def test_row_8_a_number_beyond_64_bits_beside_the_event_is_published(tmp_path: Path, more: str) -> None:
    body = WHOLE[:-1] + f", {more}}}"
    straight = read_message(body)
    assert isinstance(straight, Event)
    (tmp_path / "capture").write_text(around(body))
    counts, errors, texts = sent(tmp_path / "capture")
    assert (counts, errors) == (PublishCounts(published=3), [])
    assert "9" * 30 in texts[1]
    again = read_message(texts[1])
    assert isinstance(again, Event)
    assert again.data == straight.data


@pytest.mark.parametrize(("part", "odd", "code"), REFUSED.values(), ids=REFUSED.keys())
class TestRefused:
    def test_by_replay(self, replay: Runner, part: str, odd: str, code: str) -> None:
        body = WHOLE.replace(part, odd)
        malformed = read_message(body)
        assert isinstance(malformed, Malformed)
        assert malformed.code == code
        file = replay.folder / "capture"
        file.write_text(around(body))
        for mode in ("observe", "simulate"):
            replayed = replay(mode, "--json", str(file))
            assert replayed.status == 1
            assert [line.split(": ")[:2] for line in faults(replayed.err)] == [[f"{file}:2", code]]
            assert set(replayed.final["conversations"]) == {"before", "after"}
        explored = replay("explore", "--json", str(file))
        assert [line.split(": ")[:2] for line in faults(explored.err)] == [[f"{file}:2", code]]
        assert len(explored.explored) == 2

    def test_by_publish(self, tmp_path: Path, part: str, odd: str, code: str) -> None:
        file = tmp_path / "capture"
        file.write_text(around(WHOLE.replace(part, odd)))
        counts, errors, texts = sent(file)
        assert counts == PublishCounts(published=2, failed=1)
        assert [line.split(": ")[:2] for line in errors] == [[f"{file}:2", code]]
        assert len(texts) == 2


@pytest.mark.parametrize("wrap", [log_line, notification])
def test_row_7_half_a_pair_is_replaced_in_the_producers_trace_too(tmp_path: Path, wrap: Callable[..., Json]) -> None:
    file = tmp_path / "capture"
    file.write_text(text(wrap(good(), dd={"service": "half"})).replace('"half"', f'"{HALF}"'))
    counts, errors, (published_text,) = sent(file)
    assert (counts.published, errors) == (1, [])
    assert orjson.loads(published_text)["dd"] == {"service": "\ufffd"}


@pytest.mark.thorough
@pytest.mark.parametrize("indent", [None, 2])
def test_wrappers_and_blanks_do_not_count_for_the_limit(replay: Runner, indent: int | None) -> None:
    """A captured log line is larger than its published message, and an indented one larger still."""
    large = good()
    large["body"]["data"]["attributes"]["preview"] = ["x" * 10] * (BYTES_MAX // 13 - 200)
    assert len(text(large)) < BYTES_MAX < len(orjson.dumps(large, option=orjson.OPT_INDENT_2))
    shapes = (large, log_line(large), notification(large))
    option = orjson.OPT_INDENT_2 if indent else None
    (replay.folder / "capture").write_bytes(b"\n".join(orjson.dumps(shape, option=option) for shape in shapes))
    replayed = replay("--json", str(replay.folder / "capture"))
    assert (replayed.status, replayed.err, len(replayed.audits)) == (0, [], 3)
    large["body"]["data"]["attributes"]["preview"] *= 2
    (replay.folder / "capture").write_bytes(b"\n".join(orjson.dumps(shape, option=option) for shape in shapes[:2]))
    replayed = replay("--json", str(replay.folder / "capture"))
    assert [line.split(": ")[1] for line in replayed.err[:2]] == ["TOO_LARGE", "TOO_LARGE"]
