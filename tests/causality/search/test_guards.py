"""Each guard of the algorithm is needed: without any one of them the checker finds a violation.

The guard is removed from a copy of the code, which the test imports in the place of the project's. A process of its own
would spend most of its time on importing libraries.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from tests.causality.search.guards import GUARDS, Guard
from tests.compiled_build.of_the_source import OF_THE_SOURCE

pytestmark = [pytest.mark.thorough, OF_THE_SOURCE]

ROOT = Path(__file__).parents[3]
PACKAGES = ("commands", "sync", "handlers", "worker")


def _copy_without(guard: Guard, target: Path) -> None:
    """Copy the code without the guard."""
    for name in (*PACKAGES, "tests"):
        (target / name).symlink_to(ROOT / name, target_is_directory=True)
    # Each folder on the way to the file is a real one, and everything else in it a link: compiled modules are reused.
    folder = Path()
    for part in Path(guard.file).parent.parts:
        folder /= part
        (target / folder).unlink()
        (target / folder).mkdir()
        for each in (ROOT / folder).iterdir():
            (target / folder / each.name).symlink_to(each)
    text = (ROOT / guard.file).read_text()
    assert text.count(guard.text) == 1, f"{guard.file} has the guard once: {guard.text!r}"
    (target / guard.file).unlink()
    (target / guard.file).write_text(text.replace(guard.text, guard.without))


def _project_modules() -> dict[str, ModuleType]:
    return {name: module for name, module in sys.modules.items() if name.partition(".")[0] in (*PACKAGES, "tests")}


@contextmanager
def _imported_from(folder: Path) -> Iterator[None]:
    """Import the project's packages and its tests from the folder."""
    before = _project_modules()
    for name in before:
        del sys.modules[name]
    sys.path.insert(0, str(folder))
    # Else the compiled module without its guard would be cached as the project's.
    writes_nothing, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = writes_nothing
        sys.path.remove(str(folder))
        for name in _project_modules():
            del sys.modules[name]
        sys.modules.update(before)


@pytest.mark.parametrize("name", GUARDS)
def test_without_the_guard_the_contract_breaks(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _copy_without(GUARDS[name], tmp_path)
    with _imported_from(tmp_path):
        searched = import_module("tests.causality.search.guards")
        changed = import_module(GUARDS[name].file.removesuffix(".py").replace("/", "."))
        assert Path(str(changed.__file__)).is_relative_to(tmp_path)
        assert searched.main(name) == 1
    assert "→" in capsys.readouterr().out
