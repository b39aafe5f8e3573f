"""docs/import.md shows what its command prints."""

import re
import shlex
from pathlib import Path

import pytest

from server_process import ROOT
from worker.cli.main import run

PAGE = (ROOT / "docs" / "import.md").read_text()


def test_the_page_shows_the_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (arguments, shown), *_ = re.findall(r"```\n\$ routing-sync ([^\n]*)\n(.*?)```\n", PAGE, re.DOTALL)
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    monkeypatch.chdir(tmp_path)
    assert run(shlex.split(arguments)) == 1
    printed = capsys.readouterr()
    assert printed.err + printed.out == shown
    assert (tmp_path / "events.ndjson").read_bytes().count(b"\n") == 3
