"""The application: every route behind the gate, and the schema at `/openapi.json`, made from the routes' models."""

from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from importlib.metadata import version
from typing import Any, Final

import orjson
from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from msgspec import Struct
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from commands.reason import ReasonCode
from handlers.documents.stored_forms import UnreadableDocument
from handlers.ports import StoreAway, WorkItems
from worker.api.callers import CallerTable
from worker.api.errors import ApiError, ErrorAnswer, Fault, error_answer, not_found
from worker.api.gate import OPEN_PATHS, SCHEMA_PATH, App, Gate, RequestLimits
from worker.api.rate import RequestRate
from worker.api.readiness import Readiness, health_routes
from worker.api.timeline import TimelineSources, timeline_routes
from worker.api.waiting_times.routes import ChartQuery, waiting_routes
from worker.api.work_items.routes import work_item_routes
from worker.api.work_items.schemas import WorkItemUpdateBody
from worker.api.work_items.updates import Updates
from worker.errors import first_line
from worker.ports.waiting_times import QueueDirectory, WaitingTimes
from worker.runtime.context import RuntimeContext

MODELS: Final = (WorkItemUpdateBody, ChartQuery, ErrorAnswer)
"""The models to which the routes refer by name: request bodies that they read themselves, and errors."""
_HTTP_STATUSES: Final = frozenset({400, 404, 405})


class ApiParts(Struct, frozen=True, kw_only=True):
    """What the routes work with. `pages`: the routers of the status page, which stand behind the same gate."""

    updates: Updates
    work_items: WorkItems
    waiting_times: WaitingTimes
    queues: QueueDirectory
    readiness: Readiness
    callers: CallerTable
    rate: RequestRate
    limits: RequestLimits
    timeline: TimelineSources
    pages: Sequence[APIRouter] = ()


def create_app(parts: ApiParts, runtime: RuntimeContext) -> App:
    """The ASGI application."""
    app = FastAPI(
        title="routing-sync",
        version=version("routing-sync"),
        summary="Work-items and waiting times of the routing system.",
        # Their pages load scripts from other hosts.
        docs_url=None,
        redoc_url=None,
        # Served below: FastAPI would write it anew for every request, and a request for it needs no token.
        openapi_url=None,
        redirect_slashes=False,
    )
    app.include_router(health_routes(parts.readiness))
    app.include_router(work_item_routes(parts.work_items, parts.updates))
    app.include_router(timeline_routes(parts.timeline, parts.work_items, runtime.clock))
    app.include_router(waiting_routes(parts.waiting_times, parts.queues, runtime.clock))
    for pages in parts.pages:
        app.include_router(pages, include_in_schema=False)
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(StoreAway, _store_away)
    app.add_exception_handler(UnreadableDocument, _unreadable)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(Exception, _unexpected_error)
    app.openapi = lambda: _schema(app)  # type: ignore[method-assign]
    app.add_api_route(SCHEMA_PATH, _schema_route(app), include_in_schema=False)
    return Gate(app, callers=parts.callers, rate=parts.rate, limits=parts.limits, runtime=runtime)


def _schema_route(app: FastAPI) -> Callable[[], Awaitable[Response]]:
    @cache
    def schema() -> bytes:
        return orjson.dumps(app.openapi())

    async def answer() -> Response:
        return Response(schema(), media_type="application/json")

    return answer


def _schema(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
        _, models = models_json_schema(
            [(model, "validation") for model in MODELS], ref_template="#/components/schemas/{model}"
        )
        components = schema["components"]
        components["schemas"].update(models["$defs"])
        components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        for path, methods in schema["paths"].items():
            if path not in OPEN_PATHS:
                for operation in methods.values():
                    operation["security"] = [{"token": []}]
        app.openapi_schema = schema
    return app.openapi_schema


async def _api_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return error.answer()


async def _store_away(_: Request, error: Exception) -> Response:
    detail = f"MongoDB is away: {first_line(error)}: try again later; an update may have been written"
    return error_answer(503, [Fault(parameter="path", code="STORE_AWAY", detail=detail)])


async def _unreadable(_: Request, error: Exception) -> Response:
    code = ReasonCode.STORED_DOCUMENT_UNREADABLE.value
    return error_answer(500, [Fault(parameter="path", code=code, detail=str(error))])


async def _http_error(request: Request, error: Exception) -> Response:
    """Starlette's own errors: no such path, no such method."""
    assert isinstance(error, HTTPException)
    status = error.status_code if error.status_code in _HTTP_STATUSES else 400
    if status == 404:
        return not_found().answer()
    if status == 405:
        return error_answer(405, [Fault(parameter="method")], headers={"allow": _allowed(request, error)})
    return error_answer(status, [Fault(parameter="path")])


def _allowed(request: Request, error: HTTPException) -> str:
    """The methods of the path. Starlette names those of one route, and a path has a route for each method."""
    path = getattr(request.scope.get("route"), "path", "")
    methods = request.app.openapi()["paths"].get(path)
    if methods is None:
        return (error.headers or {}).get("allow") or "GET"
    return ", ".join(sorted(method.upper() for method in methods))


async def _invalid_request(_: Request, error: Exception) -> Response:
    """A path parameter of the wrong form."""
    assert isinstance(error, RequestValidationError)
    faults = [Fault(parameter=str(fault["loc"][0]), detail=fault["msg"]) for fault in error.errors()]
    return error_answer(422, faults)


async def _unexpected_error(_: Request, error: Exception) -> Response:  # noqa: ARG001 - the server logs it
    return error_answer(500, [Fault(parameter="path")])
