"""Each guard of the algorithm is needed: without any one of them the checker finds a violation.

The guard is taken out of a copy of the code, which is imported in the place of ours for as long as the test takes: in a
process of its own, most of the time would go into importing what others wrote.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from tests.causality.guards import GUARDS, Guard

ROOT = Path(__file__).parents[2]
PACKAGES = ("commands", "sync", "handlers", "worker")


def _copy_without(guard: Guard, target: Path) -> None:
    """The code as it is, but for the guard."""
    for name in (*PACKAGES, "tests"):
        (target / name).symlink_to(ROOT / name, target_is_directory=True)
    # Every folder on the way to the file is a real one, and all else in it a link: so its compiled modules are kept.
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


def _ours() -> dict[str, ModuleType]:
    return {name: module for name, module in sys.modules.items() if name.partition(".")[0] in (*PACKAGES, "tests")}


@contextmanager
def _imported_from(folder: Path) -> Iterator[None]:
    """All that is ours, and the tests' own, is imported from there."""
    before = _ours()
    for name in before:
        del sys.modules[name]
    sys.path.insert(0, str(folder))
    # Else the module without its guard would be kept, compiled, as ours.
    writes_nothing, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = writes_nothing
        sys.path.remove(str(folder))
        for name in _ours():
            del sys.modules[name]
        sys.modules.update(before)


@pytest.mark.parametrize("name", GUARDS)
def test_without_the_guard_the_contract_breaks(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _copy_without(GUARDS[name], tmp_path)
    with _imported_from(tmp_path):
        searched = import_module("tests.causality.guards")
        changed = import_module(GUARDS[name].file.removesuffix(".py").replace("/", "."))
        assert Path(str(changed.__file__)).is_relative_to(tmp_path)
        assert searched.main(name) == 1
    assert "→" in capsys.readouterr().out
