"""Work-items, queues and sessions in the JSON shape of `decide`, converted to the commands' values and back."""

from datetime import UTC, datetime
from typing import Any, Final

from msgspec import Struct

from commands.context import CommandContext, RoutingQueue
from commands.engines.rollout import DEFAULT_ROLLOUT, Engine, EngineRollout
from commands.execute import Applied, Refused, execute
from commands.instant import format_instant, parse_instant
from commands.reason import Refusal, RefusalCode
from commands.session import Session, SessionEntry, apply_moves
from commands.update import Update, parse_update
from commands.work_item import HandleDuration, QueuePass, Status, StatusDuration, WorkItem

Json = dict[str, Any]

T0: Final = datetime(2022, 3, 2, 19, 0, tzinfo=UTC)
NOW: Final = datetime(2022, 3, 2, 19, 13, 26, 158_000, tzinfo=UTC)
NOW_TEXT: Final = "2022-03-02T19:13:26.158Z"
T0_TEXT: Final = "2022-03-02T19:00:00.000Z"

QUEUES: Final[tuple[Json, ...]] = (
    {"id": "q1", "key": "sales", "itemSize": 2, "priority": 3},
    {"id": "q2", "key": "support", "itemSize": 5, "priority": 1},
    {"id": "q3", "key": "plain", "itemSize": None, "priority": None},
)
SESSIONS: Final[tuple[Json, ...]] = tuple(
    {
        "id": f"s{number}",
        "user": f"u{number}",
        "active": number != 3,
        "capacity": 6,
        "workItems": [{"id": "other", "itemSize": 4}] if number == 2 else [],
        "pausedWorkItems": [],
        "pendingItem": None,
    }
    for number in (1, 2, 3)
)
"""u1 and u2 have an active session, u3 none."""


def item_json(**fields: Any) -> Json:
    """A work-item in ivr, but for `fields`."""
    return {
        "id": "w",
        "rev": 7,
        "status": "ivr",
        "assignedTo": None,
        "acceptedBy": None,
        "queue": None,
        "rule": None,
        "routedTo": None,
        "session": None,
        "team": None,
        "paused": False,
        "itemSize": 1,
        "priority": 9,
        "queuedCount": 0,
        "firstEnterQueueAt": None,
        "enteredQueueAt": None,
        **dict.fromkeys(TIMINGS),
        "updatedAt": None,
        **fields,
    }


TIMINGS: Final = (
    "queueTime",
    "queueBusinessTime",
    "routedAt",
    "acceptedAt",
    "ivrEnteredAt",
    "ivrTime",
    "ivrBusinessTime",
    "wrapUpEnteredAt",
    "wrapUpTime",
    "handleTime",
    "resumedAt",
    "createdAt",
    "firstQueueTime",
    "firstRouteTime",
    "firstAssignTime",
    "completedAt",
)
"""The timings of a work-item, each under a name of its own."""


def at(text: str | None) -> datetime | None:
    return None if text is None else parse_instant(text)


def text_of(instant: datetime | None) -> str | None:
    return None if instant is None else format_instant(instant)


def item_of(fields: Json) -> WorkItem:
    return WorkItem(
        id=fields["id"],
        rev=fields["rev"],
        status=Status(fields["status"]),
        assigned_to=fields["assignedTo"],
        accepted_by=fields["acceptedBy"],
        queue=fields["queue"],
        rule=fields["rule"],
        routed_to=fields["routedTo"],
        session=fields["session"],
        team=fields["team"],
        paused=fields["paused"],
        item_size=fields["itemSize"],
        priority=fields["priority"],
        queued_count=fields["queuedCount"],
        first_enter_queue_at=at(fields["firstEnterQueueAt"]),
        last_revision=QueuePass(
            entered_queue_at=at(fields["enteredQueueAt"]),
            queue_time_ms=fields["queueTime"],
            queue_business_time_ms=fields["queueBusinessTime"],
            routed_at=at(fields["routedAt"]),
            accepted_at=at(fields["acceptedAt"]),
        ),
        ivr=StatusDuration(
            entered_at=at(fields["ivrEnteredAt"]),
            time_ms=fields["ivrTime"],
            business_time_ms=fields["ivrBusinessTime"],
        ),
        wrap_up=StatusDuration(entered_at=at(fields["wrapUpEnteredAt"]), time_ms=fields["wrapUpTime"]),
        handle=HandleDuration(time_ms=fields["handleTime"], resumed_at=at(fields["resumedAt"])),
        resource_created_at=at(fields["createdAt"]),
        resource_first_queue_time_ms=fields["firstQueueTime"],
        resource_first_route_time_ms=fields["firstRouteTime"],
        resource_first_assign_time_ms=fields["firstAssignTime"],
        completed_at=at(fields["completedAt"]),
        updated_at=at(fields["updatedAt"]),
    )


def json_of(item: WorkItem) -> Json:
    last = item.last_revision or QueuePass()
    ivr, wrap_up = item.ivr or StatusDuration(), item.wrap_up or StatusDuration()
    handle = item.handle or HandleDuration()
    return {
        "id": item.id,
        "rev": item.rev,
        "status": item.status.value,
        "assignedTo": item.assigned_to,
        "acceptedBy": item.accepted_by,
        "queue": item.queue,
        "rule": item.rule,
        "routedTo": item.routed_to,
        "session": item.session,
        "team": item.team,
        "paused": item.paused,
        "itemSize": item.item_size,
        "priority": item.priority,
        "queuedCount": item.queued_count,
        "firstEnterQueueAt": text_of(item.first_enter_queue_at),
        "enteredQueueAt": text_of(last.entered_queue_at),
        "queueTime": last.queue_time_ms,
        "queueBusinessTime": last.queue_business_time_ms,
        "routedAt": text_of(last.routed_at),
        "acceptedAt": text_of(last.accepted_at),
        "ivrEnteredAt": text_of(ivr.entered_at),
        "ivrTime": ivr.time_ms,
        "ivrBusinessTime": ivr.business_time_ms,
        "wrapUpEnteredAt": text_of(wrap_up.entered_at),
        "wrapUpTime": wrap_up.time_ms,
        "handleTime": handle.time_ms,
        "resumedAt": text_of(handle.resumed_at),
        "createdAt": text_of(item.resource_created_at),
        "firstQueueTime": item.resource_first_queue_time_ms,
        "firstRouteTime": item.resource_first_route_time_ms,
        "firstAssignTime": item.resource_first_assign_time_ms,
        "completedAt": text_of(item.completed_at),
        "updatedAt": text_of(item.updated_at),
    }


def session_of(fields: Json) -> Session:
    return Session(
        id=fields["id"],
        user=fields["user"],
        active=fields["active"],
        capacity=fields["capacity"],
        work_items=tuple(SessionEntry(id=held["id"], item_size=held["itemSize"]) for held in fields["workItems"]),
        paused_work_items=tuple(
            SessionEntry(id=held["id"], item_size=held["itemSize"]) for held in fields["pausedWorkItems"]
        ),
        pending_item=fields["pendingItem"],
    )


def json_of_session(session: Session) -> Json:
    return {
        "id": session.id,
        "user": session.user,
        "active": session.active,
        "capacity": session.capacity,
        "workItems": [{"id": held.id, "itemSize": held.item_size} for held in session.work_items],
        "pausedWorkItems": [{"id": held.id, "itemSize": held.item_size} for held in session.paused_work_items],
        "pendingItem": session.pending_item,
        "used": session.used_capacity,
        "free": session.free_capacity,
        "routable": session.routable,
    }


def queue_of(fields: Json) -> RoutingQueue:
    return RoutingQueue(id=fields["id"], key=fields["key"], item_size=fields["itemSize"], priority=fields["priority"])


CONTEXT: Final = CommandContext(
    queues={fields["id"]: queue_of(fields) for fields in QUEUES},
    sessions={fields["id"]: session_of(fields) for fields in SESSIONS},
)


def parsed(raw: Json) -> Update:
    """The parsed update, which must be valid. One with `resume` counts as the sync's."""
    update = parse_update(raw, from_sync="resume" in raw)
    assert isinstance(update, Update), update
    return update


LEGACY: Final = EngineRollout(engine=Engine.LEGACY)


def applied(
    item: WorkItem,
    raw: Json,
    *,
    context: CommandContext = CONTEXT,
    now: datetime = NOW,
    rollout: EngineRollout = DEFAULT_ROLLOUT,
) -> WorkItem:
    """The work-item after an update that must be applied."""
    result = execute(item, parsed(raw), context=context, now=now, rollout=rollout)
    assert isinstance(result, Applied), result
    return result.after


def refused(item: WorkItem, raw: Json, *, rollout: EngineRollout = DEFAULT_ROLLOUT) -> Refusal:
    """The refusal of an update that must be refused: by the parser or by the commands."""
    update = parse_update(raw, from_sync="resume" in raw)
    if isinstance(update, Refusal):
        return update
    result = execute(item, update, context=CONTEXT, now=NOW, rollout=rollout)
    assert isinstance(result, Refused), result
    return result.refusal


def code_of(item: WorkItem, raw: Json) -> RefusalCode:
    return refused(item, raw).code


class UpdateEnd(Struct, frozen=True, kw_only=True):
    """An update's result, in JSON. `name`, `dropped` and `ignored` are the command's."""

    refusal: str | None
    item: Json
    sessions: list[Json]
    name: str
    dropped: tuple[str, ...]
    ignored: tuple[str, ...]


def end_of(
    before: WorkItem, update: Update, context: CommandContext, *, rollout: EngineRollout = DEFAULT_ROLLOUT
) -> UpdateEnd:
    """Carry out an update on a work-item and its sessions."""
    result = execute(before, update, context=context, now=NOW, rollout=rollout)
    sessions, after = dict(context.sessions), before
    if isinstance(result, Applied):
        sessions.update(apply_moves(sessions, [result.move] if result.move else []))
        after = result.after
    return UpdateEnd(
        refusal=result.refusal.code.value if isinstance(result, Refused) else None,
        item=json_of(after),
        sessions=[json_of_session(one) for one in sessions.values()],
        name=result.command.name,
        dropped=result.command.dropped,
        ignored=result.command.ignored,
    )
