"""The stand-in as a process of its own, and the side door through which the bench fills and watches it."""

import http.client
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
from msgspec import Struct

from server_process import ROOT, ServerProcess, port_taken

_CHUNK: Final = 500
_ASKED_AGAIN_S: Final = 2


class Drained(Struct, frozen=True, kw_only=True):
    """A queue that was emptied: how long it took, what was announced, the calls by action."""

    wall_s: float
    published: int
    calls: Mapping[str, int]


class BenchEndpoint(ServerProcess):
    """The stand-in on a port of its own. `latency_ms` is what every call to SQS takes at least."""

    name = "bench-endpoint"

    def __init__(self, *, latency_ms: float = 0) -> None:
        """Not started yet."""
        super().__init__()
        self._latency_ms = latency_ms

    @property
    def url(self) -> str:
        """The address of SQS and SNS."""
        return f"http://127.0.0.1:{self.port}"

    def stage(self, queue: str, bodies: Sequence[str]) -> None:
        """Put messages behind the curtain."""
        for start in range(0, len(bodies), _CHUNK):
            self._ask(queue, "stage", orjson.dumps(bodies[start : start + _CHUNK]))

    def release(self, queue: str) -> None:
        """Let the consumer see them, all at once."""
        self._ask(queue, "release")

    def drained(self, queue: str, *, published: int) -> Drained:
        """Wait for two seconds until all are deleted and so many events are published; else TimeoutError."""
        return Drained(**self._ask(queue, f"done?published={published}"))

    def polled(self, queue: str, *, pollers: int) -> None:
        """Wait for two seconds until so many receivers wait for messages; else TimeoutError."""
        self._ask(queue, f"polled?pollers={pollers}")

    def drop(self, queue: str) -> None:
        """Forget a queue with its messages."""
        self._ask(queue, "drop")

    def _ask(self, queue: str, action: str, body: bytes = b"") -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_ASKED_AGAIN_S)
        try:
            connection.request("POST", f"/bench/{queue}/{action}", body)
            return orjson.loads(connection.getresponse().read())
        finally:
            connection.close()

    def _command(self) -> Sequence[str]:
        arguments = ("--port", str(self.port), "--latency-ms", str(self._latency_ms))
        return [sys.executable, "-m", "tests.bench.endpoint.server", *arguments]

    def _environment(self) -> Mapping[str, str]:
        return {"PYTHONPATH": str(ROOT)}

    def _answers(self) -> bool:
        return port_taken(self.port)
