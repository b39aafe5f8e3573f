"""A name server that is silent, then answers, then answers another address; and workers that ask it and no other.

A worker sees it by a mount namespace of its own, in which /etc/resolv.conf is another file. That needs root.
"""

import os
import socket
import struct
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from tests.e2e.worker_process import COMMAND, WorkerProcess

_HOST = "127.9.9.53"
_TYPE_A = 1
_TTL_S = 1


class SystemNameServer:
    """Listens while `with` lasts. `address` is its answer to every question; None: it does not answer."""

    def __init__(self) -> None:
        self.address: str | None = None
        self.questions = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((_HOST, 53))
        self._socket.settimeout(0.2)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while not self._ended.is_set():
            try:
                query, client = self._socket.recvfrom(512)
            except TimeoutError:
                continue
            self.questions += 1
            if self.address is not None:
                self._socket.sendto(_response(query, self.address), client)


def _response(query: bytes, address: str) -> bytes:
    """RFC 1035, section 4: the question again, and an address record where the question is for one."""
    end = query.index(0, 12) + 5
    question = query[12:end]
    (kind,) = struct.unpack("!H", question[-4:-2])
    answer = struct.pack("!HHHIH", 0xC00C, _TYPE_A, 1, _TTL_S, 4) + socket.inet_aton(address)
    answers = [answer] if kind == _TYPE_A else []
    return query[:2] + struct.pack("!HHHHH", 0x8180, 1, len(answers), 0, 0) + question + b"".join(answers)


class IsolatedWorker(WorkerProcess):
    """A worker whose names are looked up at the name server above."""

    def _start(self, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        resolver = self.log.with_suffix(".resolv.conf")
        resolver.write_text(f"nameserver {_HOST}\noptions timeout:2 attempts:2\n")
        with self.log.open("wb") as out:
            return subprocess.Popen(
                isolated(resolver, COMMAND, "run"),
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )


def isolated(resolver: Path, *command: str) -> list[str]:
    """The command line that executes `command` with `resolver` as its /etc/resolv.conf."""
    script = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", script, str(resolver), *command]
