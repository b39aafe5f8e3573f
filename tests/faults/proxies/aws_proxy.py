"""A proxy between the worker and SQS and SNS that injects faults (aws_fault.py) into calls.

It serves in a thread of its own on a port of 127.0.0.1. It records every call: its entries, whether it was carried out,
and the status that the client got. The services behind it must not check signatures.

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
from tests.faults.proxies.aws_call import JSON_TYPE, AwsCall, AwsHttpAnswer, call_of
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
_GARBAGE: Final = AwsHttpAnswer(
    status=200, body=b"<html><body>It works!</body></html>", headers={"Content-Type": "text/html"}
)

T = TypeVar("T")


@dataclass(slots=True, kw_only=True, eq=False)
class ActiveFault:
    """An injected fault: the actions it applies to, its probability, its maximum and its number of hits."""

    fault: Fault
    actions: frozenset[str]
    share: float
    times: int
    hits: int = 0
    lifted: asyncio.Event = field(default_factory=asyncio.Event)


class RecordedCall(Struct, frozen=True, kw_only=True):
    """A recorded call. `failed`: ids of entries that the proxy let fail. `status`: HTTP status for the client, None
    without an answer. `delivered`: ids of received messages by receipt. `at`: monotonic seconds at its end."""

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
    answer: AwsHttpAnswer | None
    """None: the proxy breaks the connection."""
    carried_out: bool = False
    failed: frozenset[str] = frozenset()


class AwsProxy:
    """The proxy for SQS and SNS. `url` is the endpoint of both."""

    def __init__(self, target: str, *, seed: int = 1) -> None:
        self._target = target
        self._random = random.Random(seed)
        self._port = free_port()
        self._active_faults: tuple[ActiveFault, ...] = ()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="aws-proxy", daemon=True)
        self._calls: list[RecordedCall] = []
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def calls(self) -> list[RecordedCall]:
        """The calls that have ended."""
        return list(self._calls)

    def calls_of(self, *actions: str) -> list[RecordedCall]:
        """The ended calls of some actions."""
        return [call for call in self._calls if call.action in actions]

    def deleted(self) -> dict[str, float]:
        """The receipts that the service deleted, with the `time.monotonic()` of each delete."""
        return {
            entry["ReceiptHandle"]: call.at
            for call in self.calls_of("DeleteMessageBatch")
            if call.carried_out
            for entry in call.entries
            if entry["Id"] not in call.failed
        }

    def inject(self, fault: Fault, *actions: str, share: float = 1.0, times: int = 1_000_000_000) -> ActiveFault:
        """Injects a fault into calls of these actions (all actions where none is named) until it is lifted."""
        active = ActiveFault(fault=fault, actions=frozenset(actions), share=share, times=times)
        self._active_faults = (*self._active_faults, active)
        return active

    def lift(self, active: ActiveFault) -> None:
        """Ends a fault."""
        self._active_faults = tuple(each for each in self._active_faults if each is not active)
        self._loop.call_soon_threadsafe(active.lifted.set)

    @contextmanager
    def failing(
        self, fault: Fault, *actions: str, share: float = 1.0, times: int = 1_000_000_000
    ) -> Iterator[ActiveFault]:
        """Injects a fault while the context lasts."""
        active = self.inject(fault, *actions, share=share, times=times)
        try:
            yield active
        finally:
            self.lift(active)

    @contextmanager
    def away(self) -> Iterator[None]:
        """Closes the port and breaks all connections while the context lasts."""
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
        # When a client disconnects, its long poll at the service ends, too.
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
        active = self._fault_for(call)
        result = await self._result_of(call, request, active)
        answer = result.answer
        self._calls.append(
            RecordedCall(
                action=call.action,
                at=time.monotonic(),
                entries=call.entries if call.action.endswith("Batch") else (),
                fault=None if active is None else active.fault,
                carried_out=result.carried_out,
                failed=result.failed,
                status=None if answer is None else answer.status,
                delivered=_delivered(call, answer),
            )
        )
        if answer is None:
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        return web.Response(status=answer.status, body=answer.body, headers=answer.headers)

    def _fault_for(self, call: AwsCall) -> ActiveFault | None:
        for active in self._active_faults:
            applies = not active.actions or call.action in active.actions
            if applies and active.hits < active.times and self._random.random() < active.share:
                active.hits += 1
                return active
        return None

    async def _result_of(self, call: AwsCall, request: web.Request, active: ActiveFault | None) -> _CallResult:
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
                return await self._with_clock_skew(call, request, by)
            case fault:
                return await self._carried_out(call, request, fault)

    async def _carried_out(
        self, call: AwsCall, request: web.Request, fault: Delay | LoseAnswer | AnswerWithError | None
    ) -> _CallResult:
        if isinstance(fault, Delay):
            await asyncio.sleep(fault.seconds)
        answer = await self._forward(request, call.body)
        answer_to_client = answer
        if isinstance(fault, LoseAnswer):
            answer_to_client = None
        elif isinstance(fault, AnswerWithError):
            answer_to_client = call.failure(fault.status, fault.code)
        return _CallResult(answer_to_client, carried_out=_succeeded(answer))

    async def _fail_entries(self, call: AwsCall, request: web.Request, fault: FailEntries) -> _CallResult:
        failed = [entry["Id"] for entry in call.entries if self._random.random() < fault.share]
        answer = None
        if len(failed) < len(call.entries):
            answer = await self._forward(request, call.without(failed) if failed else call.body)
            if not failed or not _succeeded(answer):
                return _CallResult(answer, carried_out=_succeeded(answer))
        carried_out = None if answer is None else answer.body
        answer_to_client = call.partly(carried_out, failed, fault.fault)
        return _CallResult(answer_to_client, carried_out=answer is not None, failed=frozenset(failed))

    async def _with_clock_skew(self, call: AwsCall, request: web.Request, by: timedelta) -> _CallResult:
        now = datetime.now(UTC) + by
        date = {"Date": format_datetime(now, usegmt=True)}
        signed = datetime.strptime(request.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if abs(signed - now) > SKEW_MAX:
            code = "InvalidSignatureException" if call.service == "sqs" else "SignatureDoesNotMatch"
            reason = "Signature expired" if signed < now else "Signature not yet current"
            refused = call.failure(
                403, code, f"{reason}: signed at {signed:%Y%m%dT%H%M%SZ}, it is {now:%Y%m%dT%H%M%SZ}"
            )
            return _CallResult(AwsHttpAnswer(status=403, body=refused.body, headers={**refused.headers, **date}))
        answer = await self._forward(request, call.body)
        if answer is not None:
            answer = AwsHttpAnswer(status=answer.status, body=answer.body, headers={**answer.headers, **date})
        return _CallResult(answer, carried_out=_succeeded(answer))

    async def _forward(self, request: web.Request, body: bytes) -> AwsHttpAnswer | None:
        """The service's answer; None where it gave none."""
        headers = {name: value for name, value in request.headers.items() if name.lower() in _KEPT}
        try:
            async with self._http.request(
                request.method, self._target + request.path_qs, data=body, headers=headers
            ) as got:
                kind = got.headers.get("Content-Type", JSON_TYPE)
                answer_to_client = {"Content-Type": kind}
                if "x-amzn-query-error" in got.headers:
                    answer_to_client["x-amzn-query-error"] = got.headers["x-amzn-query-error"]
                return AwsHttpAnswer(status=got.status, body=await got.read(), headers=answer_to_client)
        except (aiohttp.ClientError, TimeoutError):
            return None


def _delivered(call: AwsCall, answer: AwsHttpAnswer | None) -> Mapping[str, str]:
    if call.action != "ReceiveMessage" or answer is None or not _succeeded(answer) or answer is _GARBAGE:
        return {}
    return {one["ReceiptHandle"]: one["MessageId"] for one in json.loads(answer.body).get("Messages") or ()}


def _succeeded(answer: AwsHttpAnswer | None) -> bool:
    return answer is not None and answer.status < 300
