"""`python -m tests.compiled_build.guards [NAME…]`: the guards of the algorithm, taken out of compiled modules.

For each guard its module is compiled without it, and the search must find a violation, as the tests of the source have
it (tests/causality/test_guards.py). Exit status 1 where it finds none. Guards of interpreted modules are left out.
"""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from compiled_build.rooms import compiled_modules
from server_process import ROOT
from tests.causality.guards import GUARDS
from tests.compiled_build.small_build import CompilationRefused, SourceFault, built, python


def found_by(name: str) -> str | None:
    """What finds that the guard is missing: the search, or the compiler by the types; None: nothing."""
    guard = GUARDS[name]
    with tempfile.TemporaryDirectory() as folder:
        wrong = SourceFault(guard.file, guard.text, guard.without)
        try:
            tree = built(Path(folder), [guard.file], wrong)
        except CompilationRefused as refused:
            if f"{guard.file}:" not in str(refused):
                raise
            return "the compiler refuses its module without it"
        done = python(tree, "-m", "tests.causality.guards", name)
    return "a violation is found without it" if done.returncode == 1 and "→" in done.stdout else None


def main(names: Sequence[str]) -> int:
    """Prints a line for each guard; the exit status."""
    compiled = set(compiled_modules(ROOT))
    missed = 0
    for name in names or GUARDS:
        if GUARDS[name].file not in compiled:
            sys.stdout.write(f"{name}: {GUARDS[name].file} is not compiled\n")
            continue
        found = found_by(name)
        missed += found is None
        sys.stdout.write(f"{name}: {found or 'NOT FOUND'}\n")
        sys.stdout.flush()
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
