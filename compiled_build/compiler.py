"""The compilation: the packages are copied into a folder of their own, so the tree that is built from stays clean."""

import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Final

from compiled_build.native_values import (
    MARKS_MODULE,
    MARKS_SOURCE,
    REPLACE_MODULE,
    REPLACE_SOURCE,
    with_native_replace,
    with_native_values,
)
from compiled_build.rooms import PACKAGES, awaits, compiled_modules

OPT_LEVEL: Final = "3"
"""Of the C compiler: as fast to compile as the first level."""

_SCRIPT: Final = """
import sys
from mypyc.build import mypycify
from setuptools import setup
modules = mypycify(
    ["--config-file=mypy.ini", *sys.argv[2:]], opt_level=sys.argv[1], debug_level="0", group_name="routing_sync"
)
setup(name="routing-sync", packages=[], ext_modules=modules, script_args=["--quiet", "build_ext", "--inplace"])
"""
_MYPY: Final = """[mypy]
explicit_package_bases = True
ignore_missing_imports = True
"""
_LINES_MAX: Final = 20


class CompilationFailed(Exception):
    """The message has the end of the compiler's output, and the remedy."""


def compile_packages(root: Path, folder: Path, modules: Collection[str] | None = None) -> None:
    """Makes the packages of `root` in the empty `folder`: every module as the wheel has it, and beside it the compiled
    ones. `modules`: these alone are compiled, for a test. Raises CompilationFailed, UnknownValueClass."""
    compiled = compiled_modules(root) if modules is None else list(modules)
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            _copy_module(path.relative_to(root).as_posix(), root, folder, natively=frozenset(compiled))
    (folder / REPLACE_MODULE).write_text(REPLACE_SOURCE)
    (folder / MARKS_MODULE).write_text(MARKS_SOURCE)
    (folder / "mypy.ini").write_text(_MYPY)
    command = [sys.executable, "-c", _SCRIPT, OPT_LEVEL, *compiled, REPLACE_MODULE]
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        lines = (done.stdout + done.stderr).splitlines()
        found = "\n".join([line for line in lines if ": error:" in line] or lines[-_LINES_MAX:])
        remedy = "install a C compiler and requirements-compile.lock, or build without ROUTING_SYNC_COMPILE"
        raise CompilationFailed(f"the pure rooms cannot be compiled: {remedy}.\n{found}")


def _copy_module(name: str, root: Path, folder: Path, *, natively: frozenset[str]) -> None:
    source = (root / name).read_text()
    if name in natively:
        if awaits(source):
            raise CompilationFailed(f"{name} awaits, and nothing asynchronous is compiled: name it in INTERPRETED.")
        made = with_native_values(source, name)
    else:
        made = with_native_replace(source)
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(made)
