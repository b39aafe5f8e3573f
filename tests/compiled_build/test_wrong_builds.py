"""A wrong build is found: one of a changed rule by the comparison, one without equality by the tests of the values.

Two small modules are compiled, from a copy of the source or by a copy of the source step in which one line is wrong.
"""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from compiled_build.comparison import compared
from compiled_build.rooms import PACKAGES
from compiled_build.tree import add_tests
from server_process import ROOT
from worker.telemetry.build import BUILD

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler: `apt-get install gcc`"),
    pytest.mark.skipif(find_spec("setuptools") is None, reason="no setuptools, by which mypyc builds"),
    pytest.mark.skipif(BUILD == "compiled", reason="the tree of the compiled build has no source to build from"),
]

MODULES: Final = ("sync/conversation.py", "sync/rules_reverse.py")
_COMPILE: Final = (
    "import sys; from pathlib import Path; from compiled_build.compiler import compile_packages; "
    "compile_packages(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])"
)
_GENERATED: Final = (
    "import sys; from tests.compiled_build.outcomes import main; main(sys.argv[1:])",
    *("--seeds", "1", "--inputs", "20"),
)


class Wrong(NamedTuple):
    """`text` occurs once in `file`; `wrong` takes its place."""

    file: str
    text: str
    wrong: str


RULE: Final = Wrong("sync/rules_reverse.py", "(causal and item.assigned_to not in users)", "False")
EQUALITY: Final = Wrong(
    "compiled_build/native_values.py", "*_equality(node.name, fields, frozen=frozen), *_repr", "*_repr"
)


def built(folder: Path, wrong: Wrong | None) -> Path:
    """A tree with the two modules compiled."""
    source, tree = folder / "source", folder / "tree"
    for name in (*PACKAGES, "compiled_build"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    if wrong is not None:
        text = (source / wrong.file).read_text()
        assert text.count(wrong.text) == 1, f"{wrong.file} has it once: {wrong.text!r}"
        (source / wrong.file).write_text(text.replace(wrong.text, wrong.wrong))
    tree.mkdir()
    _python(source, "-c", _COMPILE, str(source), str(tree), *MODULES).check_returncode()
    assert list((tree / "sync").glob("rules_reverse.*.so"))
    add_tests(tree)
    return tree


def of_values(tree: Path) -> str:
    """What the tests of the values say of the compiled values."""
    done = _python(tree, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_values.py", "-k", "conversation")
    return done.stdout


def _python(at: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(at)}
    return subprocess.run(
        [sys.executable, *arguments], cwd=at, env=environment, check=False, capture_output=True, text=True
    )


def test_a_wrong_rule_is_found_by_the_comparison(tmp_path: Path) -> None:
    found = compared(built(tmp_path, RULE), ROOT, _GENERATED)
    assert found.differing > 0
    assert "assignee" in "".join(found.shown)


def test_values_without_equality_are_found_by_their_tests(tmp_path: Path) -> None:
    said = of_values(built(tmp_path, EQUALITY))
    assert "FAILED tests/test_values.py::test_two_equal_copies_are_one_value[sync.conversation.Conversation]" in said


def test_a_right_build_is_found_right(tmp_path: Path) -> None:
    tree = built(tmp_path, None)
    found = compared(tree, ROOT, _GENERATED)
    assert (found.differing, found.shown) == (0, [])
    assert found.kinds["handled"] > 100
    assert " failed" not in of_values(tree)
