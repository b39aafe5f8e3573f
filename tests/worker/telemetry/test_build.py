"""The build that a process names is that of every room, not of one."""

import json
import types

import pytest

import sync.policy_causal
from worker.telemetry.build import BUILD, build_of


def _module(file: str | None) -> types.ModuleType:
    module = types.ModuleType("module")
    module.__file__ = file
    return module


SOURCE, COMPILED = _module("/app/sync/gates.py"), _module("/app/sync/gates.cpython-313-x86_64-linux-gnu.so")


def test_one_interpreted_room_makes_the_build_interpreted() -> None:
    assert build_of((COMPILED, COMPILED)) == "compiled"
    assert build_of((COMPILED, SOURCE)) == "interpreted"
    assert build_of((SOURCE, SOURCE)) == "interpreted"


@pytest.mark.parametrize("module", [json, sync.policy_causal], ids=["json", "rules"])
def test_a_module_counts_by_the_file_that_was_loaded(module: types.ModuleType) -> None:
    expected = "interpreted" if str(module.__file__).endswith(".py") else "compiled"
    assert build_of((module,)) == expected
    assert module is json or expected == BUILD
