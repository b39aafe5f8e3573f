"""A service that gives scripted answers, and the endpoint to call it with."""

import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from botocore.credentials import ReadOnlyCredentials

from tests.handlers.small_ports import HandClock
from worker.aws.http_calls import ServiceEndpoint, http_session
from worker.aws.sigv4 import CredentialSource

Answer = tuple[int, Any, dict[str, str]]
"""A status, a body (bytes, or a value to encode as JSON), and headers."""


@dataclass(slots=True)
class RotatingCredentials:
    """Credentials that change with every call."""

    given: int = 0

    async def get_frozen_credentials(self) -> ReadOnlyCredentials:
        self.given += 1
        return ReadOnlyCredentials(f"key-{self.given}", "secret", None)

    def discard(self, access_key: str | None) -> None:
        """The next credentials are others anyway."""


@dataclass(slots=True)
class Script:
    """The answers still to give, None to close the connection; and the requests so far."""

    answers: list[Answer | None]
    requests: list[bytes] = field(default_factory=list)
    headers: list[Any] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        self.requests.append(await request.read())
        self.headers.append(request.headers)
        answer = self.answers.pop(0)
        if answer is None:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        status, body, headers = answer
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return web.Response(status=status, body=content, headers=headers)


@asynccontextmanager
async def endpoint_at(
    service: str,
    url: str,
    *,
    find_credentials: Callable[[], Awaitable[CredentialSource]],
    clock: HandClock | None = None,
) -> AsyncIterator[ServiceEndpoint]:
    """The endpoint of the service at that address."""
    async with http_session(proxy=None, tls=True, read_timeout_s=5, connections_max=2) as http:
        yield ServiceEndpoint(
            service=service,
            url=url,
            region="us-east-1",
            http=http,
            find_credentials=find_credentials,
            clock=clock or HandClock(),
        )


@asynccontextmanager
async def scripted(
    service: str,
    answers: Sequence[Answer | None],
    clock: HandClock | None = None,
    *,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[tuple[ServiceEndpoint, Script]]:
    """The endpoint of a new server that plays this script, and the script."""
    script = Script(list(answers))
    credentials = RotatingCredentials()

    async def find_credentials() -> CredentialSource:
        return credentials

    app = web.Application()
    app.router.add_post("/{path:.*}", script.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    try:
        url = f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
        async with endpoint_at(service, url, find_credentials=find_credentials, clock=clock) as endpoint:
            yield endpoint, script
    finally:
        await runner.cleanup()
