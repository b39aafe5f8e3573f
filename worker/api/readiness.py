"""Readiness of the API: alive, and able to work.

| address | 200 while | else |
|---|---|---|
| `/healthz` | the process runs | – |
| `/readyz` | the store was found fit, MongoDB answers, and no stop was requested | 503, and why |
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.responses import Response

from handlers.ports import Clock, StoreAway
from worker.api.bodies import json_answer
from worker.errors import first_line
from worker.telemetry.build import BUILD, Build
from worker.telemetry.logs import Log

_KEPT_S: Final = 1.0
"""How long an answer of MongoDB's counts: many probes cause one call."""


class Readiness:
    """One for the process: not ready until `mark_prepared`."""

    def __init__(self, *, ping: Callable[[], Awaitable[None]], clock: Clock, log: Log) -> None:
        """`ping` raises StoreAway if MongoDB does not answer."""
        self._ping = ping
        self._clock = clock
        self._log = log
        self._starting: str | None = "starting"
        self._stopping = False
        self._store: str | None = None
        self._asked_at: float | None = None

    def mark_unprepared(self, reason: str) -> None:
        """The process still waits for the store; `reason` is one line."""
        self._starting = reason

    def mark_prepared(self) -> None:
        """The store was found fit."""
        self._starting = None

    def mark_stopping(self) -> None:
        """A stop was requested: no more requests should be sent here."""
        self._stopping = True

    async def report(self) -> dict[str, Any]:
        """The body of `/readyz`: `{ready, checks: {part: {ok, reason}}, build}`. `reason` stands
        where `ok` is false."""
        reasons = {
            "store": self._starting or await self._store_away(),
            "server": "stopping" if self._stopping else None,
        }
        checks = {
            part: {"ok": True} if reason is None else {"ok": False, "reason": reason}
            for part, reason in reasons.items()
        }
        return {"ready": all(reason is None for reason in reasons.values()), "checks": checks, "build": BUILD}

    async def _store_away(self) -> str | None:
        now = self._clock.monotonic()
        if self._asked_at is None or now - self._asked_at >= _KEPT_S:
            self._asked_at = now
            was, self._store = self._store, await self._ping_store()
            if self._store is not None and was is None:
                self._log.error("store away", reason=self._store)
            elif self._store is None and was is not None:
                self._log.info("store back")
        return self._store

    async def _ping_store(self) -> str | None:
        try:
            await self._ping()
        except StoreAway as away:
            return f"MongoDB is away: {first_line(away)}"
        return None


class Alive(BaseModel):
    """The process runs."""

    status: str


class Check(BaseModel):
    """One part of the readiness."""

    ok: bool
    reason: str | None = None


class Ready(BaseModel):
    """Whether the process can work."""

    ready: bool
    checks: dict[str, Check]
    build: Build


def health_routes(readiness: Readiness) -> APIRouter:
    """The routes of both addresses."""
    router = APIRouter(tags=["health"])

    @router.get("/healthz", response_model=Alive)
    async def healthz() -> Response:
        """Alive."""
        return json_answer({"status": "alive"})

    @router.get("/readyz", response_model=Ready, responses={503: {"model": Ready, "description": "Not ready"}})
    async def readyz() -> Response:
        """Ready: MongoDB answers."""
        report = await readiness.report()
        return json_answer(report, status=200 if report["ready"] else 503)

    return router
