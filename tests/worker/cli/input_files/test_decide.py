"""The examples of `decide --help` are questions that `decide` answers."""

from pathlib import Path

import pytest

from worker.cli.input_files.decide import EXAMPLES, answers
from worker.cli.main import run


def test_the_help_shows_an_example_of_each_kind_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    run(["decide", "--help"])
    shown = [line.strip() for line in capsys.readouterr().out.splitlines() if line.strip().startswith('{"kind"')]
    assert shown == list(EXAMPLES)
    sync, command = answers([line.encode() for line in shown])
    assert sync["updatedWorkItem"] == {"assignedTo": "anna"}
    assert command["outcome"] == "applied"


@pytest.mark.parametrize("content", ["", "\n \n"])
def test_input_without_a_question_fails_and_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    empty, good = tmp_path / "empty.ndjson", tmp_path / "good.ndjson"
    empty.write_text(content)
    good.write_text(EXAMPLES[1])
    assert run(["decide", str(empty), str(good)]) == 1
    shown = capsys.readouterr()
    assert shown.err == f"routing-sync decide: {empty} holds no question: give one JSON object a line\n"
    assert '"applied"' in shown.out
    assert run(["decide", str(good)]) == 0
