"""The questions of `decide`: one JSON object in, one decision out, by the very rules and commands of the worker."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from commands.context import CommandContext, RoutingQueue
from commands.execute import Applied, CommandRecord, Refused, Unchanged, execute, not_executed
from commands.instant import parse_instant
from commands.reason import ReasonCode
from commands.refusal import Refusal
from commands.rollout import Engine, EngineRollout
from commands.session import Session, SessionEntry, apply_moves
from commands.update import parse_update
from commands.work_item import WorkItem
from handlers.documents.document import changes_between
from handlers.documents.json_values import unstorable
from handlers.documents.nouns import conversation_of, updated_work_item_document, work_item_of
from handlers.dry_run.flat_form import conversation_document, flat_work_item, work_item_document
from handlers.events.schema import Id, Instant, WholeNumber
from handlers.events.validation import InvalidFields, invalid_fields, question_faults
from handlers.ports import Document
from sync.conversation import FIELDS, Conversation
from sync.conversation import Field as SharedField
from sync.decision import skip_decision
from sync.evidence import DocumentAges, evidence_of
from sync.gates import first_closed_gate
from sync.policy_causal import decide_causal
from sync.policy_legacy import legacy_decision
from sync.rule import Policy
from sync.state import SyncState


class BadQuestion(Exception):
    """A question that cannot be answered; the message names every fault."""


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


_Run = Annotated[tuple[WholeNumber, WholeNumber], Field(strict=False)]
"""The first and the last revision of an unbroken run; JSON has it as a list."""


class _Observed(_Part):
    conversation: list[_Run] = Field(default_factory=list)
    workItem: list[_Run] = Field(default_factory=list)


class _State(_Part):
    changed: dict[SharedField, WholeNumber] = Field(default_factory=dict)
    known: dict[SharedField, WholeNumber] = Field(default_factory=dict)
    knownAt: dict[SharedField, WholeNumber] = Field(default_factory=dict)
    observed: _Observed | None = None


class _SyncQuestion(_Part):
    kind: Literal["sync"]
    policy: Literal["legacy", "causal"]
    trigger: Literal["conversation", "work-item"]
    conversation: dict[str, Any] | None = None
    workItem: dict[str, Any] | None = None
    state: _State | None = None


class _RoutingQueue(_Part):
    id: Id
    key: str | None = None
    itemSize: WholeNumber | None = None
    priority: int | None = None


class _SessionEntry(_Part):
    id: Id
    itemSize: WholeNumber = 0


class _Session(_Part):
    id: Id
    user: Id
    active: bool = True
    capacity: WholeNumber = 0
    workItems: list[_SessionEntry] = Field(default_factory=list)
    pausedWorkItems: list[_SessionEntry] = Field(default_factory=list)
    pendingItem: Id | None = None


class _CommandQuestion(_Part):
    kind: Literal["command"]
    engine: Literal["composed", "legacy"] = "composed"
    workItem: dict[str, Any]
    update: Any
    queues: list[_RoutingQueue] = Field(default_factory=list)
    sessions: list[_Session] = Field(default_factory=list)
    now: Instant | None = None


def answer(question: object, *, now: datetime) -> dict[str, Any]:
    """The decision on a parsed question, in the shape of docs/decide.md; `now` where it names none. BadQuestion."""
    kind = question.get("kind") if isinstance(question, Mapping) else None
    why = unstorable(question)
    if why is not None:
        raise BadQuestion(f"the question holds {why}")
    try:
        match kind:
            case "sync":
                return _answer_sync(_SyncQuestion.model_validate(question), now)
            case "command":
                return _answer_command(_CommandQuestion.model_validate(question), now)
            case _:
                raise BadQuestion("kind: must be 'sync' or 'command'")
    except ValidationError as fault:
        raise BadQuestion(question_faults(invalid_fields(fault))) from fault


def _answer_sync(question: _SyncQuestion, now: datetime) -> dict[str, Any]:
    conversation = None
    if question.conversation is not None:
        conversation = conversation_of(_document("conversation", question.conversation))
    item = None if question.workItem is None else work_item_of(_document("workItem", question.workItem))
    if question.policy == "legacy":
        return legacy_decision(side=question.trigger, conversation=conversation, item=item).as_wire()
    closed = first_closed_gate(
        supported=True,
        is_sync=False,
        side=question.trigger,
        rev=None,
        conversation=conversation,
        item=item,
        policy=Policy.CAUSAL,
    )
    if closed is not None or conversation is None or item is None:
        return skip_decision(closed or ReasonCode.NO_ACTIVE_WORK_ITEM).as_wire()
    state = _state(question, conversation, item)
    # Nothing is old, and what the state does not say is observed: else a question would be about what is on its way.
    evidence = evidence_of(state, conversation, item, ages=DocumentAges(), trigger=None)
    return decide_causal(evidence, context=CommandContext(), now=now).decision.as_wire()


def _state(question: _SyncQuestion, conversation: Conversation, item: WorkItem) -> SyncState:
    """The state a question gives; none given is a first sight, and every field goes the trigger's way."""
    every = dict.fromkeys(FIELDS, conversation.rev)
    changed: Mapping[SharedField, int] = {}
    known: Mapping[SharedField, int] = {}
    if question.state is not None:
        changed, known = question.state.changed, question.state.known
    elif question.trigger == "conversation":
        changed = every
    else:
        known = every
    given = question.state or _State()
    observed = given.observed
    return SyncState(
        conversation_observed=((0, conversation.rev),) if observed is None else tuple(sorted(observed.conversation)),
        work_item=item.id,
        work_item_number=item.number,
        work_item_observed=((0, item.rev),) if observed is None else tuple(sorted(observed.workItem)),
        reconciled=True,
        changed=changed,
        known=known,
        known_at=given.knownAt,
    )


def _answer_command(question: _CommandQuestion, now: datetime) -> dict[str, Any]:
    rollout = EngineRollout(engine=Engine(question.engine))
    before = _document("workItem", question.workItem)
    item = work_item_of(before)
    sessions = {session.id: _session(session) for session in question.sessions}
    queues = {
        queue.id: RoutingQueue(id=queue.id, key=queue.key, item_size=queue.itemSize, priority=queue.priority)
        for queue in question.queues
    }
    update = parse_update(question.update, from_sync=True)
    if isinstance(update, Refusal):
        return _commanded("refused", question, before, command=not_executed(), refusal=update)
    at = (parse_instant(question.now) if question.now else None) or now
    result = execute(item, update, context=CommandContext(queues=queues, sessions=sessions), now=at, rollout=rollout)
    match result:
        case Refused(refusal=refusal, command=command):
            return _commanded("refused", question, before, command=command, refusal=refusal)
        case Unchanged(command=command):
            return _commanded("unchanged", question, before, command=command)
        case Applied(after=after, command=command, move=move):
            moved = apply_moves(sessions, [move] if move else [])
            document = updated_work_item_document(before, item, after)
            answered = _commanded("applied", question, document, command=command)
            return {
                **answered,
                "changes": changes_between(before, document),
                "sessions": [_session_as_wire(session) for session in moved.values()],
            }


def _commanded(
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
        },
        "refusal": None if refusal is None else {"code": refusal.code.value, "message": refusal.message},
    }


def _document(name: str, flat: Mapping[str, Any]) -> Document:
    build = conversation_document if name == "conversation" else work_item_document
    try:
        return build(flat)
    except InvalidFields as fault:
        raise BadQuestion(question_faults(fault, at=(name,))) from fault


def _session(session: _Session) -> Session:
    return Session(
        id=session.id,
        user=session.user,
        active=session.active,
        capacity=session.capacity,
        work_items=tuple(SessionEntry(id=held.id, item_size=held.itemSize) for held in session.workItems),
        paused_work_items=tuple(SessionEntry(id=held.id, item_size=held.itemSize) for held in session.pausedWorkItems),
        pending_item=session.pendingItem,
    )


def _session_as_wire(session: Session) -> dict[str, Any]:
    return {
        "id": session.id,
        "user": session.user,
        "active": session.active,
        "capacity": session.capacity,
        "workItems": [{"id": held.id, "itemSize": held.item_size} for held in session.work_items],
        "pausedWorkItems": [{"id": held.id, "itemSize": held.item_size} for held in session.paused_work_items],
        "pendingItem": session.pending_item,
    }
