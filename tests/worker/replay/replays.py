"""The verb `replay` for tests: arguments in; output, error lines and exit status out."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from tests.handlers.wire_events import CAPTURED, Json
from worker.cli.main import run

CONVERSATION_2022, ITEM_2022 = "621fc1d36a39b4aa389cb72b", "621fc1d5cb4ca800935aa935"
AGENT_2022, QUEUE_2022 = "61a6a83fdf1e2d21501a77c1", "5dea5f45c6a646001a621475"
CONVERSATION_2021, ITEM_2021 = "60277f53d72347298d9446cb", "60277f56264a9600131673d4"
QUEUE_2021 = "5f43ed5c06d0c00019b37463"


def incident(name: str) -> str:
    """The path of a captured incident."""
    return str(CAPTURED / name / "events.ndjson")


class Replayed(Struct, frozen=True, kw_only=True):
    """A replay's output, parsed on demand."""

    status: int
    out: str
    err: list[str]

    @property
    def lines(self) -> list[Json]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def audits(self) -> list[Json]:
        return [line for line in self.lines if "msg" in line]

    @property
    def final(self) -> Json:
        final: Json = self.lines[-1]["final"]
        return final

    @property
    def explored(self) -> list[Json]:
        return [line["explore"] for line in self.lines]


class Runner:
    """Runs the verb in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
        self._capsys = capsys
        self.folder = folder

    def __call__(self, *arguments: str) -> Replayed:
        status = run(["replay", *arguments])
        printed = self._capsys.readouterr()
        return Replayed(status=status, out=printed.out, err=printed.err.splitlines())

    def file(self, values: Iterable[Any], name: str = "capture.ndjson") -> str:
        """The path of a new capture with these values, one a line."""
        path = self.folder / name
        path.write_text("".join(json.dumps(value) + "\n" for value in values))
        return str(path)


@pytest.fixture
def replay(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Runner:
    return Runner(capsys, tmp_path)
