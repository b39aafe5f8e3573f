"""A wrong build is found: one of a changed rule by the comparison, one without equality by the tests of the values.

Two small modules are compiled, from a copy of the source or by a copy of the source step in which one line is wrong.
`python -m tests.compiled_build.guards` takes each guard of the algorithm out of its compiled module.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from compiled_build.comparison import compared
from server_process import ROOT
from tests.compiled_build.guards import WithoutGuard, without_guard
from tests.compiled_build.small_build import HEADERS, SourceFault, built, python
from worker.telemetry.build import BUILD

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler: `apt-get install gcc`"),
    pytest.mark.skipif(
        not HEADERS.exists(),
        reason=f"no {HEADERS}: `apt-get install python{sys.version_info.major}.{sys.version_info.minor}-dev`",
    ),
    pytest.mark.skipif(BUILD == "compiled", reason="the tree of the compiled build has no source to build from"),
]

MODULES: Final = ("sync/conversation.py", "sync/rules_reverse.py")
_GENERATED: Final = (
    "import sys; from tests.compiled_build.outcomes import main; main(sys.argv[1:])",
    *("--seeds", "1", "--inputs", "20"),
)


RULE: Final = SourceFault("sync/rules_reverse.py", "(causal and item.assigned_to not in users)", "False")
EQUALITY: Final = SourceFault(
    "compiled_build/native_values.py", "*_equality(node.name, fields, frozen=frozen), *_repr", "*_repr"
)


def of_values(tree: Path) -> subprocess.CompletedProcess[str]:
    """The tests of the values, run on the compiled values."""
    return python(tree, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_values.py", "-k", "conversation")


def test_a_wrong_rule_is_found_by_the_comparison(tmp_path: Path) -> None:
    found = compared(built(tmp_path, MODULES, RULE), ROOT, _GENERATED)
    assert found.differing > 0
    assert "assignee" in "".join(found.shown)


def test_values_without_equality_are_found_by_their_tests(tmp_path: Path) -> None:
    run = of_values(built(tmp_path, MODULES, EQUALITY))
    assert run.returncode == 1, run.stdout + run.stderr
    assert " failed" in run.stdout
    failed = "FAILED tests/test_values.py::test_two_equal_copies_are_one_value[sync.conversation.Conversation]"
    assert failed in run.stdout


def test_a_right_build_is_found_right(tmp_path: Path) -> None:
    tree = built(tmp_path, MODULES, None)
    found = compared(tree, ROOT, _GENERATED)
    assert (found.differing, found.shown) == (0, [])
    assert found.kinds["handled"] > 100
    run = of_values(tree)
    assert run.returncode == 0, run.stdout + run.stderr
    assert " passed" in run.stdout


def test_a_compiled_module_without_its_guard_breaks_the_contract() -> None:
    assert without_guard("waiting for the conversation") is WithoutGuard.FOUND
