"""The mark of tests that hold the source itself, and so have nothing to look at in a compiled build."""

from typing import Final

import pytest

from worker.telemetry.build import BUILD

OF_THE_SOURCE: Final = pytest.mark.skipif(
    BUILD == "compiled", reason="of the source: a compiled module has no docstring"
)
