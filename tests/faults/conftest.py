"""Servers, runs and the final table of the fault suite (`make faults`). Settings: `FAULT_SEED`, `FAULT_KILLS`."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

from localstack_server import LocalStack
from mongod import Mongod
from tests.e2e.stage import staged_on
from tests.faults.fault_run import FaultRun, fault_run
from tests.faults.proxies.aws_proxy import AwsProxy
from tests.faults.services.machine import lacking

RECEIVE_COUNT_MAX = 1_000
"""High enough that SQS itself dead-letters no message, however often a worker is killed."""

# The driver of the load leaves a socket open when it is cancelled while it connects.
_DRIVER_WARNINGS = (
    "ignore:unclosed <socket:ResourceWarning",
    "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning",
    "ignore:unclosed transport <_SelectorSocketTransport:ResourceWarning",
    "ignore:Exception ignored in. <function _SelectorTransport.__del__:pytest.PytestUnraisableExceptionWarning",
)

_PARTS = {"test_aws_proxy.py", "test_day_counts.py", "test_expected_ends.py", "test_machine.py", "test_soak_parts.py"}
"""Tests of the suite's own parts, which belong to the quick tests and the thorough ones."""
_RUNS = pytest.StashKey[list[FaultRun]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_RUNS] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents and item.path.name not in _PARTS:
            item.add_marker(pytest.mark.faults)
            for warning in _DRIVER_WARNINGS:
                item.add_marker(pytest.mark.filterwarnings(warning))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Says which cases cannot run on this machine, and why, before the first one begins."""
    for item in session.items:
        for marker in item.iter_markers("needs"):
            reason = lacking(marker.args[0])
            if reason is not None:
                item.add_marker(pytest.mark.skip(reason=reason))
                _write_line(session.config, f"{item.name} cannot run here: {reason}")


def _write_line(config: pytest.Config, line: str) -> None:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        reporter.write_line(line, yellow=True)


def pytest_terminal_summary(config: pytest.Config) -> None:
    runs = config.stash[_RUNS]
    if not runs:
        return
    rows = [run.row() for run in runs]
    table = Table(title="faults")
    for column in rows[0]:
        table.add_column(column)
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    Console(width=200).print(table)


@pytest.fixture(scope="session")
def seed() -> int:
    return int(os.environ.get("FAULT_SEED", "1"))


@pytest.fixture(scope="session")
def kills() -> int:
    return int(os.environ.get("FAULT_KILLS", "40"))


@pytest.fixture(scope="session")
def localstack() -> Iterator[LocalStack]:
    with LocalStack() as server:
        yield server


@pytest.fixture
def run_on(
    localstack: LocalStack, tmp_path: Path, seed: int, request: pytest.FixtureRequest
) -> Iterator[Callable[..., FaultRun]]:
    """A function that begins a run on the MongoDB at a URI."""
    with ExitStack() as stack:

        def begin(uri: str, *, fifo: bool = False, **options: Any) -> FaultRun:
            aws, most = localstack.environment, RECEIVE_COUNT_MAX
            staged = staged_on(aws, uri, tmp_path, name="fault", receive_count_max=most, fifo=fifo)
            stage = stack.enter_context(staged)
            name = request.node.name.removeprefix("test_").replace("_", " ")
            run = stack.enter_context(fault_run(stage, uri=uri, name=name, seed=seed, **options))
            request.config.stash[_RUNS].append(run)
            return run

        yield begin


@pytest.fixture
def run(run_on: Callable[..., FaultRun], mongod: Mongod) -> FaultRun:
    """A run on the session's MongoDB."""
    return run_on(mongod.uri)


@pytest.fixture
def proxy(run: FaultRun, localstack: LocalStack, seed: int) -> Iterator[AwsProxy]:
    """A proxy between the workers of this run and SQS and SNS. The load does not use it."""
    with AwsProxy(localstack.endpoint, seed=seed) as between:
        run.stage.variables |= {
            "AWS_ENDPOINT_URL_SQS": between.url,
            "AWS_ENDPOINT_URL_SNS": between.url,
            "CALL_RETRY_MAX_SECONDS": "1",
        }
        yield between
