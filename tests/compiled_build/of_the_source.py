"""The mark of tests that hold the source itself, or change it: a compiled build has none."""

from typing import Final

import pytest

from worker.telemetry.build import BUILD

OF_THE_SOURCE: Final = pytest.mark.skipif(
    BUILD == "compiled", reason="of the source, which a compiled build does not have"
)
