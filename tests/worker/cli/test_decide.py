"""What `decide --help` shows can be asked."""

import pytest

from worker.cli.decide import EXAMPLES, answers
from worker.cli.main import run


def test_the_help_shows_a_question_of_each_kind_on_a_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    run(["decide", "--help"])
    shown = [line.strip() for line in capsys.readouterr().out.splitlines() if line.strip().startswith('{"kind"')]
    assert shown == list(EXAMPLES)
    sync, command = answers([line.encode() for line in shown])
    assert sync["updatedWorkItem"] == {"assignedTo": "anna"}
    assert command["outcome"] == "applied"
