"""A proxy between the worker and SQS and SNS that fails on command, as these services and the way to them do.

It serves in a thread of its own on a port of 127.0.0.1, tells every call by its name, and records what was asked, what
was carried out and what the client was told. Nobody checks signatures behind it.

    with AwsProxy(localstack.endpoint) as proxy:
        with proxy.failing(SQS_THROTTLING, "DeleteMessageBatch", share=0.5):
            ...
"""

import asyncio
import json
import random
import threading
import time
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Final, Self, TypeVar

import aiohttp
from aiohttp import web
from msgspec import Struct

from server_process import free_port
from tests.faults.proxies.aws_call import JSON_TYPE, Answer, AwsCall, call_of
from tests.faults.proxies.aws_fault import (
    SKEW_MAX,
    AnswerWithError,
    ClockSkew,
    Cut,
    Delay,
    FailEntries,
    Fault,
    Garbage,
    Hang,
    LoseAnswer,
    Refuse,
)

_KEPT: Final = frozenset({"content-type", "x-amz-target", "x-amz-date", "authorization", "accept", "user-agent"})
_BODY_BYTES_MAX: Final = 8 * 1024 * 1024
_GARBAGE: Final = Answer(status=200, body=b"<html><body>It works!</body></html>", headers={"Content-Type": "text/html"})

T = TypeVar("T")


@dataclass(slots=True, kw_only=True, eq=False)
class ActiveFault:
    """A fault in force: which calls it meets, with what chance, how often at most, and how often it did."""

    fault: Fault
    actions: frozenset[str]
    share: float
    times: int
    hits: int = 0
    lifted: asyncio.Event = field(default_factory=asyncio.Event)


class Call(Struct, frozen=True, kw_only=True):
    """What became of one call. `failed` are the ids of entries that the proxy made fail; `status` is what the client
    was told, None where it got no answer; `delivered` the ids of messages received, by receipt."""

    action: str
    at: float
    entries: tuple[Mapping[str, Any], ...]
    fault: Fault | None
    carried_out: bool
    failed: frozenset[str]
    status: int | None
    delivered: Mapping[str, str]


@dataclass(slots=True)
class _CallResult:
    answer: Answer | None
    """None: the connection breaks."""
    carried_out: bool = False
    failed: frozenset[str] = frozenset()


class AwsProxy:
    """One for SQS and SNS together; `url` is both services' address."""

    def __init__(self, target: str, *, seed: int = 1) -> None:
        self._target = target
        self._chance = random.Random(seed)
        self._port = free_port()
        self._active_faults: tuple[ActiveFault, ...] = ()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="aws-proxy", daemon=True)
        self._calls: list[Call] = []
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def calls(self) -> list[Call]:
        """All that came to an end so far."""
        return list(self._calls)

    def calls_of(self, *actions: str) -> list[Call]:
        """Those of some actions."""
        return [call for call in self._calls if call.action in actions]

    def deleted(self) -> dict[str, float]:
        """Receipts that were really deleted, and when, by `time.monotonic()`."""
        return {
            entry["ReceiptHandle"]: call.at
            for call in self.calls_of("DeleteMessageBatch")
            if call.carried_out
            for entry in call.entries
            if entry["Id"] not in call.failed
        }

    def put(self, fault: Fault, *actions: str, share: float = 1.0, times: int = 1_000_000_000) -> ActiveFault:
        """From now on the fault meets calls of these actions (none named: all), until it is lifted."""
        active = ActiveFault(fault=fault, actions=frozenset(actions), share=share, times=times)
        self._active_faults = (*self._active_faults, active)
        return active

    def lift(self, active: ActiveFault) -> None:
        """The fault is over."""
        self._active_faults = tuple(each for each in self._active_faults if each is not active)
        self._loop.call_soon_threadsafe(active.lifted.set)

    @contextmanager
    def failing(
        self, fault: Fault, *actions: str, share: float = 1.0, times: int = 1_000_000_000
    ) -> Iterator[ActiveFault]:
        """The fault is in force within."""
        active = self.put(fault, *actions, share=share, times=times)
        try:
            yield active
        finally:
            self.lift(active)

    @contextmanager
    def away(self) -> Iterator[None]:
        """Within, nothing listens, and every open connection is broken."""
        self._run(self._close())
        try:
            yield
        finally:
            self._run(self._open())

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        for active in self._active_faults:
            self.lift(active)
        self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=30)

    async def _start(self) -> None:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=3, sock_read=60)
        connector = aiohttp.TCPConnector(limit=0)
        skipped = ("Accept-Encoding", "User-Agent", "Accept", "Content-Type")
        self._http = aiohttp.ClientSession(connector=connector, timeout=timeout, skip_auto_headers=skipped)
        await self._open()

    async def _open(self) -> None:
        app = web.Application(client_max_size=_BODY_BYTES_MAX)
        app.router.add_route("*", "/{path:.*}", self._serve)
        # A client that hangs up ends its long poll on the service, too.
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.01)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True).start()

    async def _close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _stop(self) -> None:
        await self._close()
        await self._http.close()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        call = call_of(request.headers, body)
        active = self._met_by(call)
        ending = await self._end(call, request, active)
        answer = ending.answer
        self._calls.append(
            Call(
                action=call.action,
                at=time.monotonic(),
                entries=call.entries if call.action.endswith("Batch") else (),
                fault=None if active is None else active.fault,
                carried_out=ending.carried_out,
                failed=ending.failed,
                status=None if answer is None else answer.status,
                delivered=_delivered(call, answer),
            )
        )
        if answer is None:
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        return web.Response(status=answer.status, body=answer.body, headers=answer.headers)

    def _met_by(self, call: AwsCall) -> ActiveFault | None:
        for active in self._active_faults:
            applies = not active.actions or call.action in active.actions
            if applies and active.hits < active.times and self._chance.random() < active.share:
                active.hits += 1
                return active
        return None

    async def _end(self, call: AwsCall, request: web.Request, active: ActiveFault | None) -> _CallResult:
        match None if active is None else active.fault:
            case Refuse(status=status, code=code):
                return _CallResult(call.failure(status, code))
            case Garbage():
                return _CallResult(_GARBAGE)
            case Cut():
                return _CallResult(None)
            case Hang():
                assert active is not None
                await active.lifted.wait()
                return _CallResult(None)
            case FailEntries() as fault:
                return await self._fail_entries(call, request, fault)
            case ClockSkew(by=by):
                return await self._by_another_clock(call, request, by)
            case fault:
                return await self._carried_out(call, request, fault)

    async def _carried_out(
        self, call: AwsCall, request: web.Request, fault: Delay | LoseAnswer | AnswerWithError | None
    ) -> _CallResult:
        if isinstance(fault, Delay):
            await asyncio.sleep(fault.seconds)
        answer = await self._forward(request, call.body)
        told = answer
        if isinstance(fault, LoseAnswer):
            told = None
        elif isinstance(fault, AnswerWithError):
            told = call.failure(fault.status, fault.code)
        return _CallResult(told, carried_out=_good(answer))

    async def _fail_entries(self, call: AwsCall, request: web.Request, fault: FailEntries) -> _CallResult:
        failed = [entry["Id"] for entry in call.entries if self._chance.random() < fault.share]
        answer = None
        if len(failed) < len(call.entries):
            answer = await self._forward(request, call.without(failed) if failed else call.body)
            if not failed or not _good(answer):
                return _CallResult(answer, carried_out=_good(answer))
        carried_out = None if answer is None else answer.body
        told = call.partly(carried_out, failed, fault.fault)
        return _CallResult(told, carried_out=answer is not None, failed=frozenset(failed))

    async def _by_another_clock(self, call: AwsCall, request: web.Request, by: timedelta) -> _CallResult:
        now = datetime.now(UTC) + by
        date = {"Date": format_datetime(now, usegmt=True)}
        signed = datetime.strptime(request.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if abs(signed - now) > SKEW_MAX:
            code = "InvalidSignatureException" if call.service == "sqs" else "SignatureDoesNotMatch"
            refused = call.failure(403, code, "Signature expired, or not yet current")
            return _CallResult(Answer(status=403, body=refused.body, headers={**refused.headers, **date}))
        answer = await self._forward(request, call.body)
        if answer is not None:
            answer = Answer(status=answer.status, body=answer.body, headers={**answer.headers, **date})
        return _CallResult(answer, carried_out=_good(answer))

    async def _forward(self, request: web.Request, body: bytes) -> Answer | None:
        """The service's answer; None where it did not give one."""
        headers = {name: value for name, value in request.headers.items() if name.lower() in _KEPT}
        try:
            async with self._http.request(
                request.method, self._target + request.path_qs, data=body, headers=headers
            ) as got:
                kind = got.headers.get("Content-Type", JSON_TYPE)
                told = {"Content-Type": kind}
                if "x-amzn-query-error" in got.headers:
                    told["x-amzn-query-error"] = got.headers["x-amzn-query-error"]
                return Answer(status=got.status, body=await got.read(), headers=told)
        except (aiohttp.ClientError, TimeoutError):
            return None


def _delivered(call: AwsCall, answer: Answer | None) -> Mapping[str, str]:
    if call.action != "ReceiveMessage" or answer is None or not _good(answer) or answer is _GARBAGE:
        return {}
    return {one["ReceiptHandle"]: one["MessageId"] for one in json.loads(answer.body).get("Messages") or ()}


def _good(answer: Answer | None) -> bool:
    return answer is not None and answer.status < 300
