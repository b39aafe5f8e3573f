"""`python -m tests.compiled_build.guards [NAME…]`: the guards of the algorithm, taken out of compiled modules.

For each guard its module is compiled without it. The compiler refuses some by the types. Of the rest the search must
find a violation, as in the tests of the source (tests/causality/search/test_guards.py). The exit status is 1 where it
finds none.
Guards of interpreted modules are left out.
"""

import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from enum import Enum
from pathlib import Path

from compiled_build.rooms import compiled_modules
from server_process import ROOT
from tests.causality.search.guards import GUARDS
from tests.compiled_build.small_build import CompilationRefused, SourceFault, built, python


class WithoutGuard(Enum):
    """What becomes of a compiled module without its guard."""

    FOUND = "a violation is found without it"
    REFUSED = "the compiler refuses its module without it"
    MISSED = "NOT FOUND"


def without_guard(name: str) -> WithoutGuard:
    """Compiles the guard's module without it, and searches."""
    guard = GUARDS[name]
    with tempfile.TemporaryDirectory() as folder:
        wrong = SourceFault(guard.file, guard.text, guard.without)
        try:
            tree = built(Path(folder), [guard.file], wrong)
        except CompilationRefused as refused:
            if f"{guard.file}:" not in str(refused):
                raise
            return WithoutGuard.REFUSED
        done = python(tree, "-m", "tests.causality.search.guards", name)
    return WithoutGuard.FOUND if done.returncode == 1 and "→" in done.stdout else WithoutGuard.MISSED


def main(names: Sequence[str]) -> int:
    """Prints a line for each guard, and how many had each end; the exit status."""
    compiled = set(compiled_modules(ROOT))
    ends: Counter[WithoutGuard] = Counter()
    for name in names or GUARDS:
        if GUARDS[name].file not in compiled:
            sys.stdout.write(f"{name}: {GUARDS[name].file} is not compiled\n")
            continue
        end = without_guard(name)
        ends[end] += 1
        sys.stdout.write(f"{name}: {end.value}\n")
        sys.stdout.flush()
    counts = "; ".join(f"{ends[end]}: {end.value}" for end in WithoutGuard)
    sys.stdout.write(f"{ends.total()} guards of compiled modules. {counts}\n")
    return int(bool(ends[WithoutGuard.MISSED]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
