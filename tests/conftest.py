"""What every suite may ask for."""

import gc
import logging
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest
from hypothesis import settings

from mongod import Mongod
from moto_server import MotoServer

_HERE = Path(__file__).parent

# `HYPOTHESIS_PROFILE=deep pytest tests/commands/test_properties.py`: thousands of sequences. A test that sets its own
# number of examples keeps it.
settings.register_profile("quick", deadline=None, max_examples=40)
settings.register_profile("deep", deadline=None, max_examples=5_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


_ADDRESS: Final = re.compile(r" at 0x[0-9a-f]+>")
_OF_ONE_MARK: Final = ("browser", "e2e")
"""The folders of which every test has the mark of the folder's name (tests/test_marks.py)."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Whether the path is a folder without a test for this run: reading it costs a second in every process."""
    ignored = {_HERE / mark for mark in _OF_ONE_MARK if f"not {mark}" in config.option.markexpr}
    return True if collection_path in ignored else None


def pytest_collection() -> None:
    """What is collected is no garbage: it is not looked for meanwhile."""
    gc.disable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of two processes the first begins at the start, the second in the middle, and whoever is done takes over from the
    end. So what needs servers begins in the middle: one process alone starts them.

    A set's order and an object's address differ from process to process: an identifier of them would, too, and the
    processes would not agree on what they share."""
    for item in items:
        for value in item.callspec.params.values() if hasattr(item, "callspec") else ():
            if isinstance(value, set | frozenset) and len(value) > 1 and str(value) in item.nodeid:
                raise pytest.UsageError(f"{item.nodeid}: its identifier has a set in it: name the case by `ids`")
        if _ADDRESS.search(item.nodeid):
            raise pytest.UsageError(f"{item.nodeid}: its identifier has an address in it: name the case by `ids`")
    served = [item for item in items if item.path.relative_to(_HERE).parts[0] in ("faults", "worker")]
    others = [item for item in items if item.path.relative_to(_HERE).parts[0] not in ("faults", "worker")]
    middle = len(items) // 2
    items[:] = [*others[:middle], *served, *others[middle:]]


def pytest_collection_finish() -> None:
    """What was collected stays to the end: whoever looks for garbage need not look through half a million objects."""
    gc.collect()
    gc.freeze()
    gc.enable()


class _StrictHandler(logging.Handler):
    """Fails where a log line's arguments do not fit its text. It also keeps the lines of libraries off standard error,
    where Python writes them while no handler is there."""

    def emit(self, record: logging.LogRecord) -> None:
        record.getMessage()


@pytest.fixture(scope="session", autouse=True)
def _strict_logging() -> None:
    logging.getLogger().addHandler(_StrictHandler())


_IN_MEMORY: Final = Path("/dev/shm")
_ROOM_BYTES: Final = 4 * 1_073_741_824
"""A mongod of the quick tests takes some hundred megabytes, and several run side by side."""


class _TestableMongod(Mongod):
    """With fail points, through which a test makes the server fail a command. It looks for expired documents often.

    Its files are in memory where there is room: most tests take a database of their own, and making its collections and
    indexes is mostly waiting for the disk.
    """

    def _parent_of_temporary_data(self) -> Path | None:
        usable = os.access(_IN_MEMORY, os.W_OK) and shutil.disk_usage(_IN_MEMORY).free > _ROOM_BYTES
        return _IN_MEMORY if usable else None

    def _command(self) -> Sequence[str]:
        parameters = ("enableTestCommands=1", "ttlMonitorSleepSecs=1")
        return [*super()._command(), *(part for each in parameters for part in ("--setParameter", each))]


@pytest.fixture(scope="session")
def mongod() -> Iterator[Mongod]:
    """A real MongoDB, one for the whole session."""
    with _TestableMongod() as server:
        yield server


@pytest.fixture(scope="session")
def moto() -> Iterator[MotoServer]:
    """SNS and SQS, one for the whole session: a test takes queues and topics of its own."""
    with MotoServer() as server:
        yield server
