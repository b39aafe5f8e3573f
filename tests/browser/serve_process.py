"""`routing-sync serve` as a process, with its log."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

_COMMAND: Final = str(Path(sys.executable).parent / "routing-sync")


class ServeProcess:
    """One process, from its start until it has stopped."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._lines: list[dict[str, Any]] = []
        self._reading: asyncio.Task[None] | None = None

    @classmethod
    async def started(cls, environment: Mapping[str, str]) -> Self:
        """The process once it serves and MongoDB was found fit."""
        child = await asyncio.create_subprocess_exec(
            _COMMAND,
            "serve",
            env={**os.environ, "API_PORT": "0", **environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
        )
        process = cls(child)
        async with asyncio.timeout(60):
            while not process._logged("API started"):
                line = await process._line()
                assert line, f"it ended before it served: {process._lines[-3:]}"
        # The log's pipe must not fill up.
        process._reading = asyncio.ensure_future(process._read_on())
        return process

    @property
    def url(self) -> str:
        (starting,) = self._logged("API starting")
        return f"http://127.0.0.1:{starting['apiPort']}"

    async def stop(self) -> int:
        """Ask it to stop; returns its exit status, or -9 if it did not stop within its time."""
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(30):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
        status = await self._process.wait()
        if self._reading is not None:
            await self._reading
        return status

    def _logged(self, message: str) -> list[dict[str, Any]]:
        return [line for line in self._lines if line["msg"] == message]

    async def _line(self) -> bytes:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if line:
            self._lines.append(json.loads(line))
        return line

    async def _read_on(self) -> None:
        while await self._line():
            pass
