"""The route of a conversation's timeline: what `routing-sync explain` says, as data (docs/explain.md)."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path
from msgspec import Struct
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from handlers.ports import Clock, Store, WorkItems
from worker.api.bodies import json_answer
from worker.api.callers import caller_of
from worker.api.errors import not_found
from worker.api.schemas import answers
from worker.investigate.explain.explanation import explain, explanation_wire
from worker.investigate.explain.stored_past import read_past
from worker.ports.history import PairHistory

_DECISIONS_MAX: Final = 500
"""The decisions of which an answer tells, the latest."""

Id = Annotated[str, Path(alias="id", min_length=1, max_length=256)]


class TimelineSources(Struct, frozen=True, kw_only=True):
    """What the route reads. `audit_days`: the setting AUDIT_DAYS."""

    store: Store
    history: PairHistory
    audit_days: int


class WrittenRevision(BaseModel):
    """The revision of a record."""

    side: str
    id: str
    rev: int


class TimelineAnswerText(BaseModel):
    """Who un-assigned the agent, and why; else who assigned one, or what changed last."""

    kind: str = Field(description="unassigned, assigned, changed or unknown")
    text: str = Field(description="the answer in a sentence")
    agents: list[str]
    at: str | None
    revision: WrittenRevision | None
    rule: str | None = Field(description="the rule of the sync that made the write; null for another's write")
    policy: str | None
    trigger: str | None
    eventId: str | None  # noqa: N815 - the name on the wire
    client: str | None = Field(description="the service whose event caused the write")
    apiClient: str | None = Field(description="the name of the API's client, where the write came over HTTP")  # noqa: N815
    traceId: str | None  # noqa: N815


class ConversationExplanation(BaseModel):
    """The explanation of a conversation."""

    answer: TimelineAnswerText
    at: str | None
    missing: list[str] = Field(description="what the answer and the timeline lack, a sentence each")
    timeline: dict[str, Any] = Field(description="the timeline, as `routing-sync timeline --json` has it")


class ConversationTimelineAnswer(BaseModel):
    """A conversation's timeline."""

    data: ConversationExplanation


class TimelineRoutes:
    """The route."""

    def __init__(self, sources: TimelineSources, work_items: WorkItems, clock: Clock) -> None:
        self._sources = sources
        self._work_items = work_items
        self._clock = clock

    async def of_conversation(self, request: Request, conversation_id: Id) -> Response:
        """What happened to a conversation, and why. The latest decisions of the kept audit, 500 at most."""
        sources, org = self._sources, caller_of(request.scope).org
        stored = await self._work_items.of_conversation(conversation_id, org=org, limit=1)
        if stored is None:
            kept = await sources.history.decisions(conversation_id, org=org, limit=1)
            if not kept.records:
                raise not_found()
        past = await read_past(
            conversation_id,
            store=sources.store,
            history=sources.history,
            audit_days=sources.audit_days,
            org=org,
            decisions_max=_DECISIONS_MAX,
        )
        return json_answer({"data": explanation_wire(explain(conversation_id, past, None, now=self._clock.now()))})


def timeline_routes(sources: TimelineSources, work_items: WorkItems, clock: Clock) -> APIRouter:
    """The router of the route."""
    router = APIRouter(tags=["work-items"])
    routes = TimelineRoutes(sources, work_items, clock)
    router.add_api_route(
        "/v1/routing/conversations/{id}/timeline",
        routes.of_conversation,
        operation_id="conversation_timeline",
        response_model=ConversationTimelineAnswer,
        responses=answers(401, 403, 404, 422, 429, 500, 503),
    )
    return router
