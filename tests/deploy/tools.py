"""Command line tools that come as packages."""

import sys
from pathlib import Path

import pytest


def tool(name: str) -> Path:
    """The tool beside this Python. Skips the test where it is not packaged: elsewhere than on Linux on x86-64."""
    path = Path(sys.executable).with_name(name)
    if not path.exists():
        pytest.skip(f"{name} is packaged for Linux on x86-64 alone")
    return path
