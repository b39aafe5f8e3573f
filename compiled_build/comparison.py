"""`python -m compiled_build.comparison FOLDER`: what the compiled build in a folder decides, event by event,
held against what the source decides.

Two sources of events: the captures, replayed under every policy, and events that are made by number: simulated fleets,
damaged bodies, the loads of the benchmark (tests/compiled_build/outcomes.py). Every line that comes out is compared:
outcome, reasons, the writes as steps of the transaction, the announcements, the audit line.
"""

import argparse
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Final, NamedTuple

_ROOT: Final = Path(__file__).resolve().parent.parent
_START: Final = "from worker.cli.main import main; main()"
_GENERATED: Final = "import sys; from tests.compiled_build.outcomes import main; main(sys.argv[1:])"
_WITNESS: Final = "from worker.telemetry.build import BUILD; print(BUILD)"
_RUNS: Final = [
    ("replay", "--mode", mode, "--policy", policy, "--json")
    for mode in ("observe", "simulate")
    for policy in ("legacy", "causal")
]
_SHOWN_MAX: Final = 5
_BEFORE: Final = 120
_AFTER: Final = 200


class RunComparison(NamedTuple):
    """The lines of one run of both builds: how many of each kind (the first key of a JSON object), and how many
    differ. Of these `shown` has the first ones."""

    kinds: Counter[str]
    differing: int
    shown: Sequence[str]


def main(arguments: list[str]) -> int:
    """Prints what was compared. Returns 0 where both agree, 1 where they differ or the folder is not compiled."""
    parser = argparse.ArgumentParser(prog="python -m compiled_build.comparison", description="Both builds, compared.")
    parser.add_argument("folder", type=Path, help="the packages of a compiled wheel, beside the tests")
    parser.add_argument("--seeds", type=int, default=20, help="simulated fleets of each policy (default 20)")
    parser.add_argument("--inputs", type=int, default=2_000, help="message bodies (default 2000)")
    asked = parser.parse_args(arguments)
    folder = asked.folder.resolve()
    builds = [next(_lines(_python(where, _WITNESS))) for where in (folder, _ROOT)]
    if builds != ["compiled", "interpreted"]:
        found = builds[0] if builds[0] in ("compiled", "interpreted") else "no build"
        sys.stderr.write(f"{folder} is {found}, {_ROOT} {builds[1]}: run `make compiled`\n")
        return 1
    captures = sorted(str(path) for path in (_ROOT / "tests" / "fixtures" / "captured").rglob("events.ndjson"))
    runs = [(_START, *run, capture) for run in _RUNS for capture in captures]
    of_captures = [compared(folder, _ROOT, run) for run in runs]
    generated = compared(folder, _ROOT, (_GENERATED, "--seeds", str(asked.seeds), "--inputs", str(asked.inputs)))
    lines = sum(one.kinds.total() for one in of_captures)
    sys.stdout.write(f"{len(captures)} captures, {len(_RUNS)} runs each: {lines:,} lines\n")
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in generated.kinds.most_common())
    sys.stdout.write(f"generated: {generated.kinds.total():,} lines ({kinds})\n")
    for shown in (line for one in (*of_captures, generated) for line in one.shown):
        sys.stderr.write(shown)
    differing = sum(one.differing for one in (*of_captures, generated))
    sys.stdout.write(f"compiled and interpreted: {f'{differing:,} lines differ' if differing else 'no line differs'}\n")
    return 1 if differing else 0


def compared(folder: Path, root: Path, run: Sequence[str]) -> RunComparison:
    """One run of the code `run[0]` with the arguments behind it, on the packages of both folders, line by line.

    A run without a line counts as a difference, and so does an exit status other than 0.
    """
    kinds: Counter[str] = Counter()
    shown: list[str] = []
    differing = 0
    both = zip_longest(_lines(_python(folder, *run)), _lines(_python(root, *run)))
    for number, (one, other) in enumerate(both, 1):
        ended_badly = one is not None and one.startswith("exit status ") and one != "exit status 0"
        if one == other and one is not None and not ended_badly:
            kinds[_kind(one)] += 1
            continue
        differing += 1
        if len(shown) < _SHOWN_MAX:
            shown.append(f"{' '.join(run[1:])}, line {number}:\n{_difference(one, other)}")
    if not kinds.total() - kinds[""] and not differing:
        return RunComparison(kinds, 1, [f"{' '.join(run[1:])}: nothing came out\n"])
    del kinds[""]
    return RunComparison(kinds, differing, shown)


def _kind(line: str) -> str:
    """The first key of a JSON object; of the line of the exit status, the empty text."""
    if line.startswith("exit status "):
        return ""
    return line[2:].partition('"')[0] if line.startswith('{"') else "other"


def _difference(one: str | None, other: str | None) -> str:
    """Both lines, from a little before the first character that differs."""
    first, second = one or "", other or ""
    pairs = enumerate(zip(first, second, strict=False))
    common = next((at for at, (left, right) in pairs if left != right), min(len(first), len(second)))
    begin = max(0, common - _BEFORE)
    return "".join(
        f"  {name:<12}{line[begin : common + _AFTER]}\n"
        for name, line in (("compiled", first), ("interpreted", second))
    )


def _python(where: Path, code: str, *arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-P", "-c", code, *arguments]
    # A set of texts has another order in each process, unless their hashes are the same.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0"}
    environment["PYTHONPATH"] = f"{where}{os.pathsep}{where / 'localstack'}"
    return subprocess.Popen(
        command, env=environment, cwd=where, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def _lines(process: "subprocess.Popen[str]") -> Iterator[str]:
    """The lines of both outputs, as they come, and the exit status."""
    with process:
        assert process.stdout is not None
        yield from (line.rstrip("\n") for line in process.stdout)
    yield f"exit status {process.returncode}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
