"""The suite finds what single cases need, where `make setup` installs it."""

import platform
import sys

import pytest

from tests.faults.services.fake_clock import clock_library
from tests.faults.services.machine import lacking

SHIPPED = sys.platform == "linux" and platform.machine() == "x86_64"


@pytest.mark.skipif(not SHIPPED, reason="libfaketime's package is for Linux on x86-64")
def test_the_clock_library_is_installed() -> None:
    assert clock_library() is not None
    assert lacking("libfaketime") is None
