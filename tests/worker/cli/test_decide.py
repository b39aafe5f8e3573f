"""The examples of `decide --help` are questions that `decide` answers."""

import pytest

from worker.cli.decide import EXAMPLES, answers
from worker.cli.main import run


def test_the_help_shows_an_example_of_each_kind_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    run(["decide", "--help"])
    shown = [line.strip() for line in capsys.readouterr().out.splitlines() if line.strip().startswith('{"kind"')]
    assert shown == list(EXAMPLES)
    sync, command = answers([line.encode() for line in shown])
    assert sync["updatedWorkItem"] == {"assignedTo": "anna"}
    assert command["outcome"] == "applied"
