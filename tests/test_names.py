"""Names and rooms: a class name means one thing, and a room of more than a dozen files has rooms of its own."""

import re
from collections import defaultdict
from pathlib import Path
from typing import Final

from tests.compiled_build.of_the_source import OF_THE_SOURCE

pytestmark = OF_THE_SOURCE

ROOT: Final = Path(__file__).parents[1]
_PACKAGES: Final = ("commands", "sync", "handlers", "worker", "localstack", "compiled_build")
_FILES_MAX: Final = 12
"""Of a package, without its `__init__`."""


def _of_several_files(root: Path) -> dict[str, list[str]]:
    """The classes that more than one file defines. A test's class is a heading and no name."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in (path for folder in (*_PACKAGES, "deploy", "docs", "tests") for path in (root / folder).rglob("*.py")):
        for name in re.findall(r"^ *class (?!Test)(\w+)", path.read_text(), re.MULTILINE):
            found[name].append(path.relative_to(root).as_posix())
    return {name: sorted(paths) for name, paths in found.items() if len(paths) > 1}


def _crowded(root: Path) -> list[str]:
    """The packages with more than a dozen files."""
    packages = (path.parent for room in _PACKAGES for path in (root / room).rglob("__init__.py"))
    return [each.relative_to(root).as_posix() for each in packages if len(list(each.glob("*.py"))) - 1 > _FILES_MAX]


def test_a_class_name_means_one_thing() -> None:
    assert _of_several_files(ROOT) == {}


def test_a_second_meaning_would_be_found(tmp_path: Path) -> None:
    for folder, text in (
        ("sync", "class Wait:\n    pass\n"),
        ("tests", "def story():\n    class Wait(str):\n        pass\n"),
    ):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "pair.py").write_text(text)
    assert _of_several_files(tmp_path).keys() == {"Wait"}


def test_no_room_holds_more_than_a_dozen_files() -> None:
    assert _crowded(ROOT) == []


def test_a_thirteenth_file_would_be_found(tmp_path: Path) -> None:
    room = tmp_path / "worker" / "cli"
    room.mkdir(parents=True)
    (room / "__init__.py").touch()
    for number in range(12):
        (room / f"verb_{number}.py").touch()
    assert _crowded(tmp_path) == []
    (room / "last.py").touch()
    assert _crowded(tmp_path) == ["worker/cli"]
