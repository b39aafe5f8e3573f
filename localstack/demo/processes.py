"""The processes of the demo: `routing-sync run` and `routing-sync serve`, each with its log. They end with the demo."""

import contextlib
import hashlib
import http.client
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar

from msgspec import Struct

from server_process import Watchdog, signals_later

COMMAND = str(Path(sys.executable).parent / "routing-sync")
STARTED_WITHIN_S = 60
POLL_S = 0.05
WORKER_SETTINGS: Mapping[str, str] = {"HTTP_PORT": "0"}
"""Beside those of the installation: a free port for its probes."""
_ANSWERED_WITHIN_S = 15
_STOPPED_WITHIN_S = 30

Record = dict[str, Any]


class DemoError(Exception):
    """The demo cannot go on; one line."""


class VerbProcess:
    """A process of `routing-sync` and what it has logged. If the demo dies, even by SIGKILL, it dies too."""

    verb: ClassVar[str]
    started_line: ClassVar[str]

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self.started = False
        self._stopping = False
        self._log = log
        self._read_bytes = 0
        with log.open("wb") as output, signals_later():
            self._process = subprocess.Popen(
                [COMMAND, self.verb],
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # A process group of its own: Ctrl-C reaches the demo alone, which then ends this process.
                start_new_session=True,
            )
            self._watchdog = Watchdog(self._process.pid)

    def read_log(self) -> None:
        """Take in the lines written since the last call; raises `DemoError` if the process has ended."""
        with self._log.open("rb") as lines:
            lines.seek(self._read_bytes)
            for line in lines:
                if not line.endswith(b"\n"):
                    break
                self._read_bytes += len(line)
                record = json.loads(line) if line.startswith(b"{") else {}
                self.started |= record.get("msg") == self.started_line
                self._take(record)
        if self._process.poll() is not None:
            last = self._log.read_text().strip().splitlines()[-1:]
            raise DemoError(
                f"`routing-sync {self.verb}` ended with status {self._process.returncode}: {''.join(last)[:400]}"
            )

    def wait_until_started(self) -> None:
        """Wait until the process can work; raises `DemoError` after `STARTED_WITHIN_S`."""
        deadline = time.monotonic() + STARTED_WITHIN_S
        self.read_log()
        while not self.started:
            if time.monotonic() > deadline:
                late = f"did not start within {STARTED_WITHIN_S} s: try again on an idle machine"
                raise DemoError(f"`routing-sync {self.verb}` {late}")
            time.sleep(POLL_S)
            self.read_log()

    def stop(self) -> None:
        """SIGTERM, once, without waiting for the end: a second one would end it at once."""
        if not self._stopping:
            self._stopping = True
            self._process.send_signal(signal.SIGTERM)

    def status(self) -> int | None:
        """The exit status, once the process has ended; None if it does not end."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(timeout=_STOPPED_WITHIN_S)
        return None

    def close(self) -> None:
        """Kill the process if it still runs."""
        self._process.kill()
        self._process.wait()
        self._watchdog.dismiss()

    def _take(self, record: Record) -> None:
        """Take in one line of the log."""


class DemoWorker(VerbProcess):
    """A `routing-sync run` process, and the audit lines that it has logged."""

    verb = "run"
    started_line = "worker started"

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self.audits: list[Record] = []
        super().__init__({**environment, **WORKER_SETTINGS}, log)

    def _take(self, record: Record) -> None:
        if record.get("msg") == "CONVERSATION_SYNC_AUDIT":
            self.audits.append(record)


class ApiClient(StrEnum):
    """A client of the API, named for the role of its token."""

    READ = "read"
    WRITE = "write"
    ROUTER = "router"


class HttpAnswer(Struct, frozen=True):
    """A status, and the body."""

    status: int
    text: str

    @property
    def data(self) -> Any:
        """The body's `data`; raises `DemoError` where it is none."""
        try:
            return json.loads(self.text)["data"]
        except (ValueError, TypeError, KeyError) as error:
            raise DemoError(f"the API answered {self.status}: {self.text[:300]}") from error


def api_settings(tokens: Mapping[ApiClient, str]) -> dict[str, str]:
    """The API's own settings: loopback, a free port, and the digest of each client's token."""
    digests = {client: hashlib.sha256(token.encode()).hexdigest() for client, token in tokens.items()}
    return {
        "API_HOST": "127.0.0.1",
        "API_PORT": "0",
        "API_TOKENS": ",".join(f"{client}:{client}:{digest}" for client, digest in digests.items()),
    }


class Api(VerbProcess):
    """A `routing-sync serve` process on loopback, and its clients, each with a token of its own."""

    verb = "serve"
    started_line = "API started"

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self.tokens = {client: secrets.token_hex(8) for client in ApiClient}
        self._port = 0
        super().__init__({**environment, **api_settings(self.tokens)}, log)

    @property
    def url(self) -> str:
        """Where it serves."""
        return f"http://127.0.0.1:{self._port}"

    def get(self, path: str) -> HttpAnswer:
        """An answer of the API, for the client that reads."""
        return self._ask("GET", path, authorization=f"Bearer {self.tokens[ApiClient.READ]}")

    def post(self, path: str, body: Any) -> HttpAnswer:
        """The answer to a query, for the client that reads."""
        return self._ask("POST", path, body, authorization=f"Bearer {self.tokens[ApiClient.READ]}")

    def put(self, work_item: str, update: Mapping[str, Any], *, client: ApiClient) -> HttpAnswer:
        """The answer to an update of a work-item."""
        token = self.tokens[client]
        return self._ask("PUT", f"/v1/routing/work-items/{work_item}", update, authorization=f"Bearer {token}")

    def page(self, path: str) -> HttpAnswer:
        """A page, as a browser asks for it: the token is the password."""
        name_and_password = b64encode(f"demo:{self.tokens[ApiClient.READ]}".encode()).decode()
        return self._ask("GET", path, authorization=f"Basic {name_and_password}")

    def _ask(self, method: str, path: str, body: Any = None, *, authorization: str) -> HttpAnswer:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_ANSWERED_WITHIN_S)
        headers = {"content-type": "application/json", "authorization": authorization}
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return HttpAnswer(answer.status, answer.read().decode())
        except (OSError, http.client.HTTPException) as error:
            raise DemoError(f"{method} {path}: the API does not answer: {error}") from error
        finally:
            connection.close()

    def _take(self, record: Record) -> None:
        if record.get("msg") == "API starting":
            self._port = record["apiPort"]
