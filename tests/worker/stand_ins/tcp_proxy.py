"""A TCP proxy that can lose answers: it forwards the request and closes the connection before the answer."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from tests.worker.stand_ins.tcp_server import TcpServer


class TcpProxy(TcpServer):
    """A proxy of one local port."""

    def __init__(self, target_port: int) -> None:
        super().__init__()
        self._target_port = target_port
        self._word: bytes | None = None
        self._losses = 0
        self.lost = 0

    def lose_answers(self, word: bytes, times: int = 1_000_000) -> None:
        """Lose the answers to the next `times` requests that contain `word`."""
        self._word, self._losses = word, times

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):
            async with self._closing(writer):
                there, back = await asyncio.open_connection("127.0.0.1", self._target_port)
                async with self._closing(back):
                    await self._carry(reader, writer, there, back)

    async def _carry(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        there: asyncio.StreamReader,
        back: asyncio.StreamWriter,
    ) -> None:
        """Forward both ways until one side closes or an answer must be lost."""
        losing = asyncio.Event()

        async def requests() -> None:
            while data := await reader.read(65536):
                if self._word is not None and self._losses > 0 and self._word in data:
                    self._losses -= 1
                    losing.set()
                back.write(data)

        async def answers() -> None:
            while data := await there.read(65536):
                if losing.is_set():
                    self.lost += 1
                    return
                writer.write(data)

        ways = [asyncio.create_task(requests()), asyncio.create_task(answers())]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for rollout in ways:
                rollout.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    @contextlib.asynccontextmanager
    async def _closing(self, writer: asyncio.StreamWriter) -> AsyncIterator[None]:
        try:
            yield
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
