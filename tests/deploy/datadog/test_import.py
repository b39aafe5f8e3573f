"""The commands of docs/deploy.md that import into Datadog, run as they stand, against a server that takes all."""

import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import pytest

from server_process import ROOT

pytestmark = pytest.mark.thorough

FOLDER: Final = ROOT / "deploy" / "datadog"
API: Final = "https://api.datadoghq.com"
KEYS: Final = {"DD_API_KEY": "an-api-key", "DD_APP_KEY": "an-application-key"}


class Datadog(ThreadingHTTPServer):
    """Keeps every request: method and path, and the body."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.taken: list[tuple[str, Any]] = []


class _Handler(BaseHTTPRequestHandler):
    server: Datadog

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        allowed = (self.headers["DD-API-KEY"], self.headers["DD-APPLICATION-KEY"]) == tuple(KEYS.values())
        if allowed and self.headers["Content-Type"] == "application/json":
            self.server.taken.append((f"{self.command} {self.path}", json.loads(body)))
        self.send_response(200 if allowed else 403)
        self.end_headers()

    def do_PUT(self) -> None:
        self.do_POST()

    def log_message(self, *_: object) -> None:
        """Nothing: standard error is the test's."""


@pytest.fixture
def datadog() -> Iterator[Datadog]:
    with Datadog() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def _loaded(path: Path) -> Any:
    return json.loads(path.read_text())


def test_the_pages_commands_import_every_file(datadog: Datadog) -> None:
    for tool in ("curl", "jq"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    (block,) = re.findall(r"```\n(datadog=.*?)```", (ROOT / "docs" / "deploy.md").read_text(), re.DOTALL)
    assert API in block
    script = block.replace(API, f"http://127.0.0.1:{datadog.server_port}")
    environment = {**os.environ, **KEYS, "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    metadata = _loaded(FOLDER / "metric-metadata.json")
    assert datadog.taken == [
        ("POST /api/v1/dashboard", _loaded(FOLDER / "dashboard.json")),
        *(("POST /api/v1/monitor", _loaded(path)) for path in sorted((FOLDER / "monitors").glob("*.json"))),
        ("POST /api/v1/logs/config/pipelines", _loaded(FOLDER / "log-pipeline.json")),
        *((f"PUT /api/v1/metrics/{each['metric']}", each["metadata"]) for each in metadata),
    ]
    assert len(datadog.taken) > 60
