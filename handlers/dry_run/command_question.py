"""The command question: what would an update do to this work-item?

    {"kind": "command", "engine": "composed"|"legacy", "workItem": W, "update": U,
     "queues": [{"id", "key", "itemSize", "priority"}],
     "sessions": [{"id", "user", "active", "capacity", "workItems": [{"id", "itemSize"}], "pausedWorkItems": […],
                   "pendingItem": id|null}],
     "now": "2022-03-02T19:13:26.158Z"}

W is in the flat form (`flat_form.py`), U is an update (docs/commands.md). The answer:

    {"outcome": "applied"|"unchanged"|"refused", "workItem": W after, "changes": {"attributes", "relationships"},
     "sessions": [the sessions that changed], "command": {"engine", "name", "actions", "composed", "ignored"?},
     "refusal": null|{"code", "message"}}

`ignored` stands there where the status made no use of something that the update asks.
"""

from datetime import datetime
from typing import Any, Literal, assert_never

from pydantic import Field

from commands.context import CommandContext, RoutingQueue
from commands.engines.rollout import Engine, EngineRollout
from commands.execute import Applied, CommandRecord, Refused, Unchanged, execute, not_executed
from commands.instant import parse_instant
from commands.reason import Refusal
from commands.session import Session, SessionEntry, apply_moves
from commands.update import parse_update
from handlers.documents.document import changes_between
from handlers.documents.document_mapping import updated_work_item_document, work_item_of
from handlers.dry_run.flat_form import flat_work_item, work_item_document
from handlers.dry_run.question_part import QuestionPart
from handlers.events.schema import FiniteNumber, Id, Instant, WholeNumber
from handlers.ports import Document


class _RoutingQueue(QuestionPart):
    id: Id
    key: str | None = None
    itemSize: FiniteNumber | None = None
    priority: int | None = None


class _SessionEntry(QuestionPart):
    id: Id
    itemSize: FiniteNumber = 0


class _Session(QuestionPart):
    id: Id
    user: Id
    active: bool = True
    capacity: WholeNumber = 0
    workItems: list[_SessionEntry] = Field(default_factory=list)
    pausedWorkItems: list[_SessionEntry] = Field(default_factory=list)
    pendingItem: Id | None = None


class _CommandQuestion(QuestionPart):
    kind: Literal["command"]
    engine: Literal["composed", "legacy"] = "composed"
    workItem: dict[str, Any]
    update: Any
    queues: list[_RoutingQueue] = Field(default_factory=list)
    sessions: list[_Session] = Field(default_factory=list)
    now: Instant | None = None


def answer_command(asked: object, now: datetime) -> dict[str, Any]:
    """The result of a command question, as JSON. Raises InvalidFields with every fault."""
    question = _CommandQuestion.read(asked)
    before = work_item_document(question.workItem, at="workItem")
    item = work_item_of(before)
    sessions = {session.id: _session(session) for session in question.sessions}
    update = parse_update(question.update, from_sync=True)
    if isinstance(update, Refusal):
        return _result("refused", question, before, command=not_executed(), refusal=update)
    at = (parse_instant(question.now) if question.now else None) or now
    result = execute(
        item,
        update,
        context=CommandContext(queues=_queues(question), sessions=sessions),
        now=at,
        rollout=EngineRollout(engine=Engine(question.engine)),
    )
    match result:
        case Refused(refusal=refusal, command=command):
            return _result("refused", question, before, command=command, refusal=refusal)
        case Unchanged(command=command):
            return _result("unchanged", question, before, command=command)
        case Applied(after=after, command=command, move=move):
            moved = apply_moves(sessions, [move] if move else [])
            document = updated_work_item_document(before, item, after)
            return {
                **_result("applied", question, document, command=command),
                "changes": changes_between(before, document),
                "sessions": [_session_as_wire(session) for session in moved.values()],
            }
        case _:
            assert_never(result)


def _result(
    outcome: str,
    question: _CommandQuestion,
    document: Document,
    *,
    command: CommandRecord,
    refusal: Refusal | None = None,
) -> dict[str, Any]:
    return {
        "outcome": outcome,
        "workItem": flat_work_item(document, question.workItem),
        "changes": {"attributes": {}, "relationships": {}},
        "sessions": [],
        "command": {
            "engine": command.engine.value,
            "name": command.name,
            "actions": list(command.actions),
            "composed": command.composed,
            **({"ignored": list(command.ignored)} if command.ignored else {}),
        },
        "refusal": None if refusal is None else {"code": refusal.code.value, "message": refusal.message},
    }


def _queues(question: _CommandQuestion) -> dict[str, RoutingQueue]:
    return {
        queue.id: RoutingQueue(id=queue.id, key=queue.key, item_size=queue.itemSize, priority=queue.priority)
        for queue in question.queues
    }


def _session(session: _Session) -> Session:
    return Session(
        id=session.id,
        user=session.user,
        active=session.active,
        capacity=session.capacity,
        work_items=_entries(session.workItems),
        paused_work_items=_entries(session.pausedWorkItems),
        pending_item=session.pendingItem,
    )


def _entries(entries: list[_SessionEntry]) -> tuple[SessionEntry, ...]:
    return tuple(SessionEntry(id=entry.id, item_size=entry.itemSize) for entry in entries)


def _session_as_wire(session: Session) -> dict[str, Any]:
    return {
        "id": session.id,
        "user": session.user,
        "active": session.active,
        "capacity": session.capacity,
        "workItems": _entries_as_wire(session.work_items),
        "pausedWorkItems": _entries_as_wire(session.paused_work_items),
        "pendingItem": session.pending_item,
    }


def _entries_as_wire(entries: tuple[SessionEntry, ...]) -> list[dict[str, Any]]:
    return [{"id": entry.id, "itemSize": entry.item_size} for entry in entries]
