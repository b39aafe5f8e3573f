"""No room outside `worker/aws` and `worker/mongo` loads their libraries.

Each case imports its modules in a fresh interpreter and looks at what that loaded. import-linter checks the import
statements; this test checks their outcome.
"""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.thorough

ROOT = Path(__file__).parents[2]
AWS = ("aiobotocore", "botocore")
MONGO = ("bson", "pymongo")
ROOMS = ("consumer", "letters", "outbox", "ports", "runtime", "settings", "store", "sweeps", "telemetry")
FILES = ("captures", "errors", "pipeline")

SCRIPT = """
import importlib, sys
modules, libraries = sys.argv[1].split(","), sys.argv[2].split(",")
for module in modules:
    importlib.import_module(module)
    loaded = [library for library in libraries if library in sys.modules]
    if loaded:
        sys.exit(f"{module} loads {', '.join(loaded)}")
"""


def modules_of(*rooms: str) -> list[str]:
    assert all((ROOT / "worker" / room).is_dir() for room in rooms)
    files = [file for room in rooms for file in sorted((ROOT / "worker" / room).rglob("*.py"))]
    return [".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files if file.name != "__init__.py"]


@pytest.mark.parametrize(
    ("modules", "libraries"),
    [
        ([*(f"worker.{file}" for file in FILES), *modules_of(*ROOMS)], AWS + MONGO),
        ([*modules_of("replay"), "worker.cli.input_files.replay", "worker.cli.input_files.decide"], AWS + MONGO),
        ([*modules_of("aws"), "worker.cli.input_files.publish", "worker.cli.provision"], MONGO),
        (modules_of("mongo"), AWS),
    ],
    ids=["rooms", "replay", "aws", "mongo"],
)
def test_a_room_loads_no_library_of_an_adapter_that_it_is_not(modules: list[str], libraries: tuple[str, ...]) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, ",".join(modules), ",".join(libraries)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr
