"""The suite finds what single cases need, where `make setup` installs it."""

import os
import platform
import shutil
import sys

import pytest

from tests.faults.services.clock_offset import clock_library
from tests.faults.services.machine import lacking

SHIPPED = sys.platform == "linux" and platform.machine() == "x86_64"


@pytest.mark.skipif(not SHIPPED, reason="libfaketime's package is for Linux on x86-64")
def test_the_clock_library_is_installed() -> None:
    assert clock_library() is not None
    assert lacking("libfaketime") is None


@pytest.mark.skipif(not SHIPPED, reason="mount namespaces are Linux's")
def test_an_own_name_server_is_refused_with_the_reason_where_it_cannot_be_had() -> None:
    reason = lacking("own name server")
    if reason is None:
        assert os.geteuid() == 0
        assert shutil.which("unshare") is not None
    else:
        assert "unshare" in reason or "name server" in reason
