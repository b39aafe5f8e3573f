"""The stand-in as a process of its own, and the client of its control interface."""

import http.client
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
from msgspec import Struct

from server_process import ROOT, ServerProcess, port_taken

_CHUNK: Final = 500
_ANSWER_WITHIN_S: Final = 2


class Drained(Struct, frozen=True, kw_only=True):
    """An emptied queue: seconds since the release, number of published events, number of calls by action."""

    wall_s: float
    published: int
    calls: Mapping[str, int]


class BenchEndpoint(ServerProcess):
    """The stand-in on a free port. `latency_ms`: the minimum duration of a call to SQS."""

    name = "bench-endpoint"

    def __init__(self, *, latency_ms: float = 0) -> None:
        """`with` starts it."""
        super().__init__()
        self._latency_ms = latency_ms

    @property
    def url(self) -> str:
        """The endpoint of SQS and of SNS."""
        return f"http://127.0.0.1:{self.port}"

    def stage(self, queue: str, bodies: Sequence[str]) -> None:
        """Adds messages that stay invisible until `release`."""
        for start in range(0, len(bodies), _CHUNK):
            self._call(queue, "stage", orjson.dumps(bodies[start : start + _CHUNK]))

    def release(self, queue: str, *, per_s: float | None = None) -> None:
        """Makes all staged messages visible, at once or so many a second; starts the clock and the counters."""
        self._call(queue, "release" if per_s is None else f"release?per_s={per_s}")

    def drained(self, queue: str, *, published: int) -> Drained:
        """Waits until all messages are deleted and `published` events published. Raises TimeoutError after 2 s."""
        return Drained(**self._call(queue, f"done?published={published}"))

    def polled(self, queue: str, *, pollers: int) -> None:
        """Waits until `pollers` receivers wait for messages. Raises TimeoutError after 2 s."""
        self._call(queue, f"polled?pollers={pollers}")

    def drop(self, queue: str) -> None:
        """Removes a queue with its messages."""
        self._call(queue, "drop")

    def _call(self, queue: str, action: str, body: bytes = b"") -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_ANSWER_WITHIN_S)
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
