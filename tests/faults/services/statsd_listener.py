"""A UDP listener for the workers' metrics, in the place of the Datadog agent: sums of counts, maxima of gauges."""

import socket
import threading
from collections import Counter
from typing import Self

from worker.telemetry.metrics import Metric


class StatsdListener:
    """Listens on a free UDP port while `with` lasts. Workers get it as STATSD_PORT."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.2)
        self.port: int = self._socket.getsockname()[1]
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
