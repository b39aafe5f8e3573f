"""The verb `import` for tests: sources in; events, report and exit status out."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from msgspec import Struct

from tests.handlers.wire_events import Json
from worker.cli.main import run

EXPORTS: Final = Path(__file__).parents[3] / "fixtures" / "exports"


class Imported(Struct, frozen=True, kw_only=True):
    """What an import wrote, and what it reported."""

    status: int
    output: bytes | None
    report: list[Json]
    err: list[str]

    @property
    def lines(self) -> list[bytes]:
        return [] if self.output is None else self.output.splitlines()

    @property
    def events(self) -> list[Json]:
        return [json.loads(line) for line in self.lines]

    @property
    def counts(self) -> Json:
        (counts,) = self.told("import")
        return counts

    def told(self, kind: str) -> list[Json]:
        return [line[kind] for line in self.report if kind in line]


class ImportRunner:
    """Runs the verb in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
        self._capsys = capsys
        self.folder = folder

    def __call__(self, *arguments: str, redact: bool = False) -> Imported:
        output = self.folder / "events.ndjson"
        output.unlink(missing_ok=True)
        keep = [] if redact else ["--keep-personal-data"]
        status = run(["import", "--json", *keep, "-o", str(output), *arguments])
        printed = self._capsys.readouterr()
        return Imported(
            status=status,
            output=output.read_bytes() if output.exists() else None,
            report=[json.loads(line) for line in printed.out.splitlines()],
            err=printed.err.splitlines(),
        )

    def text(self, text: str | bytes, *arguments: str, name: str = "capture.log", redact: bool = False) -> Imported:
        """Import one source of this text."""
        return self(*arguments, self.file(text, name), redact=redact)

    def file(self, text: str | bytes, name: str = "capture.log") -> str:
        path = self.folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)


def one_line(value: Mapping[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


@pytest.fixture
def importing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> ImportRunner:
    return ImportRunner(capsys, tmp_path)
