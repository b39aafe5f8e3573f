"""The input of a replay: event shapes, faults, standard input, wrong usage, and the order of re-enacted writes."""

import io
import json
import random
import sys
from pathlib import Path
from typing import Any

import pytest

from handlers.events.event import UnsupportedEvent
from tests.handlers.wire_events import (
    LOST_ASSIGNMENT,
    Json,
    captured,
    conversation,
    event,
    log_line,
    notification,
    published,
    queued,
    work_item,
)
from tests.worker.replay.replays import CONVERSATION_2022, Runner, incident, replay
from worker.captures import CaptureFault
from worker.cli.main import run
from worker.replay.captured_events import CapturedEvent, ReplayInput, in_order

__all__ = ["replay"]


def shaped() -> list[Json]:
    """The incident of 2022, each event in another shape."""
    bare = [line["body"] for line in captured(LOST_ASSIGNMENT)]
    return [log_line(bare[0]), notification(bare[1]), queued(notification(bare[2])), bare[3]]


def entries(*files: Path, stdin: bytes = b"") -> list[CapturedEvent | UnsupportedEvent | CaptureFault]:
    with ReplayInput(files, io.BytesIO(stdin)) as source:
        first = list(source.entries())
        assert list(source.entries()) == first
    return first


@pytest.mark.parametrize("write", [
    lambda things: "\n".join(map(json.dumps, things)),
    json.dumps,
    lambda things: json.dumps(things, indent=2),
    lambda things: "".join(map(json.dumps, things)),
], ids=["NDJSON", "array", "array-over-lines", "concatenated"])  # fmt: skip
@pytest.mark.parametrize("mode", ["observe", "simulate"])
def test_every_shape_in_every_notation_is_read_alike(replay: Runner, write: Any, mode: str) -> None:
    file = replay.folder / "capture"
    file.write_text(write(shaped()))
    replayed = replay("--mode", mode, "--json", str(file))
    straight = replay("--mode", mode, "--json", incident(LOST_ASSIGNMENT))
    assert (replayed.status, replayed.err) == (0, [])
    assert replayed.final == straight.final
    assert [audit["event"] for audit in replayed.audits] == [audit["event"] for audit in straight.audits]


def test_bare_events_are_read(replay: Runner) -> None:
    file = replay.file(line["body"]["body"] for line in captured(LOST_ASSIGNMENT))
    assert replay("simulate", "--json", file).final["conversations"][CONVERSATION_2022]["assignedUsers"]


@pytest.mark.parametrize("mode", ["observe", "simulate", "explore"])
def test_each_fault_is_reported_once_with_file_and_line_and_the_rest_is_replayed(replay: Runner, mode: str) -> None:
    good = [json.dumps(line) for line in captured(LOST_ASSIGNMENT)]
    bad = event(conversation(1, key=CONVERSATION_2022) | {"attributes": {"rev": "seven", "status": "open"}})
    file = replay.folder / "broken.ndjson"
    file.write_text("\n".join([good[0], "{nonsense", good[1], '{"a": 1}', json.dumps(bad), *good[2:]]))
    replayed = replay("--mode", mode, "--json", str(file), str(replay.folder / "none"))
    assert replayed.status == 1
    assert [line.split(": ")[:2] for line in replayed.err] == [
        [f"{file}:2", "NOT_JSON"],
        [f"{file}:4", "NOT_AN_EVENT"],
        [f"{file}:5", "BAD_REVISION"],
        [f"{replay.folder}/none", "cannot be read"],
        ["3 parts could not be read", replayed.err[-1].partition(": ")[2]],
    ]
    assert replayed.out == replay("--mode", mode, "--json", incident(LOST_ASSIGNMENT)).out


@pytest.mark.parametrize("mode", ["observe", "simulate"])
def test_a_dash_is_standard_input(replay: Runner, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    piped = io.TextIOWrapper(io.BytesIO(Path(incident(LOST_ASSIGNMENT)).read_bytes()))
    monkeypatch.setattr(sys, "stdin", piped)
    assert replay("--mode", mode, "--json", "-").out == replay("--mode", mode, "--json", incident(LOST_ASSIGNMENT)).out


def test_standard_input_is_read_twice_and_its_faults_have_lines() -> None:
    lines = [json.dumps(captured(LOST_ASSIGNMENT)[0]), "hello"]
    one, fault = entries(Path("-"), stdin="\n".join(lines).encode())
    assert isinstance(one, CapturedEvent)
    assert str(fault) == "standard input:2: NOT_JSON: Expecting value (column 1)"


def test_an_unsupported_event_is_acknowledged(replay: Runner) -> None:
    foreign = event({"id": "m-1", "type": "message", "attributes": {}}, "create", name="kustomer.message.create")
    replayed = replay("--json", replay.file([foreign]))
    [audit] = replayed.audits
    assert (replayed.status, audit["reasons"][0]["code"], audit["trigger"]) == (0, "UNSUPPORTED_EVENT", None)
    assert replayed.final == {"conversations": {}, "workItems": {}}
    simulated = replay("simulate", "--json", replay.file([foreign]))
    assert (simulated.status, simulated.audits) == (1, [])
    assert simulated.err == [f"no events of conversations and work-items in {replay.folder}/capture.ndjson"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing argument"),
        (["explore"], "no file is named: name the files to replay"),
        (["--mode", "guess", "f"], "'guess' is not one of 'observe', 'simulate', 'explore'"),
        (["--simulate", "--explore", "f"], "the modes simulate and explore are set: set only one"),
        (["explore", "--mode", "observe", "f"], "the modes observe and explore are set: set only one"),
        (["--policy", "guess", "f"], "'guess' is not one of"),
        (
            ["--engine", "legacy", "f"],
            "works only with --policy legacy, but the policy is causal: add --policy legacy or remove --engine legacy",
        ),
        (
            ["--engine", "legacy", "--policy", "shadow", "f"],
            "--engine legacy works only with --policy legacy, but the policy is shadow",
        ),
        (["--duplicates", "1", "f"], "--duplicates works only with --mode explore: add it, or remove --duplicates"),
        (
            ["bogus", "f"],
            "bogus is neither a mode (observe, simulate, explore) nor an existing file: check the spelling",
        ),
        (
            ["--simulate", "bogus"],
            "bogus is neither a mode (observe, simulate, explore) nor an existing file: check the spelling",
        ),
        (["explore", "simulate", "f"], "the modes simulate and explore are set: set only one"),
        (["explore", "--duplicates", "-1", "f"], "Invalid value for '--duplicates'"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(replay: Runner, arguments: list[str], message: str) -> None:
    replayed = replay(*arguments)
    assert replayed.status == 2
    [line] = replayed.err
    assert line.startswith("routing-sync replay: ")
    assert message in line


def test_a_file_may_be_named_like_a_mode_or_without_suffix(
    replay: Runner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("explore", "capture"):
        replay.file(captured(LOST_ASSIGNMENT), name)
        assert replay("--json", name).out == replay("--json", incident(LOST_ASSIGNMENT)).out
    assert replay("none.ndjson").err[0].startswith("none.ndjson: cannot be read")


@pytest.mark.parametrize("mode", ["observe", "simulate", "explore"])
class TestEmptyInput:
    def test_names_the_conversation(self, replay: Runner, mode: str) -> None:
        file = incident(LOST_ASSIGNMENT)
        replayed = replay(mode, "--conversation", "nope", file, file)
        assert (replayed.status, replayed.out) == (1, "")
        assert replayed.err == [f"no event of conversation nope in {file}, {file}"]

    @pytest.mark.parametrize("content", ["", "\n", "[]"])
    def test_names_the_file(self, replay: Runner, mode: str, content: str) -> None:
        file = replay.folder / "empty.ndjson"
        file.write_text(content)
        replayed = replay(mode, str(file))
        assert (replayed.status, replayed.out, replayed.err) == (1, "", [f"no events in {file}"])

    def test_is_reported_after_the_faults(self, replay: Runner, mode: str) -> None:
        file = replay.file([{"a": 1}])
        replayed = replay(mode, file)
        assert (replayed.status, replayed.out) == (1, "")
        assert replayed.err[0].startswith(f"{file}:1: NOT_AN_EVENT")
        assert replayed.err[1].startswith("1 part could not be read: ")
        assert replayed.err[2:] == [f"no events in {file}"]

    def test_names_standard_input(self, replay: Runner, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
        assert replay(mode, "-").err == ["no events in standard input"]

    def test_many_parts_that_cannot_be_read_are_few_lines_and_a_remedy(self, replay: Runner, mode: str) -> None:
        good = json.dumps(captured(LOST_ASSIGNMENT)[0])
        file = replay.folder / "the note.md"
        file.write_text("\n".join(["{broken prose", *(["{and more"] * 299), good]))
        for arguments in ([str(file)], [str(file), str(replay.folder / "none")]):
            replayed = replay(mode, *arguments)
            assert replayed.status == 1
            shown, (summary,) = replayed.err[:10], [line for line in replayed.err if "could not be read" in line]
            assert [line.startswith(f"{file}:{number}: NOT_JSON") for number, line in enumerate(shown, 1)] == [
                True
            ] * 10
            assert summary == (
                "300 parts could not be read, the 10 above and 290 more: "
                f"`routing-sync import '{file}' -o events.ndjson` "
                "finds the events in logs and notes, and repairs damaged ones"
            )
            assert len(replayed.err) == 10 + len(arguments)

    def test_a_pair_is_told_apart_from_an_event(self, replay: Runner, mode: str) -> None:
        file = replay.file([{"conversation": {"id": "c", "rev": 1}, "workItem": None}])
        replayed = replay(mode, file)
        assert (replayed.status, replayed.out) == (1, "")
        pair, empty = replayed.err
        assert pair.startswith(
            f"{file}:1: a pair or a question of decide, and no event: give questions to `routing-sync"
        )
        assert empty == f"no events in {file}"


class _Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("mode", ["observe", "simulate", "explore"])
@pytest.mark.parametrize("both", [True, False], ids=["both", "stderr"])
def test_progress_is_not_shown_on_the_terminal_of_the_results(
    replay: Runner, monkeypatch: pytest.MonkeyPatch, mode: str, both: bool
) -> None:
    expected = replay(mode, incident(LOST_ASSIGNMENT)).out
    kept, out = io.BytesIO(), io.BytesIO()
    monkeypatch.setattr(sys, "stderr", _Terminal(kept, write_through=True))
    monkeypatch.setattr(sys, "stdout", (_Terminal if both else io.TextIOWrapper)(out))
    monkeypatch.setenv("TERM", "xterm")
    assert run(["replay", mode, incident(LOST_ASSIGNMENT)]) == 0
    assert out.getvalue().decode() == expected
    assert (b"replaying" in kept.getvalue()) is not both


def test_the_legacy_engine_runs_under_the_legacy_policy(replay: Runner) -> None:
    replayed = replay("--engine", "legacy", "--policy", "legacy", "--json", "--simulate", incident(LOST_ASSIGNMENT))
    assert replayed.audits[-1]["command"]["engine"] == "legacy"


class TestOrder:
    def order(self, *things: Json, held_max: int | None = None) -> list[str]:
        read = [each for each in entries_of(things) if isinstance(each, CapturedEvent)]
        return [f"{each.event.side[0]}{each.event.rev}" for each in in_order(read, held_max)]

    def test_is_the_order_of_publication(self) -> None:
        late, early = event(conversation(4), at=2.0), event(work_item(2), at=1.0)
        assert self.order(late, early) == ["w2", "c4"]

    def test_of_one_document_is_by_revision(self) -> None:
        things = [event(conversation(5), at=1.0), event(conversation(4), at=2.0), event(work_item(2), at=1.5)]
        assert self.order(*things) == ["c4", "w2", "c5"]

    def test_a_work_item_write_follows_the_conversation_write_that_it_knew(self) -> None:
        item_write = event(work_item(2), at=1.0, routingReasons=[{"meta": {"conversationRev": 5}}])
        things = [
            item_write,
            event(conversation(4), at=2.0),
            event(conversation(5), at=3.0),
            event(conversation(6), at=4.0),
        ]
        assert self.order(*things) == ["c4", "c5", "w2", "c6"]

    def test_an_event_without_publication_time_keeps_its_place(self) -> None:
        timeless = event(work_item(2))
        del timeless["createdAt"]
        things = [event(conversation(4), at=1.0), timeless, event(conversation(5), at=2.0)]
        assert self.order(*things) == ["c4", "w2", "c5"]

    def test_is_right_among_the_held_events_only(self) -> None:
        things = [event(conversation(rev), at=float(rev)) for rev in (3, 4, 5, 6, 2)]
        assert self.order(*things, held_max=2) == ["c3", "c4", "c2", "c5", "c6"]

    def test_has_every_event_once(self) -> None:
        chance = random.Random(7)
        things = [
            event(work_item(rev), at=chance.random(), routingReasons=[{"meta": {"conversationRev": rev}}])
            if chance.random() < 0.5
            else event(conversation(rev), at=chance.random())
            for rev in range(1, 60)
        ]
        read = [each for each in entries_of(things) if isinstance(each, CapturedEvent)]
        for held_max in (0, 3, 20, None):
            assert {id(each) for each in in_order(read, held_max)} == {id(each) for each in read}


def entries_of(things: Any) -> list[CapturedEvent | UnsupportedEvent | CaptureFault]:
    text = "\n".join(json.dumps(published(thing) if "createdAt" in thing else thing) for thing in things)
    with ReplayInput([Path("-")], io.BytesIO(text.encode())) as source:
        return list(source.entries())
