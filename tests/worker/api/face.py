"""The HTTP face on a store in memory, with a client that calls the application, and everything that it told."""

import asyncio
import hashlib
import json
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from typing import Any, Final
from urllib.parse import unquote

from fastapi import APIRouter
from msgspec import Struct

from handlers.options import Options
from handlers.ports import Announcement
from handlers.work_item_update import WorkItemUpdate
from tests.handlers.small_ports import FixedChance
from tests.handlers.wire_events import ORG
from tests.handlers.world import World
from tests.worker.stand_ins.telemetry_recorder import TelemetryRecorder, runtime_of
from worker.api.app import ApiParts, create_app
from worker.api.callers import CallerTable
from worker.api.gate import App, RequestLimits
from worker.api.rate import RequestRate
from worker.api.readiness import Readiness
from worker.api.room import Room
from worker.api.timeline import TimelineSources
from worker.api.work_items.updates import Updates
from worker.ports.waiting_times import QueueDescription
from worker.settings.api_tokens import ApiToken, Role
from worker.store.memory.pair_history import MemoryPairHistory
from worker.store.memory.waiting_times import MemoryQueueDirectory, MemoryWaitingTimes
from worker.store.memory.work_items import MemoryWorkItems

LIMITS: Final = RequestLimits(body_bytes_max=4_096, concurrency_max=8, timeout_s=20)


class ApiAnswer(Struct, frozen=True):
    """A status, headers, and the body: JSON where it is JSON."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def codes(self) -> list[str]:
        """The codes of the errors."""
        return [error["code"] for error in self.json["errors"]]

    @property
    def details(self) -> list[str]:
        return [error["detail"] for error in self.json["errors"]]


class Offered:
    """An announcer that keeps what it is offered."""

    def __init__(self) -> None:
        self.announcements: list[Announcement] = []

    def offer(self, announcements: Sequence[Announcement]) -> None:
        self.announcements += announcements


class Pings:
    """MongoDB's answers to a ping: `fault` is raised, where it is set."""

    def __init__(self) -> None:
        self.count = 0
        self.fault: Exception | None = None

    async def __call__(self) -> None:
        self.count += 1
        if self.fault is not None:
            raise self.fault


def token_of(name: str, role: Role = Role.READ, org: str | None = None) -> ApiToken:
    """A client's token; the text that the client sends is `secret-NAME`."""
    return ApiToken(name=name, role=role, digest=hashlib.sha256(f"secret-{name}".encode()).digest(), org=org)


class Face:
    """The application, its store, and a client of it."""

    def __init__(self, world: World, parts: ApiParts, recorder: TelemetryRecorder, app: App) -> None:
        self.world = world
        self.parts = parts
        self.recorder = recorder
        self.app = app
        self.last: ApiAnswer

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        chunks: Iterable[bytes] | None = None,
        breaks_off: bool = True,
        **headers: str,
    ) -> ApiAnswer:
        """Send a request; `body` is JSON, or bytes as they are. Headers have underscores for hyphens.

        `chunks`: the body as it comes, without a declared length and without an end: then the client is gone, or, where
        `breaks_off` is False, sends nothing more.
        """
        sent = {"host": "localhost", **{name.replace("_", "-"): value for name, value in headers.items()}}
        if token is not None:
            sent["authorization"] = f"Bearer secret-{token}"
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        if data:
            sent = {"content-length": str(len(data)), **sent}
        if method in ("PUT", "POST", "DELETE"):
            sent = {"content-type": "application/json", **sent}
        request = iter(chunks if chunks is not None else [data])
        answer: list[MutableMapping[str, Any]] = []

        async def receive() -> MutableMapping[str, Any]:
            part = next(request, None)
            if part is not None:
                return {"type": "http.request", "body": part, "more_body": chunks is not None}
            if not breaks_off:
                await asyncio.Event().wait()
            return {"type": "http.disconnect"}

        async def send(message: MutableMapping[str, Any]) -> None:
            answer.append(message)

        try:
            await self.app(_scope(method, path, sent), receive, send)
        finally:
            self.last = _answer_of(answer)
        return self.last

    async def get(self, path: str, **more: Any) -> ApiAnswer:
        return await self.ask("GET", path, **more)

    async def put(self, path: str, body: Any, **more: Any) -> ApiAnswer:
        return await self.ask("PUT", path, body, **more)

    async def post(self, path: str, body: Any, **more: Any) -> ApiAnswer:
        return await self.ask("POST", path, body, **more)


def _answer_of(messages: Sequence[Mapping[str, Any]]) -> ApiAnswer:
    start, *parts = messages
    text = b"".join(part.get("body", b"") for part in parts).decode()
    return ApiAnswer(start["status"], {name.decode(): value.decode() for name, value in start["headers"]}, text)


def _scope(method: str, path: str, headers: Mapping[str, str]) -> dict[str, Any]:
    """A request as uvicorn hands it to an application."""
    target, _, query = path.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "scheme": "http",
        "method": method,
        "path": unquote(target),
        "raw_path": target.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()],
        "client": ("127.0.0.1", 4711),
        "server": ("127.0.0.1", 8090),
        "state": {},
    }


def a_face(
    world: World | None = None,
    *,
    tokens: Sequence[ApiToken] = (),
    limits: RequestLimits = LIMITS,
    per_second: float = 1_000,
    pages: Sequence[APIRouter] = (),
    options: Options | None = None,
    described: Sequence[QueueDescription] = (),
) -> Face:
    """A face on the world's store."""
    world = world or World()
    recorder = TelemetryRecorder()
    runtime = runtime_of(world.clock, recorder)
    queues: dict[tuple[str, str | None], str] = {("chat", ORG): "q-1"}
    work_items = MemoryWorkItems(world.store, queues)
    use_case = WorkItemUpdate(
        store=world.outer,
        work_items=work_items,
        clock=world.clock,
        ids=world.ids,
        chance=FixedChance(),
        options=options or Options(),
    )
    readiness = Readiness(ping=Pings(), clock=world.clock, log=recorder.telemetry.log)
    readiness.mark_prepared()
    parts = ApiParts(
        updates=Updates(
            use_case,
            announcer=Offered(),
            telemetry=recorder.telemetry,
            room=Room("updates", most=limits.concurrency_max, tokens=len(tokens)),
        ),
        work_items=work_items,
        waiting_times=MemoryWaitingTimes(world.store),
        queues=MemoryQueueDirectory(described),
        readiness=readiness,
        callers=CallerTable(tokens),
        rate=RequestRate(per_second=per_second, clock=world.clock),
        limits=limits,
        timeline=TimelineSources(store=world.store, history=MemoryPairHistory(world.store), audit_days=30),
        pages=pages,
    )
    return Face(world, parts, recorder, create_app(parts, runtime))
