"""`python -m compiled_build.comparison FOLDER`: what the compiled build in a folder decides, event by event,
held against what the source decides.

The captured events are replayed under every policy on both, and every line that comes out is compared.
"""

import os
import subprocess
import sys
from itertools import zip_longest
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).resolve().parent.parent
_START: Final = "from worker.cli.main import main; main()"
_WITNESS: Final = "from worker.telemetry.build import BUILD; print(BUILD)"
_RUNS: Final = [
    ("replay", "--mode", mode, "--policy", policy, "--json")
    for mode in ("observe", "simulate")
    for policy in ("legacy", "causal")
]
_SHOWN_MAX: Final = 5


def main(arguments: list[str]) -> int:
    """Prints what was compared. Returns 0 where both agree, 1 where they differ or the folder is not compiled, 2 where
    the arguments are wrong."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m compiled_build.comparison FOLDER\n")
        return 2
    folder = Path(arguments[0]).resolve()
    builds = [_python(where, _WITNESS).stdout.strip() for where in (folder, _ROOT)]
    if builds != ["compiled", "interpreted"]:
        sys.stderr.write(f"{folder} is {builds[0] or 'no build'}, {_ROOT} {builds[1]}: run `make compiled`\n")
        return 1
    captures = sorted(str(path) for path in (_ROOT / "tests" / "fixtures" / "captured").rglob("events.ndjson"))
    differing = sum(_differences(folder, run, capture) for run in _RUNS for capture in captures)
    found = f"{differing} lines differ" if differing else "every line is the same"
    sys.stdout.write(f"{len(captures)} captures, {len(_RUNS)} runs each, compiled and interpreted: {found}\n")
    return 1 if differing else 0


def _differences(folder: Path, run: tuple[str, ...], capture: str) -> int:
    """How many lines differ; the first of them are shown on standard error."""
    compiled, interpreted = (_python(where, _START, *run, capture) for where in (folder, _ROOT))
    lines = list(zip_longest(_lines(compiled), _lines(interpreted)))
    differing = [(number, one, other) for number, (one, other) in enumerate(lines, 1) if one != other]
    for number, one, other in differing[:_SHOWN_MAX]:
        sys.stderr.write(f"{capture}, {' '.join(run)}, line {number}:\n  compiled    {one}\n  interpreted {other}\n")
    if not any(one is not None for one, _ in lines):
        sys.stderr.write(f"{capture}, {' '.join(run)}: nothing came out\n")
        return 1
    return len(differing)


def _lines(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [*done.stdout.splitlines(), *done.stderr.splitlines(), f"exit status {done.returncode}"]


def _python(where: Path, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-c", code, *arguments]
    environment = {**os.environ, "PYTHONPATH": str(where), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, env=environment, cwd=where, check=False, capture_output=True, text=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
