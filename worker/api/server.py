"""The server: uvicorn on sockets of ours, without its signal handlers and its log lines."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from worker.api.gate import App

_CONNECTIONS_MAX: Final = 800
"""Connections at the same time, which leaves file descriptors of the usual 1,024 to MongoDB and SNS. Beyond them the
one that has been idle for longest makes room; where all others are busy, that is the new one."""
_STALL_S: Final = 30.0
"""The time after which a client that reads nothing of its answer is left."""
_KEEP_ALIVE_S: Final = 65
"""Longer than the 60 s for which load balancers keep an idle connection, so that it is never closed under a request."""


class BoundedConnection(H11Protocol):
    """One connection. Neither a client that sends no request nor one that reads no answer keeps it from others: both
    would hold it for ever, and need no token for that."""

    def __init__(self, *args: Any, stall_s: float, is_stopping: Callable[[], bool], **options: Any) -> None:
        """`stall_s`: the time after which a client that reads nothing is left. `is_stopping`: whether the server has
        closed its idle connections. The rest is uvicorn's."""
        super().__init__(*args, **options)
        self.idle_since = self.loop.time()
        self._stall_s = stall_s
        self._is_stopping = is_stopping
        self._stalled: asyncio.TimerHandle | None = None

    @property
    def idle(self) -> bool:
        """Whether no request is under way."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, and close the one that has been idle for longest if there are too many."""
        super().connection_made(transport)
        if self._is_stopping():
            # It was accepted before the sockets were closed. Nobody else closes it, and the server would wait for it.
            self.shutdown()
            return
        open_ones = [each for each in self.connections if not each.transport.is_closing()]
        if self.limit_concurrency is not None and len(open_ones) >= self.limit_concurrency:
            idle = [each for each in open_ones if isinstance(each, BoundedConnection) and each.idle]
            min(idle, key=lambda each: each.idle_since).shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the connection."""
        self._end_stall()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Be idle again."""
        self.idle_since = self.loop.time()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """The client reads too slowly: the transport takes no more for now."""
        super().pause_writing()
        self._stalled = self.loop.call_later(self._stall_s, self.transport.abort)

    def resume_writing(self) -> None:
        """The client reads on."""
        self._end_stall()
        super().resume_writing()

    def _end_stall(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None


class ApiServer(uvicorn.Server):
    """One for the process: serves until `stop`."""

    def __init__(
        self, app: App, *, stop_within_s: float, connections_max: int = _CONNECTIONS_MAX, stall_s: float = _STALL_S
    ) -> None:
        """`stop_within_s`: the time that the requests under way have after `stop`; then they are cancelled."""
        self._is_stopping = False
        connection = partial(BoundedConnection, stall_s=stall_s, is_stopping=lambda: self._is_stopping)
        super().__init__(
            uvicorn.Config(
                app,
                http=connection,  # type: ignore[arg-type]
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                headers=[("x-content-type-options", "nosniff")],
                limit_concurrency=connections_max,
                timeout_keep_alive=_KEEP_ALIVE_S,
                timeout_graceful_shutdown=max(round(stop_within_s), 1),
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the process."""
        yield

    async def run_until_stopped(self, sockets: Sequence[socket.socket]) -> None:
        """Serve on the sockets until `stop`; closes them."""
        await self.serve(sockets=list(sockets))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the sockets and the idle connections, and wait for the requests under way."""
        self._is_stopping = True
        await super().shutdown(sockets)

    def stop(self) -> None:
        """Take no more connections, and end once the requests under way are answered."""
        self.should_exit = True
