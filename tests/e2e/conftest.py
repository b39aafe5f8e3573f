"""LocalStack and a real MongoDB for the whole suite; queues, topics and a database for each test."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from localstack_server import LocalStack
from mongod import Mongod
from tests.e2e.stage import Stage, staged_on


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def localstack() -> Iterator[LocalStack]:
    with LocalStack() as server:
        yield server


@pytest.fixture(scope="session")
def mongod() -> Iterator[Mongod]:
    with Mongod() as server:
        yield server


@pytest.fixture
def stage(localstack: LocalStack, mongod: Mongod, tmp_path: Path) -> Iterator[Stage]:
    """Queues, topics and a database of the test's own, on the suite's servers."""
    with staged_on(localstack.environment, mongod.uri, tmp_path) as stage:
        yield stage


@pytest.fixture
def staged(localstack: LocalStack, tmp_path: Path) -> Callable[[str], AbstractContextManager[Stage]]:
    """Makes a stage on a MongoDB of the test's own, by its URI."""
    return lambda uri: staged_on(localstack.environment, uri, tmp_path)
