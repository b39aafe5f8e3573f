"""The routes of work-items: one, its update, and those of a conversation."""

from typing import Annotated, Final, assert_never

from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response

from commands.reason import ReasonCode, Refusal
from commands.update import parse_update
from handlers.events.envelope import trace_of_headers
from handlers.planning.planners.update import (
    FailedUpdate,
    NoWorkItem,
    RefusedUpdate,
    UpdatedWorkItem,
    UpdateRequest,
)
from handlers.ports import WorkItems
from worker.api.bodies import json_answer, json_body, work_item_data
from worker.api.callers import caller_of
from worker.api.errors import ApiError, Fault, not_found, refused
from worker.api.schemas import answers, ref
from worker.api.work_items.schemas import WorkItemAnswer, WorkItemsAnswer, WorkItemUpdateBody
from worker.api.work_items.updates import TooManyUpdates, Updates
from worker.settings.api_tokens import Role

LISTED_MAX: Final = 100
"""The work-items of a conversation that are listed, the latest first."""

_PATHS: Final = {
    "/v1/routing/work-items/{id}": "",
    "/v1/router/work-items/{id}": "_of_the_router",
    "/v1/routing/work-item/{id}": "_of_a_link",
}
"""The address, the predecessor's, and the one that stands in stored links; with the suffix of the operations' ids."""

Id = Annotated[str, Path(alias="id", min_length=1, max_length=256)]


_READ_ERRORS: Final = answers(401, 403, 404, 422, 429, 500, 503)
_UPDATE_ERRORS: Final = answers(400, 401, 403, 404, 409, 413, 415, 422, 429, 500, 503)


class WorkItemRoutes:
    """The routes."""

    def __init__(self, work_items: WorkItems, updates: Updates) -> None:
        self._work_items = work_items
        self._updates = updates

    async def read(self, request: Request, work_item_id: Id) -> Response:
        """One work-item."""
        document = await self._work_items.work_item(work_item_id, org=caller_of(request.scope).org)
        if document is None:
            raise not_found()
        return json_answer({"data": work_item_data(document)})

    async def update(self, request: Request, work_item_id: Id) -> Response:
        """Update a work-item: one transaction through the commands. The answer is the work-item after it."""
        caller = caller_of(request.scope)
        caller.require(Role.WRITE)
        parsed = parse_update(await json_body(request))
        if isinstance(parsed, Refusal):
            raise refused(parsed)
        sent = UpdateRequest(
            work_item_id=work_item_id,
            update=parsed,
            origin=caller.origin_of(parsed),
            client=caller.name,
            trace=trace_of_headers(request.headers),
        )
        try:
            result = await self._updates.handle(sent, org=caller.org)
        except TooManyUpdates as full:
            status, parameter = (429, "header") if full.taken.by_client else (503, "path")
            raise ApiError(status, Fault(parameter=parameter, detail=str(full))) from None
        match result:
            case UpdatedWorkItem(document=document):
                return json_answer({"data": work_item_data(document)})
            case RefusedUpdate(refusal=refusal):
                raise refused(refusal)
            case NoWorkItem():
                raise not_found()
            case FailedUpdate():
                raise _failed(result)
            case _:
                assert_never(result)

    async def of_conversation(self, request: Request, conversation_id: Id) -> Response:
        """The work-items of a conversation, the latest first."""
        org = caller_of(request.scope).org
        documents = await self._work_items.of_conversation(conversation_id, org=org, limit=LISTED_MAX)
        if documents is None:
            raise not_found()
        return json_answer({"data": [work_item_data(document) for document in documents]})


def work_item_routes(work_items: WorkItems, updates: Updates) -> APIRouter:
    """The router of the routes."""
    router = APIRouter(tags=["work-items"])
    routes = WorkItemRoutes(work_items, updates)
    body = {"requestBody": {"required": True, "content": {"application/json": {"schema": ref(WorkItemUpdateBody)}}}}
    for path, suffix in _PATHS.items():
        router.add_api_route(
            path,
            routes.read,
            operation_id=f"work_item{suffix}",
            response_model=WorkItemAnswer,
            responses=_READ_ERRORS,
            deprecated=bool(suffix) or None,
        )
        router.add_api_route(
            path,
            routes.update,
            methods=["PUT"],
            operation_id=f"update_work_item{suffix}",
            response_model=WorkItemAnswer,
            responses=_UPDATE_ERRORS,
            deprecated=bool(suffix) or None,
            openapi_extra=body,
        )
    router.add_api_route(
        "/v1/routing/conversations/{id}/work-items",
        routes.of_conversation,
        operation_id="conversation_work_items",
        response_model=WorkItemsAnswer,
        responses=_READ_ERRORS,
    )
    return router


def _failed(result: FailedUpdate) -> ApiError:
    status = 503 if result.code is ReasonCode.CONFLICT else 500
    return ApiError(status, Fault(parameter="path", code=result.code.value, detail=result.detail))
