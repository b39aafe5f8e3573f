"""docs/replay.md shows the output of the commands in it."""

import re
import shlex

import pytest

from server_process import ROOT
from tests.worker.replay.replays import Runner, replay

__all__ = ["replay"]

SHOWN = re.findall(
    r"```\n\$ routing-sync replay ([^\n]*)\n(.*?)```\n", (ROOT / "docs" / "replay.md").read_text(), re.DOTALL
)


@pytest.mark.parametrize(
    ("arguments", "printed"), SHOWN, ids=[arguments.partition(" tests/")[0] for arguments, _ in SHOWN]
)
def test_the_page_shows_the_output(
    replay: Runner, monkeypatch: pytest.MonkeyPatch, arguments: str, printed: str
) -> None:
    monkeypatch.chdir(ROOT)
    assert replay(*shlex.split(arguments)).out == printed


def test_the_page_shows_every_mode() -> None:
    assert len(SHOWN) == 4
