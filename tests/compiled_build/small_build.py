"""A build of few modules, whole or with one line wrong: compiled in seconds, the tests beside it."""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from compiled_build.rooms import PACKAGES
from compiled_build.tree import add_tests
from server_process import ROOT

_COMPILE: Final = (
    "import sys; from pathlib import Path; from compiled_build.compiler import compile_packages; "
    "compile_packages(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])"
)


HEADERS: Final = Path(sysconfig.get_path("include"), "Python.h")
"""What a compiled module is built with, beside the compiler."""


class SourceFault(NamedTuple):
    """`text` occurs once in `file`, of the packages or of the source step; `wrong` takes its place."""

    file: str
    text: str
    wrong: str


class CompilationRefused(Exception):
    """The modules cannot be compiled. The message has the compiler's."""


def built(folder: Path, modules: Sequence[str], wrong: SourceFault | None) -> Path:
    """A tree with these modules compiled, from a copy of the source and by a copy of the source step.

    Raises CompilationRefused."""
    source, tree = folder / "source", folder / "tree"
    for name in (*PACKAGES, "compiled_build"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    if wrong is not None:
        text = (source / wrong.file).read_text()
        assert text.count(wrong.text) == 1, f"{wrong.file} has it once: {wrong.text!r}"
        (source / wrong.file).write_text(text.replace(wrong.text, wrong.wrong))
    tree.mkdir()
    done = python(source, "-c", _COMPILE, str(source), str(tree), *modules)
    if done.returncode != 0:
        raise CompilationRefused(done.stderr)
    for name in modules:
        assert list((tree / name).parent.glob(f"{Path(name).stem}.*.so")), name
    add_tests(tree)
    return tree


def python(at: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """This Python in that folder, with that folder's packages."""
    environment = {**os.environ, "PYTHONPATH": f"{at}{os.pathsep}{at / 'localstack'}"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=at, env=environment, check=False, capture_output=True, text=True
    )
