"""A redacted capture tells an investigation the same: its findings, its replay, its answer."""

import json
from pathlib import Path

import pytest

from tests.handlers.wire_events import LOST_ASSIGNMENT, UNASSIGN_WITHOUT_QUEUE, Json, captured, notification, queued
from tests.worker.investigate.capture_import.imports import ImportRunner, importing, one_line
from tests.worker.investigate.explain.stories import by_the_router
from tests.worker.investigate.explain.test_explain import explained, logged, played
from tests.worker.store.store_bench import MemoryBench
from worker.cli.main import run
from worker.investigate.explain.explanation import explain

__all__ = ["importing"]


def _with_personal_data(incident: str) -> list[Json]:
    """The incident's events with a customer's data in them, in two of the five shapes."""
    lines = captured(incident)
    for line in lines:
        attributes = line["body"]["body"]["data"]["attributes"]
        attributes |= {"name": "Anna Schmidt", "custom": {"anna@example.com": ["+49 30 901820", 15551234567, True]}}
    return [queued(notification(line["body"])) if place % 2 else line for place, line in enumerate(lines)]


def _printed(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> list[Json]:
    capsys.readouterr()
    assert run(arguments) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize("incident", [LOST_ASSIGNMENT, UNASSIGN_WITHOUT_QUEUE])
def test_findings_and_replay_are_the_same(
    incident: str, importing: ImportRunner, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    source = importing.file("".join(one_line(line) + "\n" for line in _with_personal_data(incident)))
    told = []
    for redact in (False, True):
        assert importing(source, redact=redact).status == 0
        text = (tmp_path / "events.ndjson").read_text()
        assert ("Schmidt" in text) is not redact
        capture = str(tmp_path / "events.ndjson")
        ways: list[list[str]] = [["timeline"], ["replay"], ["replay", "--mode", "simulate", "--policy", "legacy"]]
        told.append([_printed([verb, capture, "--json", *rest], capsys) for verb, *rest in ways])
    assert told[0][0][0]
    assert told[0] == told[1]


def test_a_redacted_capture_is_not_changed_by_another_run(importing: ImportRunner, tmp_path: Path) -> None:
    lines = [each for incident in (LOST_ASSIGNMENT, UNASSIGN_WITHOUT_QUEUE) for each in _with_personal_data(incident)]
    once = importing(importing.file("".join(one_line(line) + "\n" for line in lines)), redact=True)
    assert once.output is not None
    again = importing(importing.file(once.output, "redacted.ndjson"), redact=True)
    assert again.output == once.output
    assert again.counts["redaction"] == {"replaced": {}, "fields": []}


async def test_a_redacted_log_of_the_worker_explains_the_same(importing: ImportRunner, tmp_path: Path) -> None:
    bench = MemoryBench()
    on_it = await played(bench, by_the_router)
    log = importing.file("".join(one_line(line) + "\n" for line in on_it.lines))
    imported = importing(log, redact=True)
    assert imported.counts["auditLines"] == len(on_it.lines)
    answer = explain("c-1", None, logged(tmp_path, imported.events)).answer
    assert answer == (await explained(bench)).answer
