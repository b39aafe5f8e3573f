"""The verb `timeline`: what it prints, at 80 columns too, and its exit status."""

import json
import sys
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Final

import pytest

from tests.handlers.wire_events import LOST_ASSIGNMENT, UNASSIGN_WITHOUT_QUEUE
from tests.worker.investigate.timeline.pair_story import PairStory
from tests.worker.investigate.timeline.test_captured_pairs import steering_events
from tests.worker.replay.replays import CONVERSATION_2021, CONVERSATION_2022, ITEM_2022, incident
from worker.cli.main import run

INCIDENT: Final = incident(LOST_ASSIGNMENT)
AUDIT: Final = INCIDENT.replace("events.ndjson", "recorded-audit.ndjson")
OTHER: Final = incident(UNASSIGN_WITHOUT_QUEUE)


@pytest.fixture(autouse=True)
def columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def test_the_incident_at_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["timeline", INCIDENT, AUDIT]) == 0
    out = capsys.readouterr().out
    assert max(len(line) for line in out.splitlines()) <= 80
    assert not any(line.endswith(" ") for line in out.splitlines())
    assert f"conversation {CONVERSATION_2022}" in out
    assert "1. UPDATE_LOST" in out
    assert "whose writer knew conversation 4" in out
    for words in ("19:13:26.486  conversation 7   routing-worker", "audit line", "status: ivr → queued", "1 to 5"):
        assert words in out


def test_json_is_a_timeline_a_line_and_a_summary(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["timeline", "--json", OTHER, INCIDENT, AUDIT]) == 0
    *timelines, last = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["timeline"]["conversationId"] for each in timelines] == [CONVERSATION_2021, CONVERSATION_2022]
    assert last["summary"]["pairs"] == 2
    assert last["summary"]["findings"]["UPDATE_LOST"] == 1


def test_one_pair_of_many_and_the_pairs_with_findings(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["timeline", "--conversation", CONVERSATION_2022, OTHER, INCIDENT]) == 0
    assert CONVERSATION_2021 not in capsys.readouterr().out
    quiet = ["--only-findings", "--markdown", "--conversation", CONVERSATION_2021, OTHER]
    assert run(["timeline", *quiet]) == 0
    assert capsys.readouterr().out.startswith(f"## Conversation {CONVERSATION_2021}")


def test_only_findings_leaves_the_others_out_and_counts_them(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    lines = Path(INCIDENT).read_text().splitlines()
    healthy = tmp_path / "healthy.ndjson"
    healthy.write_text("\n".join(lines[:3]) + "\n")
    assert run(["timeline", "--only-findings", "--out-of-step", "60", str(healthy)]) == 0
    assert "OUT_OF_STEP" in capsys.readouterr().out
    healthy.write_text(lines[0] + "\n")
    assert run(["timeline", "--only-findings", str(healthy), OTHER]) == 0
    out = capsys.readouterr().out
    assert CONVERSATION_2022 not in out
    assert "2 pairs, 1 with findings" in out


def test_a_conversation_that_the_capture_does_not_hold(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["timeline", "--conversation", "none", INCIDENT]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        f"routing-sync timeline: no event of conversation none in {INCIDENT}: check the id, or add the files that hold "
        "its events\n"
    )
    assert run(["timeline", "--conversation", ITEM_2022, INCIDENT]) == 1
    assert f"--conversation {CONVERSATION_2022}" in capsys.readouterr().err


def test_damage_is_reported_the_rest_is_shown_and_the_status_is_1(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged.ndjson"
    damaged.write_text(Path(INCIDENT).read_text() + '{"a": 1}\nnot JSON\n')
    assert run(["timeline", str(damaged)]) == 1
    captured = capsys.readouterr()
    *faults, remedy = captured.err.splitlines()
    assert [line.split(" ")[0] for line in faults] == [f"{damaged}:5:", f"{damaged}:6:"]
    assert remedy.startswith(f"2 parts could not be read: `routing-sync import {damaged} -o events.ndjson` finds")
    assert "UPDATE_LOST" in captured.out
    empty = tmp_path / "empty.ndjson"
    empty.write_text("")
    assert run(["timeline", str(empty)]) == 1
    assert "no event or audit line" in capsys.readouterr().err


def test_standard_input_is_read(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(Path(INCIDENT).read_bytes())))
    assert run(["timeline", "-"]) == 0
    assert "UPDATE_LOST" in capsys.readouterr().out


def test_two_forms_at_once_are_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["timeline", "--json", "--markdown", INCIDENT]) == 2
    assert "set only one" in capsys.readouterr().err


@pytest.mark.parametrize("form", [[], ["--json"], ["--markdown"]], ids=["text", "json", "markdown"])
def test_a_captured_text_cannot_steer_a_terminal(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, form: list[str]
) -> None:
    capture = tmp_path / "events.ndjson"
    capture.write_text("".join(json.dumps(each) + "\n" for each in steering_events()))
    assert run(["timeline", *form, str(capture)]) == 0
    out = capsys.readouterr().out
    assert all(line.isprintable() for line in out.splitlines())
    assert "x1b" in out or "u001b" in out


class TestHtml:
    """`--html FILE`."""

    def test_without_its_file_it_names_the_verb(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["timeline", INCIDENT, "--html"]) == 2
        help_of_the_verb = "(see `routing-sync timeline --help`)"
        assert capsys.readouterr().err == (
            f"routing-sync timeline: Option '--html' requires an argument. {help_of_the_verb}\n"
        )

    def test_the_page_has_the_pair_and_what_our_policy_would_have_done(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        page = tmp_path / "report.html"
        assert run(["timeline", "--html", str(page), INCIDENT, AUDIT, OTHER]) == 0
        assert capsys.readouterr().out == f"{page}: 2 of 2 conversations drawn\n"
        text = page.read_text()
        for words in (
            "update lost",
            "What policy causal would have done",
            "The simulation keeps the contract",
            "interleavings lead to",
        ):
            assert words in text
        assert page.stat().st_mode & 0o077 == 0
        assert list(tmp_path.iterdir()) == [page]

    def test_the_page_gives_no_verdict_on_half_a_pair(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        page, half = tmp_path / "report.html", tmp_path / "half.ndjson"
        half.write_text("".join(Path(INCIDENT).read_text().splitlines(keepends=True)[:2]))
        assert run(["timeline", "--html", str(page), str(half)]) == 0
        capsys.readouterr()
        text = page.read_text()
        assert "No verdict on the contract: the capture has no event of the conversation itself." in text
        assert "keeps the contract" not in text

    def test_standard_input_cannot_be_replayed_and_the_page_says_so(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(Path(INCIDENT).read_bytes())))
        page = tmp_path / "report.html"
        assert run(["timeline", "--html", str(page), "-"]) == 0
        capsys.readouterr()
        assert "Standard input is read once: name a file" in page.read_text()

    def test_a_long_capture_is_not_explored_and_the_page_names_the_command(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        story = PairStory().conversation(0).item(1)
        for number in range(9):
            story.conversation(10 + number, assignedUsers=[f"u-{number}"])
        capture, page = tmp_path / "long.ndjson", tmp_path / "report.html"
        capture.write_text("".join(json.dumps(each) + "\n" for each in story.events))
        assert run(["timeline", "--html", str(page), str(capture)]) == 0
        capsys.readouterr()
        assert "routing-sync replay explore --conversation c-1" in page.read_text()
        assert "interleavings lead to" not in page.read_text()

    def test_where_it_cannot_be_written_nothing_is_and_the_remedy_is_told(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        assert run(["timeline", "--html", str(tmp_path / "none" / "report.html"), INCIDENT]) == 1
        assert "name a file elsewhere" in capsys.readouterr().err
        assert run(["timeline", "--html", str(tmp_path), INCIDENT]) == 2
        capture = tmp_path / "events.ndjson"
        capture.write_text(Path(INCIDENT).read_text())
        assert run(["timeline", "--html", str(capture), str(capture)]) == 2
        assert capture.read_text() == Path(INCIDENT).read_text()
        assert run(["timeline", "--html", str(tmp_path / "report.html"), "--json", str(capture)]) == 2
        assert list(tmp_path.iterdir()) == [capture]

    def test_more_pairs_than_a_page_shows_are_counted_and_those_with_findings_stay(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        first = Path(INCIDENT).read_text().splitlines()[0]
        capture, page = tmp_path / "many.ndjson", tmp_path / "report.html"
        others = [
            first.replace(CONVERSATION_2022, f"c-{number}").replace(ITEM_2022, f"w-{number}") for number in range(60)
        ]
        capture.write_text("\n".join(others) + "\n" + Path(INCIDENT).read_text())
        assert run(["timeline", "--html", str(page), str(capture)]) == 0
        assert capsys.readouterr().out == f"{page}: 50 of 61 conversations drawn\n"
        assert "11 more conversations are not drawn" in page.read_text()
        assert CONVERSATION_2022 in page.read_text()


@pytest.mark.parametrize("form", [[], ["--markdown"]], ids=["text", "Markdown"])
def test_of_audit_lines_alone_no_verdict_is_given(form: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """ "None" would be a verdict on revisions that nobody looked at."""
    assert run(["timeline", *form, AUDIT]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "Not looked for: of this pair there are audit lines alone" in out
    assert "findings: none" not in out
    assert "Findings None." not in out


def test_of_audit_lines_alone_the_page_gives_no_verdict_either(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert run(["timeline", "--html", str(page), AUDIT]) == 0
    text = " ".join(page.read_text().split())
    assert "<p>Not looked for: of this pair there are audit lines alone" in text
    assert "no lost update is shown" not in text
    assert "<p>None." not in text
