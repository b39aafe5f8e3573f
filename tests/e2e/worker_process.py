"""The worker as a process: started as the container starts it, watched by its log, stopped or killed."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

COMMAND = str(Path(sys.executable).parent / "routing-sync")
POLL_S = 0.05


def wait_until(holds: Callable[[], bool], *, within_s: float, what: Callable[[], str]) -> None:
    """Wait until `holds`; after `within_s` fail with the message `what`."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, f"not within {within_s} s: {what()}"
        # The worker is another process on real servers: its clock cannot be injected.
        time.sleep(POLL_S)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class ChildProcess(Protocol):
    """The part of `subprocess.Popen` that `WorkerProcess` uses."""

    pid: int

    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, sig: int, /) -> None: ...
    def kill(self) -> None: ...


class WorkerProcess:
    """One worker; its log is kept in `folder`."""

    VERB = "run"
    PORT = "HTTP_PORT"

    def __init__(self, environment: Mapping[str, str], folder: Path, name: str) -> None:
        self.log = folder / f"{name}.log"
        self.http_port = free_port()
        self.process = self._start({**environment, self.PORT: str(self.http_port)})

    def _start(self, environment: Mapping[str, str]) -> ChildProcess:
        with self.log.open("wb") as out:
            return subprocess.Popen(
                [COMMAND, self.VERB],
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    def lines(self) -> list[dict[str, Any]]:
        """The log's lines so far, without a last line that a kill has cut off."""
        whole = self.log.read_bytes().rpartition(b"\n")[0].splitlines()
        return [json.loads(line) for line in whole if line.startswith(b"{")]

    def audits(self) -> list[dict[str, Any]]:
        """The audit records of events, without those of the gap poll."""
        return [line for line in self.lines() if line["msg"] == "CONVERSATION_SYNC_AUDIT" and line["event"] is not None]

    def says(self, message: str) -> bool:
        return any(line["msg"] == message for line in self.lines())

    def ready(self) -> bool:
        return self.http("/readyz")[0] == 200

    def http(self, path: str) -> tuple[int, dict[str, Any]]:
        """Status and body of a GET; status 0 where no server listens."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}{path}", timeout=5) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code, json.loads(refusal.read())
        except OSError:
            return 0, {}

    def wait_ready(self) -> None:
        wait_until(self.ready, within_s=90, what=lambda: f"the worker is ready: {self.log.read_text()[-2000:]}")

    def terminate(self, *, within_s: float = 40) -> tuple[int, float]:
        """Send SIGTERM; returns the exit status and the seconds until the exit."""
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout=within_s)
        return status, time.monotonic() - begun

    def kill(self) -> None:
        """Send SIGKILL, and wait."""
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        if self.process.poll() is None:
            self.kill()
