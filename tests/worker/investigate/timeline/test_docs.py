"""docs/timeline.md shows the output of the command in it, and names every finding and every key of the JSON."""

import re
import shlex

import pytest

from server_process import ROOT
from tests.worker.investigate.timeline.pair_story import PairStory, audit
from worker.cli.main import run
from worker.investigate.timeline.timeline import FindingKind
from worker.investigate.timeline.wire import timeline_wire

PAGE = (ROOT / "docs" / "timeline.md").read_text()


def test_the_page_shows_the_output(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    (arguments, printed), *_ = re.findall(r"```\n\$ routing-sync ([^\n]*)\n(.*?)```\n", PAGE, re.DOTALL)
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("COLUMNS", "80")
    assert run(shlex.split(arguments)) == 0
    assert capsys.readouterr().out == printed


def test_the_page_names_every_finding_in_order() -> None:
    assert re.findall(r"^\| `([A-Z_]+)` \|", PAGE, re.MULTILINE) == [kind.value for kind in FindingKind]


def test_the_page_names_every_key() -> None:
    story = PairStory().conversation(0).item(1, knew=1, status="queued").conversation(3, assignedUsers=["u-1"])
    wire = timeline_wire(story.conversation(4, skip=1, assignedUsers=[], sync=True).timeline(audit()))
    parts = [
        wire,
        *(each[0] for each in wire.values() if isinstance(each, list) and each and isinstance(each[0], dict)),
    ]
    assert len(parts) == 7
    shape = PAGE.partition("## The JSON shape")[2]
    assert [key for part in parts for key in part if not re.search(rf"\b{key}\b", shape)] == []
