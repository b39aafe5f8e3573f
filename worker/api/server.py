"""The server: uvicorn on sockets of ours, without its signal handlers and its log lines."""

import contextlib
import socket
from collections.abc import Iterator, Sequence
from typing import Final

import uvicorn

from worker.api.gate import App

_CONNECTIONS_MAX: Final = 1_000
"""Connections at the same time. Beyond them the server itself answers 503."""
_KEEP_ALIVE_S: Final = 65
"""Longer than the 60 s for which load balancers keep an idle connection, so that it is never closed under a request."""


class ApiServer(uvicorn.Server):
    """One for the process: serves until `stop`."""

    def __init__(self, app: App, *, stop_within_s: float) -> None:
        """`stop_within_s`: the time that the requests under way have after `stop`; then they are cancelled."""
        super().__init__(
            uvicorn.Config(
                app,
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                headers=[("x-content-type-options", "nosniff")],
                limit_concurrency=_CONNECTIONS_MAX,
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

    def stop(self) -> None:
        """Take no more connections, and end once the requests under way are answered."""
        self.should_exit = True
