"""The runbook's commands: each verb and option exists, each jq filter finds its line, and every question has commands.

`tests/e2e/test_ten_questions.py` runs those of the ten questions on a running system.
"""

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from tests.docs.runbook import RUNBOOK, questions, section
from worker.cli.main import run

COMMANDS: Final = re.findall(r"`([^`\n]+(?:\n[^`\n]+)?)`", RUNBOOK.read_text())
OWN: Final = sorted({command for command in COMMANDS if command.startswith("routing-sync ")})
FILTERS: Final = sorted({command for command in COMMANDS if command.startswith("jq ")})

AUDIT: Final[dict[str, Any]] = {
    "msg": "CONVERSATION_SYNC_AUDIT",
    "level": 30,
    "conversationId": "c-1",
    "reasons": [{"code": "STORED_DOCUMENT_UNREADABLE", "meta": {"detail": "d"}}],
    "suppressed": [],
    "command": None,
    "event": {"client": "crm", "name": "n"},
    "trigger": "gap",
    "outcome": "failed",
}
LINES: Final = (
    AUDIT,
    {**AUDIT, "suppressed": [{"field": "assignee", "code": "FIELD_WAITS"}]},
    {**AUDIT, "command": {"engine": "legacy", "name": "queueCommandParams", "fields": ["queue"]}},
    {"msg": "a fault in our code", "level": 50, "error": "KeyError", "stack": ["f"]},
    {"msg": "worker started", "level": 30, "policy": "causal", "dd": {"version": "1"}},
    *(
        {"msg": message, "level": 40, "reason": "r"}
        for message in (
            "heartbeat not published, another worker may",
            "message goes back",
            "drift found by the sweep",
            "topics away, events wait in the outbox",
            "queue away",
        )
    ),
)
"""A line for each thing that the runbook looks for in the log."""


def test_ten_questions_have_commands() -> None:
    asked = questions()
    assert len(asked) == 10
    assert {question: len(commands) for question, commands in asked.items() if len(commands) not in (1, 2)} == {}


def test_the_page_has_that_many_commands() -> None:
    assert len(OWN) >= 20
    assert len(FILTERS) >= 14


@pytest.mark.parametrize("command", OWN)
def test_every_verb_and_option_of_the_runbook_exists(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    _, verb, *arguments = shlex.split(command)
    assert run([verb, "--help"]) == 0
    options = set(re.findall(r"(?<![\w-])--[a-z-]+", capsys.readouterr().out))
    assert {each for each in arguments if each.startswith("-")} <= options


@pytest.mark.parametrize("command", FILTERS)
def test_every_filter_of_the_runbook_finds_its_line(command: str, tmp_path: Path) -> None:
    if shutil.which("jq") is None:
        pytest.skip("jq is not installed")
    log = "not JSON\n" + "".join(json.dumps(line) + "\n" for line in LINES)
    for name in ("worker.log", "serve.log"):
        (tmp_path / name).write_text(log)
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip()


def test_the_step_of_a_restored_database_is_that_of_the_operations_page() -> None:
    (step,) = re.findall(r"`(db\.sync_states\.updateMany\(.*?\))`", section("Restored database"))
    assert step in (RUNBOOK.parent / "operations.md").read_text()
