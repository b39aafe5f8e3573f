"""The gate: what every request passes before a route sees it.

1. `/healthz`, `/readyz` and `/openapi.json` need nothing: probes and readers of the schema have no token.
2. The caller is found by the token, else 401.
3. The caller has a permit of the rate, else 429. Requests without a caller share one rate.
4. There is room for one more request, else 503. Where several tokens are known, each has a share of the room, half of
   it, else 429: a client whose requests hang leaves the other half to the others.
5. A body is not larger than the limit, else 413. It is read whole before the route runs, so no route waits for a slow
   sender.
6. It is answered in time, else 503. What it has begun to write is not interrupted.

A stream of events, under `/live/`, takes no room and no time: it stays for as long as a page is open, and
`pages/live.py` bounds how many there are.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from msgspec import Struct
from starlette.datastructures import Headers
from starlette.responses import Response

from worker.api.callers import Caller, CallerTable, note_caller
from worker.api.errors import Fault, error_answer
from worker.api.rate import RequestRate
from worker.api.room import Room
from worker.runtime.context import RuntimeContext
from worker.telemetry.metrics import Metric

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

SCHEMA_PATH: Final = "/openapi.json"
OPEN_PATHS: Final = frozenset({"/healthz", "/readyz", SCHEMA_PATH})
_API: Final = "/v1/"
_STREAMS: Final = "/live/"
_READS: Final = frozenset({"GET", "HEAD"})
_WRITES: Final = frozenset({"PUT", "POST"})
"""The methods whose routes read a body."""
_NOBODY: Final = ""
"""The client under which requests without a caller are counted. No token has this name."""
_LOCAL: Final = "-"


class RequestLimits(Struct, frozen=True, kw_only=True):
    """The limits of a request, and of all requests at the same time."""

    body_bytes_max: int
    concurrency_max: int
    timeout_s: float


class Gate:
    """The ASGI application in front of the routes."""

    def __init__(
        self, app: App, *, callers: CallerTable, rate: RequestRate, limits: RequestLimits, runtime: RuntimeContext
    ) -> None:
        self._app = app
        self._callers = callers
        self._rate = rate
        self._limits = limits
        self._clock = runtime.clock
        self._metrics = runtime.telemetry.metrics
        self._room = Room("requests", most=limits.concurrency_max, tokens=callers.count)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request. HEAD is a GET whose answer the server sends without its body."""
        if scope["type"] == "http" and scope["method"] == "HEAD" and not scope["path"].startswith(_STREAMS):
            scope = {**scope, "method": "GET"}
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        begun = self._clock.monotonic()
        answer = _Answer(send)
        try:
            await self._pass(scope, receive, answer)
        finally:
            self._count(scope, answer.status, self._clock.monotonic() - begun)

    async def _pass(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        headers = Headers(scope=scope)
        passed = self._caller(headers, scope)
        if isinstance(passed, Response):
            await passed(scope, receive, answer.send)
            return
        note_caller(scope, passed)  # type: ignore[arg-type]
        if scope["method"] == "GET" and scope["path"].startswith(_STREAMS):
            await self._app(scope, receive, answer.send)
            return
        taken = self._room.taken(passed.name)
        if taken is not None:
            busy = _refusal(*((429, "header") if taken.by_client else (503, "path")), taken.detail)
            await busy(scope, receive, answer.send)
            return
        self._room.enter(passed.name)
        timer = asyncio.timeout(self._limits.timeout_s)
        try:
            async with timer:
                await self._run(scope, headers, receive, answer)
        except TimeoutError:
            if not timer.expired():
                raise
            if answer.status is None:
                await _late(scope["method"])(scope, receive, answer.send)
        finally:
            self._room.leave(passed.name)

    def _caller(self, headers: Headers, scope: Scope) -> Caller | Response:
        """The request's caller, who has a permit; else the answer."""
        is_page = not scope["path"].startswith(_API)
        passwords = is_page and scope["method"] in _READS
        caller = self._callers.caller(headers, passwords=passwords)
        client = _NOBODY if caller is None else caller.name or _LOCAL
        if not self._rate.take(client):
            return _refusal(429, "header", "more requests than API_REQUESTS_PER_SECOND: try again later")
        if caller is not None:
            return caller
        if self._callers.local_only:
            detail = "without tokens only loopback is served: ask for 127.0.0.1 or localhost, and not through a proxy"
            return _refusal(403, "header", detail)
        scheme = 'Basic realm="routing-sync", charset="UTF-8"' if passwords else 'Bearer realm="routing-sync"'
        detail = "the request has no known token: send `Authorization: Bearer TOKEN`"
        return error_answer(401, [Fault(parameter="header", detail=detail)], headers={"www-authenticate": scheme})

    async def _run(self, scope: Scope, headers: Headers, receive: Receive, answer: "_Answer") -> None:
        if scope["method"] in _WRITES:
            body = await self._body(headers, receive)
            if body is None:
                large = _refusal(413, "body", f"the body is larger than {self._limits.body_bytes_max} bytes")
                await large(scope, receive, answer.send)
                return
            receive = _replayed(body, receive)
        await self._app(scope, receive, answer.send)

    async def _body(self, headers: Headers, receive: Receive) -> bytes | None:
        """The whole body; None: it is too large."""
        declared = headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > self._limits.body_bytes_max:
            return None
        parts: list[bytes] = []
        size, more = 0, True
        while more:
            message = await receive()
            part = message.get("body", b"")
            size += len(part)
            if size > self._limits.body_bytes_max:
                return None
            parts.append(part)
            more = message["type"] == "http.request" and message.get("more_body", False)
        return b"".join(parts)

    def _count(self, scope: Scope, status: int | None, seconds: float) -> None:
        # The route's pattern, not the path: ids are no tags.
        route = getattr(scope.get("route"), "path", "none")
        method = scope["method"] if scope["method"] in _READS | _WRITES else "other"
        self._metrics.count(Metric.API_REQUESTS, method=method, route=route, status=str(status or 500))
        self._metrics.distribution(Metric.API_DURATION, seconds * 1_000, route=route)


class _Answer:
    """The answer of one request: sends its messages on, and keeps its status."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        await self._send(message)


def _refusal(status: int, parameter: str, detail: str) -> Response:
    return error_answer(status, [Fault(parameter=parameter, detail=detail)])


def _late(method: str) -> Response:
    """The answer to a request that took too long. An update is finished all the same."""
    again = "an update may have been written: send it again with its `rev`" if method == "PUT" else "try again later"
    return error_answer(503, [Fault(parameter="path", code="TIMEOUT", detail=f"the answer took too long: {again}")])


def _replayed(body: bytes, receive: Receive) -> Receive:
    """A `receive` that returns the body that was read, then what the server says."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
