"""`routing-sync shadow-report`: verdicts, what a verdict lacks, and the exit status."""

import json
from pathlib import Path
from typing import Any, Final

import pytest
from msgspec import Struct

from tests.handlers.wire_events import LOST_ASSIGNMENT, UNASSIGN_WITHOUT_QUEUE
from tests.worker.replay.replays import CONVERSATION_2021, incident
from tests.worker.shadow.lines import Json, fleet_log, lines_of, log_of
from worker.cli.main import run

FEW: Final = ["--min-events", "100", "--min-pairs", "10", "--min-hours", "1", "--max-waits", "20"]
"""The evidence of a simulated fleet, in which events come late much more often."""


class Reported(Struct, frozen=True, kw_only=True):
    """What the verb printed."""

    status: int
    out: str
    err: list[str]

    @property
    def lines(self) -> list[Json]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def report(self) -> Json:
        report: Json = self.lines[-1]["report"]
        return report


class Reporter:
    """Runs the verb in this process, on a log."""

    def __init__(self, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
        self._capsys, self._folder = capsys, folder

    def __call__(self, log: bytes, *arguments: str) -> Reported:
        file = self._folder / "worker.log"
        file.write_bytes(log)
        return self.run(str(file), *arguments)

    def run(self, *arguments: str) -> Reported:
        status = run(["shadow-report", *arguments])
        printed = self._capsys.readouterr()
        return Reported(status=status, out=printed.out, err=printed.err.splitlines())


@pytest.fixture
def reporter(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Reporter:
    return Reporter(capsys, tmp_path)


@pytest.mark.thorough
def test_a_fleet_whose_differences_are_explained_is_safe(reporter: Reporter) -> None:
    said = reporter(fleet_log(), *FEW)
    assert (said.status, said.err) == (0, [])
    assert said.out.splitlines()[-1] == "yes: it is safe to move from shadow to causal"
    report = reporter(fleet_log(), *FEW, "--json").report
    assert (report["verdict"], report["objections"], report["missing"]) == ("safe", [], [])
    audits = [line for line in lines_of(fleet_log()) if "shadow" in line and line["outcome"] != "failed"]
    compared = report["compared"]
    assert compared["events"] == sum(line["trigger"] in {"conversation", "work-item"} for line in audits)
    assert compared["differing"] == sum(line["shadow"] is not None for line in audits)
    assert compared["pairs"] == len({line["conversationId"] for line in audits if line["workItemId"]})
    assert compared["versions"] == {"1.2": compared["events"]}


@pytest.mark.thorough
def test_one_line_that_the_rules_do_not_explain_makes_it_a_no(reporter: Reporter) -> None:
    lines = lines_of(fleet_log())
    wrong = next(line for line in lines if (line.get("shadow") or {}).get("suppressed"))
    wrong["shadow"] |= {"suppressed": [], "outcome": "applied"}
    said = reporter(log_of(lines), *FEW)
    assert said.status == 1
    *_, why, last = said.out.splitlines()
    assert why.startswith("no: 1 events with a difference that docs/rules.md does not explain")
    assert last == "no: it is not safe to move from shadow to causal"
    (example,) = [
        line["example"]
        for line in reporter(log_of(lines), *FEW, "--json").lines
        if line.get("example", {}).get("kind") == "UNEXPLAINED"
    ]
    assert (example["conversationId"], example["event"]["id"]) == (wrong["conversationId"], wrong["event"]["id"])
    assert {"time", "before", "legacy", "causal"} <= set(example)


@pytest.mark.thorough
def test_a_no_stands_where_the_evidence_is_not_enough(reporter: Reporter) -> None:
    lines = lines_of(fleet_log())
    next(line for line in lines if line.get("shadow"))["policy"] = "causal"
    assert reporter(log_of(lines), "--json").report["verdict"] == "unsafe"


def test_too_many_waits_make_it_a_no(reporter: Reporter) -> None:
    report = reporter(fleet_log(), *FEW, "--max-waits", "0.5", "--json").report
    assert report["verdict"] == "unsafe"
    assert "would have waited, more than 0.5 %" in report["objections"][0]


def missing(report: Any) -> str:
    assert report["verdict"] == "not-enough-evidence"
    return "; ".join(report["missing"])


@pytest.mark.parametrize(
    ("option", "number", "said"),
    [
        ("--min-events", "1000000", "events compared, at least 1,000,000 wanted"),
        ("--min-pairs", "1000", "pairs, at least 1,000 wanted"),
        ("--min-hours", "2", "events of 1 hours, at least 2 wanted"),
    ],
)
def test_too_little_evidence_is_told(reporter: Reporter, option: str, number: str, said: str) -> None:
    found = reporter(fleet_log(), *FEW, option, number, "--json")
    assert found.status == 1
    assert said in missing(found.report)


def test_lines_that_may_be_of_legacy_are_no_evidence(reporter: Reporter) -> None:
    """Without a start and without a difference the two policies write the same lines."""
    alike = [line for line in lines_of(fleet_log()) if "shadow" in line and line["shadow"] is None]
    said = reporter(log_of(alike), *FEW, "--json")
    assert "no line of a worker under SYNC_POLICY=shadow" in missing(said.report)
    assert "lines are of legacy or of shadow" in missing(said.report)
    assert reporter(log_of(alike), *FEW, "--assume-shadow").status == 0


def test_a_process_that_wrote_a_difference_is_under_shadow_from_its_first_line(reporter: Reporter) -> None:
    without_starts = [line for line in lines_of(fleet_log()) if "shadow" in line]
    without = reporter(log_of(without_starts), *FEW, "--json").report
    assert without["compared"] == reporter(fleet_log(), *FEW, "--json").report["compared"]


def test_processes_under_other_policies_are_no_evidence(reporter: Reporter) -> None:
    lines = [line for line in lines_of(fleet_log()) if line.get("shadow") is None]
    for line in lines:
        if line["msg"] == "worker started":
            line["policy"] = "legacy"
    said = reporter(log_of(lines), *FEW, "--assume-shadow", "--json").report
    assert said["compared"]["events"] == 0
    assert said["lines"]["otherPolicies"]["legacy"] > 100


def test_a_process_that_starts_again_under_another_policy_is_another_one(reporter: Reporter) -> None:
    """Each process of a container has the same name and number."""
    start, *lines = [line for line in lines_of(fleet_log(1)) if line.get("shadow") is None]
    said = reporter(log_of([start, *lines, start | {"policy": "legacy"}, *lines]), *FEW, "--json").report
    assert said["compared"]["events"] == said["lines"]["otherPolicies"]["legacy"] > 100
    unknown = reporter(log_of([*lines, start, *lines]), *FEW, "--json").report
    assert unknown["lines"]["unknownPolicy"] == unknown["compared"]["events"] == said["compared"]["events"]


def test_rotated_logs_that_are_read_newest_first_are_no_evidence_of_what_ran_before(reporter: Reporter) -> None:
    """The older log has no start: it may be of legacy."""
    start, *lines = [line for line in lines_of(fleet_log(1)) if line.get("shadow") is None]
    older = [line | {"time": "2024-05-05T07:08:09.123Z"} for line in lines if "policy" in line]
    said = reporter(log_of([start, *lines, *older]), *FEW, "--json").report
    assert said["compared"]["events"] == said["lines"]["unknownPolicy"] > 100
    assert "name the files oldest first" in missing(said)
    in_order = reporter(log_of([*older, start, *lines]), *FEW, "--json").report
    assert in_order["lines"]["unknownPolicy"] == said["lines"]["unknownPolicy"]


def test_an_id_cannot_steer_the_terminal(reporter: Reporter) -> None:
    lines = lines_of(fleet_log())
    for line in lines:
        if line.get("shadow"):
            line["conversationId"] = "\x1b[2J\x9b2J\u202e"
    out = reporter(log_of(lines), *FEW).out
    assert r'conversation "\u001b[2J\u009b2J\u202e"' in out
    assert all(character.isprintable() or character == "\n" for character in out)


def test_unreadable_audit_lines_are_told_and_lack(reporter: Reporter) -> None:
    log = fleet_log()
    cut = b"".join(
        line[:-9] + b"\n" if number % 10 == 1 else line + b"\n" for number, line in enumerate(log.split(b"\n"))
    )
    said = reporter(cut, *FEW, "--json")
    assert "audit lines cannot be read" in missing(said.report)
    assert len(said.err) == 10
    assert ".log:2: " in said.err[0]


def test_no_audit_line_and_no_file(reporter: Reporter) -> None:
    said = reporter(b"nothing\n", "--json")
    assert "no audit line: read the standard output of the workers" in missing(said.report)
    in_words = reporter(b"nothing\n").out
    assert in_words.startswith("compared: no event\nlines: 0 audit lines")
    assert "None" not in in_words
    said = reporter.run("/nowhere/worker.log", "--json")
    assert said.status == 1
    where = "routing-sync shadow-report: /nowhere/worker.log"
    assert said.err == [f"{where}: cannot be read: No such file or directory: name an existing log file"]


@pytest.mark.parametrize("arguments", [[], ["--min-events", "0", "f"], ["--max-waits", "101", "f"], ["--no", "f"]])
def test_wrong_usage_is_2(reporter: Reporter, arguments: list[str]) -> None:
    assert reporter.run(*arguments).status == 2


def test_the_captured_incidents(reporter: Reporter, capsys: pytest.CaptureFixture[str]) -> None:
    audits = ""
    for name in (UNASSIGN_WITHOUT_QUEUE, LOST_ASSIGNMENT):
        run(["replay", "--json", "--policy", "shadow", incident(name)])
        audits += capsys.readouterr().out
    said = reporter(audits.encode(), "--json")
    assert missing(said.report)
    (difference,) = [line["difference"] for line in said.lines if "difference" in line]
    assert difference == {
        "kind": "WAITS", "field": "queue", "direction": "forward", "legacyRule": "B8", "causalRule": None,
        "code": "FIELD_WAITS", "count": 1,
    }  # fmt: skip
    (example,) = [line["example"] for line in said.lines if "example" in line]
    assert example["conversationId"] == CONVERSATION_2021
