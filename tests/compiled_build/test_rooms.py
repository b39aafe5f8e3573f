"""What is compiled: nothing that awaits, every module that can be read, and a reason for each that is left out."""

import ast
import re

import pytest

from compiled_build.native_values import value_classes, with_native_values
from compiled_build.rooms import COMPILED, INTERPRETED, awaits, compiled_modules
from server_process import ROOT

MODULES = compiled_modules(ROOT)


def test_the_pure_rooms_are_compiled_whole() -> None:
    assert {"commands/execute.py", "sync/policy_causal.py", "handlers/planning/drafts/pair_draft.py"} <= set(MODULES)
    pure = [path.relative_to(ROOT).as_posix() for room in ("commands", "sync") for path in (ROOT / room).rglob("*.py")]
    assert {name for name in pure if not name.endswith("__init__.py")} <= set(MODULES)


def test_every_name_stands_for_a_file() -> None:
    assert [name for name in (*COMPILED, *INTERPRETED) if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("name", MODULES)
def test_a_compiled_module_awaits_nothing_and_the_source_step_can_read_it(name: str) -> None:
    source = (ROOT / name).read_text()
    assert not awaits(source)
    made = with_native_values(source, name)
    ast.parse(made)
    assert value_classes(made) == []


@pytest.mark.parametrize("name", MODULES)
def test_no_starred_tuple_stands_behind_in(name: str) -> None:
    """mypyc 2.4.1 ends with an internal error there."""
    for node in ast.walk(ast.parse((ROOT / name).read_text())):
        if isinstance(node, ast.Compare):
            pairs = zip(node.ops, node.comparators, strict=True)
            behind = [other for kind, other in pairs if isinstance(kind, ast.In | ast.NotIn)]
            starred = [one for one in behind if any(isinstance(each, ast.Starred) for each in getattr(one, "elts", ()))]
            assert not starred, f"{name}, line {node.lineno}: give the tuple a name first"


def test_no_source_has_a_decorated_value() -> None:
    """A decorator of one's own makes mypyc compile `==` as identity; the source step spells out Structs alone."""
    pattern = re.compile(r"^@.*dataclass", re.MULTILINE)
    assert [name for name in MODULES if pattern.search((ROOT / name).read_text())] == []


def test_make_compiled_runs_the_tests_of_every_compiled_room() -> None:
    found = re.search(r"^COMPILED_ROOMS := ((?:.*\\\n)*.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert found is not None
    rooms = found[1].replace("\\", "").split()
    untested = [name for name in MODULES if not f"tests/{name}".startswith(tuple(f"{room}/" for room in rooms))]
    assert untested == []
