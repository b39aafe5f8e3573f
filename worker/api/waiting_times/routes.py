"""The routes of waiting times: the latest wait of each queue, now and in a range of time."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote

from fastapi import APIRouter, Path
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema
from starlette.requests import Request
from starlette.responses import Response

from handlers.ports import Clock
from worker.api.bodies import json_answer, json_body
from worker.api.callers import caller_of
from worker.api.errors import ApiError, Fault, not_found
from worker.api.schemas import answers, ref
from worker.api.waiting_times.time_range import time_range
from worker.ports.waiting_times import EndedWait, QueueDescription, QueueDirectory, WaitingTimes

IDS_MAX: Final = 100
"""The queues that one request may name."""
CHART: Final = "work_items_latest_wait_time"
_Ids = Annotated[str, Path(alias="ids", min_length=1, description="ids of queues, at most 100, separated by commas")]
_AnId = Annotated[str, Field(min_length=1, max_length=256)]


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


# Not a union of a text and a list: each of its faults would be told twice, under names that no client has sent.
_OneOrMany = Annotated[
    Annotated[list[_AnId], Field(max_length=IDS_MAX)] | None,
    BeforeValidator(_as_list),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "minLength": 1, "maxLength": 256},
                {"type": "array", "maxItems": IDS_MAX, "items": {"type": "string", "minLength": 1, "maxLength": 256}},
                {"type": "null"},
            ]
        }
    ),
]
_DETAILS: Final = {"extra_forbidden": "there is no such field", "model_type": "it must be an object"}


class _Target(BaseModel):
    id: str
    type: str


class _Links(BaseModel):
    self: str


class _Relationship(BaseModel):
    data: _Target | None
    links: _Links | None = None


class QueueFigures(BaseModel):
    """`latestWaitTimeSeconds`: whole seconds, rounded down; null if no wait ended within a day."""

    name: str | None
    latest_wait_time_seconds: int | None = Field(alias="latestWaitTimeSeconds")


class QueueRelationships(BaseModel):
    """`workItem`: the one whose wait it was."""

    org: _Relationship
    queue: _Relationship
    work_item: _Relationship = Field(alias="workItem")


class SessionQueue(BaseModel):
    """A queue with its latest wait."""

    type: Literal["session_queue"]
    id: str
    attributes: QueueFigures
    relationships: QueueRelationships


class QueueMetricsAnswer(BaseModel):
    """The queues that are stored, in the order of the request."""

    data: list[SessionQueue]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class ChartRange(_Part):
    """When the waits ended: from `from` to `to`, both included. A time without an offset is of `time_zone`."""

    begin: str = Field(alias="from", examples=["2022-03-02T00:00:00Z"], json_schema_extra={"format": "date-time"})
    end: str = Field(alias="to", examples=["2022-03-03T00:00:00Z"], json_schema_extra={"format": "date-time"})
    time_zone: str | None = Field(None, examples=["Europe/Berlin"])


class ChartSelection(_Part):
    """The queues; without any: all of the org's queues."""

    queue_id: _OneOrMany = Field(None, alias="queueId")


class ChartQuery(_Part):
    """A query of the latest wait times."""

    name: Literal["work_items_latest_wait_time"]
    range: ChartRange
    query: ChartSelection | None = None


class ChartAnswer(BaseModel):
    """`{results: {latestWaitTime: {data, QUEUE: {data}, …}}}` in milliseconds. The outer figure is the wait that ended
    last of all, null if there is none; queues without one are left out."""

    data: dict[str, dict[str, dict[str, Any]]]


def waiting_routes(waits: WaitingTimes, queues: QueueDirectory, clock: Clock) -> APIRouter:
    """The routes."""
    router = APIRouter(tags=["waiting times"])

    async def metrics(request: Request, ids: _Ids) -> Response:
        """The latest wait of each queue within a day, with the work-item it belongs to. Unknown ids are left out."""
        named = list(dict.fromkeys(part.strip() for part in ids.split(",") if part.strip()))
        if not named:
            raise not_found()
        if len(named) > IDS_MAX:
            detail = f"{len(named)} ids: ask for at most {IDS_MAX} at once"
            raise ApiError(400, Fault(parameter="path", detail=detail))
        org = caller_of(request.scope).org
        described = await queues.described(named)
        shown = [described[key] for key in named if key in described and org in (None, described[key].org)]
        latest = await waits.latest([queue.id for queue in shown], now=clock.now())
        return json_answer({"data": [_session_queue(queue, latest.get(queue.id)) for queue in shown]})

    async def chart(request: Request) -> Response:
        """The latest wait times of queues in a range of time."""
        query = _chart_query(await json_body(request))
        span = time_range(query.range.begin, query.range.end, query.range.time_zone)
        asked = query.query.queue_id if query.query is not None else None
        org = caller_of(request.scope).org
        latest = await waits.latest_in(span.begin, span.end, queue_ids=asked or None, org=org)
        return json_answer({"data": {"results": {"latestWaitTime": _chart_figures(latest)}}})

    router.add_api_route(
        "/v1/chat/queues/metrics/{ids}",
        metrics,
        operation_id="queue_metrics",
        response_model=QueueMetricsAnswer,
        responses=answers(400, 401, 403, 404, 422, 429, 500, 503),
    )
    router.add_api_route(
        f"/v1/charts/query/standard/{CHART}",
        chart,
        methods=["POST"],
        operation_id=CHART,
        response_model=ChartAnswer,
        responses=answers(400, 401, 403, 413, 415, 429, 500, 503),
        openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": ref(ChartQuery)}}}},
    )
    return router


def _chart_query(value: Any) -> ChartQuery:
    try:
        return ChartQuery.model_validate(value)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False, include_context=False)
        raise ApiError(
            400,
            *(
                Fault(
                    parameter=".".join(map(str, each["loc"])) or "body",
                    detail=_DETAILS.get(each["type"], each["msg"]),
                )
                for each in faults
            ),
        ) from error


def _session_queue(queue: QueueDescription, latest: EndedWait | None) -> dict[str, Any]:
    work_item = None if latest is None else latest.work_item
    return {
        "type": "session_queue",
        "id": queue.id,
        "attributes": {
            "name": queue.name,
            "latestWaitTimeSeconds": None if latest is None else latest.seconds,
        },
        "relationships": {
            "org": _relationship("org", queue.org, "/v1/orgs/"),
            "queue": _relationship("queue", queue.id, "/v1/queues/"),
            "workItem": _relationship("work-item", work_item, "/v1/routing/work-items/"),
        },
    }


def _relationship(kind: str, key: str | None, path: str) -> dict[str, Any]:
    return (
        {"data": None}
        if key is None
        else {"data": {"id": key, "type": kind}, "links": {"self": path + quote(key, safe="")}}
    )


def _chart_figures(latest: Mapping[str, EndedWait]) -> dict[str, Any]:
    last = max(latest.values(), key=lambda wait: wait.ended_at, default=None)
    # A queue's id stands beside the outer figure: one called "data" would take its place.
    queues = {key: {"data": wait.duration_ms} for key, wait in latest.items() if key != "data"}
    return {"data": None if last is None else last.duration_ms, **queues}
