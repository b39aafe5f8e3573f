"""The verb `import`: duplicates, order, reports, output, and what replay makes of the result."""

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.handlers.wire_events import LOST_ASSIGNMENT, UNASSIGN_WITHOUT_QUEUE, captured, conversation, event, published
from tests.worker.cli.test_standard_streams import started
from tests.worker.investigate.capture_import.imports import ImportRunner, importing, one_line
from tests.worker.replay.replays import incident
from worker.cli.main import run

__all__ = ["importing"]


def _conversation(rev: int, at: float, **more: Any) -> str:
    return one_line(event(conversation(rev, key="c-1", name="Anna", **more), at=at))


def test_events_are_in_the_order_of_time_and_of_one_record_by_revision(importing: ImportRunner) -> None:
    late, early = _conversation(3, 2.0), _conversation(2, 3.0)
    other = one_line(event(conversation(1, key="c-2"), at=1.0))
    imported = importing.text(f"{late}\n{early}\n{other}")
    assert [(line["data"]["id"], line["data"]["attributes"]["rev"]) for line in imported.events] == [
        ("c-2", 1), ("c-1", 2), ("c-1", 3),
    ]  # fmt: skip


def test_the_same_event_in_another_wrapper_is_a_duplicate_and_the_one_that_says_more_stays(
    importing: ImportRunner,
) -> None:
    bare = event(conversation(2))
    message = published(bare)
    imported = importing.text(f"{one_line(bare)}\n{one_line(message)}\n{one_line(bare)}\n")
    assert imported.lines == [one_line(message).encode()]
    assert imported.counts["duplicates"] == 2


def test_another_content_with_the_same_id_is_told_and_both_are_kept(importing: ImportRunner) -> None:
    imported = importing.text(f"{_conversation(2, 1.0)}\n{_conversation(2, 1.0, ended=True)}\n")
    (doubt,) = imported.told("doubt")
    assert (doubt["kind"], doubt["line"], doubt["other"]["line"]) == ("conflict", 2, 1)
    assert len(imported.lines) == 2
    assert imported.status == 0


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_two_contents_with_one_id_the_one_that_needed_no_repair_is_kept(
    importing: ImportRunner, order: tuple[int, int]
) -> None:
    whole = _conversation(2, 1.0, users=("u-1",))
    damaged = whole.replace('["u-1"]', '"u-1","u-2"')
    imported = importing.text("\n".join([(whole, damaged)[index] for index in order]))
    assert imported.lines == [whole.encode()]
    assert [doubt["kind"] for doubt in imported.told("doubt")] == ["damaged-copy"]


def test_two_events_of_one_revision_are_told(importing: ImportRunner) -> None:
    other = one_line({**json.loads(_conversation(2, 1.0)), "id": "another"})
    imported = importing.text(f"{_conversation(2, 1.0)}\n{other}\n")
    assert [doubt["kind"] for doubt in imported.told("doubt")] == ["same-revision"]
    assert len(imported.lines) == 2


def test_an_event_that_the_worker_would_not_read_is_left_out_with_its_code(importing: ImportRunner) -> None:
    imported = importing.text(f"{_conversation(2, 1.0)}\n{_conversation(3, 1.0, status='lost')}\n")
    assert [(each["line"], each["reason"].partition(":")[0]) for each in imported.told("leftOut")] == [
        (2, "INVALID_FIELD")
    ]
    assert (len(imported.lines), imported.status) == (1, 1)


@pytest.mark.parametrize("text", ["", "nothing here\n", '{"a": 1}\n'])
def test_without_an_event_nothing_is_written(importing: ImportRunner, text: str) -> None:
    imported = importing.text(text)
    assert (imported.status, imported.output) == (1, None)
    assert imported.err[-1].endswith("capture.log: nothing is written")


def test_a_missing_file_is_told_and_the_others_are_imported(importing: ImportRunner) -> None:
    imported = importing(importing.file(_conversation(2, 1.0)), "no-such-file")
    assert [each["file"] for each in imported.told("leftOut")] == ["no-such-file"]
    assert (imported.status, len(imported.lines)) == (1, 1)


def test_an_input_is_never_overwritten(importing: ImportRunner, capsys: pytest.CaptureFixture[str]) -> None:
    file = importing.file(_conversation(2, 1.0), "events.ndjson")
    assert run(["import", file, "-o", file]) == 2
    assert "is an input, too" in capsys.readouterr().err
    assert Path(file).read_text() == _conversation(2, 1.0)


def test_an_output_that_cannot_be_written_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["import", incident(LOST_ASSIGNMENT), "-o", "/proc/events.ndjson"]) == 1
    assert "/proc/events.ndjson cannot be written" in capsys.readouterr().err.splitlines()[-1]


def test_standard_output_has_the_events_alone_and_the_report_is_on_standard_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["import", "--keep-personal-data", incident(LOST_ASSIGNMENT)]) == 0
    printed = capsys.readouterr()
    assert [json.loads(line) for line in printed.out.splitlines()] == captured(LOST_ASSIGNMENT)
    assert printed.err.splitlines() == [
        "4 events and 0 audit lines; 0 duplicates, 0 repaired, 0 left out, 0 other objects passed over",
        "personal data: kept",
    ]


@pytest.mark.parametrize("name", [LOST_ASSIGNMENT, UNASSIGN_WITHOUT_QUEUE])
@pytest.mark.parametrize("mode", ["observe", "simulate", "explore"])
def test_a_replay_of_the_result_is_the_replay_of_the_input(
    importing: ImportRunner, capsys: pytest.CaptureFixture[str], name: str, mode: str
) -> None:
    run(["replay", mode, incident(name)])
    before = capsys.readouterr()
    audit = Path(incident(name)).with_name("recorded-audit.ndjson")
    importing(incident(name), *([str(audit)] if audit.exists() else []), redact=True)
    assert run(["replay", mode, str(importing.folder / "events.ndjson")]) == 0
    after = capsys.readouterr()
    assert (after.out, after.err) == (before.out, "")


@pytest.mark.thorough
def test_ctrl_c_leaves_no_half_file(tmp_path: Path) -> None:
    output = tmp_path / "events.ndjson"
    with started(["import", "-", "-o", str(output)]) as process:
        assert process.stdin is not None
        process.stdin.write((_conversation(2, 1.0) + "\n").encode() * 200)
        process.stdin.flush()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 130
    assert list(tmp_path.iterdir()) == []


def test_help_names_what_stays() -> None:
    with started(["import", "--help"], stderr=subprocess.STDOUT) as process:
        output, _ = process.communicate()
    assert process.returncode == 0
    assert b"Personal data is replaced" in output


def test_the_repairs_of_an_event_are_one_line_and_what_was_left_out_is_told_again_at_the_end(
    importing: ImportRunner, capsys: pytest.CaptureFixture[str]
) -> None:
    cut = _conversation(2, 1.0)[:-300]
    damaged = _conversation(3, 2.0, users=("u-1",)).replace('["u-1"]', '"u-1"')[:-1]
    file = importing.file(f"{cut}\n{damaged}\n")
    assert run(["import", "--keep-personal-data", file, "-o", str(importing.folder / "out.ndjson")]) == 1
    left_out = f"{file}:1: left out: the text is cut off inside the event"
    assert capsys.readouterr().err.splitlines() == [
        left_out,
        f"{file}:2: repaired: a list of 1 (assignedUsers); only the last brace was lost",
        "left out, 1 in all:",
        f"  {left_out}",
    ]


def test_an_event_with_half_a_surrogate_pair_is_read_as_the_worker_reads_it(importing: ImportRunner) -> None:
    half = _conversation(2, 1.0).replace("Anna", "Anna \\ud83d")
    damaged = _conversation(3, 2.0, users=("u-1",)).replace("Anna", "Anna \\uDE00").replace('["u-1"]', '"u-1"')
    imported = importing.text(f"{half}\n{damaged}\n")
    assert imported.lines[0] == half.encode()
    assert imported.events[1]["data"]["attributes"]["assignedUsers"] == ["u-1"]
    assert imported.told("leftOut") == []
    assert importing.text(half.replace('"Anna', 'NaN,"Anna'), redact=True).output is None


def test_a_number_beyond_64_bits_is_left_out_with_the_workers_code(importing: ImportRunner) -> None:
    imported = importing.text(_conversation(2, 1.0).replace('"Anna"', "123456789012345678901234567890") + "\n")
    assert [each["reason"].partition(":")[0] for each in imported.told("leftOut")] == ["INVALID_FIELD"]
