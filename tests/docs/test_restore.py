"""Both ways of raising the floors of a restored database (docs/operations.md, *A restored database*) do the same."""

import json
import os
import subprocess
import sys
from typing import Any, Final

import pytest
from pymongo import MongoClient

from mongod import Mongod
from server_process import ROOT

STATES: Final[list[dict[str, Any]]] = [
    {"_id": "c-1", "conversation": {"rev": 7, "floor": 3}, "workItem": {"id": "w-1", "rev": 2}},
    {"_id": "c-2", "conversation": {"rev": 4}},
]
_PAGE: Final = (ROOT / "docs" / "operations.md").read_text()
_MARK: Final = "RAISE\n"


@pytest.mark.thorough
def test_the_line_for_mongosh_and_the_script_raise_the_same_floors(mongod: Mongod) -> None:
    step = json.loads(_PAGE.split("db.sync_states.updateMany({}, ", 1)[1].split(")\n", 1)[0])
    script = "\n".join(
        line.strip() for line in _PAGE.split(f"<<'{_MARK[:-1]}'\n", 1)[1].split(_MARK, 1)[0].splitlines()
    )
    with MongoClient[dict[str, Any]](mongod.uri) as client:
        shell, by_script = client["restored_by_shell"].sync_states, client["restored_by_script"].sync_states
        for states in (shell, by_script):
            states.insert_many(STATES)
        shell.update_many({}, step)
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "MONGODB_URI": mongod.uri, "MONGODB_DATABASE": "restored_by_script"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "2 floors raised\n", "")
        raised = list(by_script.find())
        assert raised == list(shell.find())
        for database in ("restored_by_shell", "restored_by_script"):
            client.drop_database(database)
    assert [state["conversation"]["floor"] for state in raised] == [1_000_007, 1_000_004]
