"""The machine and the versions that figures were measured with, in one line."""

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

from mongod import find_mongod
from tests.bench.consumers.consumer import PEERS_BIN
from worker.telemetry.build import BUILD

_MODEL = re.compile(r"^model name\s*:\s*(.+)$", re.MULTILINE)


def machine() -> str:
    """Cores, load average, kernel, and the versions of Python, MongoDB and the main libraries."""
    model = _MODEL.search(Path("/proc/cpuinfo").read_text())
    versions = ", ".join(
        f"{name} {version(name)}" for name in ("aiobotocore", "aiohttp", "orjson", "pydantic", "pymongo")
    )
    load = " ".join(f"{each:.1f}" for each in os.getloadavg())
    parts = [
        f"{os.cpu_count()} cores ({model[1] if model else platform.machine()}), load {load}",
        f"Linux {platform.release()}",
        f"Python {platform.python_version()}",
        f"the decisions {BUILD}",
        f"MongoDB {_version_of(find_mongod())}",
        versions,
    ]
    if (PEERS_BIN / "python").exists():
        parts.append(f"the peers on Python {_version_of(str(PEERS_BIN / 'python'))}")
    return "; ".join(parts)


def _version_of(program: str) -> str:
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"\d+\.\d+\.\d+", done.stdout)
    return found[0] if found else "?"
