"""A listener for the workers' metrics, in the place of the Datadog agent: sums of counts, maxima of gauges."""

import socket
import threading
from collections import Counter
from typing import Self

from worker.telemetry.metrics import Metric


class StatsdListener:
    """Listens while `with` lasts: on a UDP address, by default on a free port, or on the path of a Unix socket."""

    def __init__(self, address: tuple[str, int] | str = ("127.0.0.1", 0)) -> None:
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self._socket.settimeout(0.2)
        self.port: int = 0 if isinstance(address, str) else self._socket.getsockname()[1]
        self.counts: Counter[str] = Counter()
        self.maxima: dict[str, float] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def count(self, metric: Metric) -> int:
        """The sum of a count over all tags and workers."""
        return self.counts[metric.value]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._socket.close()

    def _listen(self) -> None:
        while not self._ended.is_set():
            try:
                packet = self._socket.recv(65_536)
            except TimeoutError:
                continue
            for line in packet.decode().splitlines():
                self._count(line)

    def _count(self, line: str) -> None:
        name, _, rest = line.partition(":")
        value, _, kind = rest.partition("|")
        if kind.startswith("c"):
            self.counts[name] += int(float(value))
        elif kind.startswith("g"):
            self.maxima[name] = max(self.maxima.get(name, 0.0), float(value))
