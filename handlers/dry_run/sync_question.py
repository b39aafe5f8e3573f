"""The sync question: which writes would a policy make for this pair?

    {"kind": "sync", "policy": "legacy"|"causal", "trigger": "conversation"|"work-item",
     "conversation": C|null, "workItem": W|null,
     "state": null|{"changed": {field: rev}, "known": {field: rev}, "knownAt": {field: rev},
                    "touched": {field: rev}, "doneBy": {"number": n, "rev": rev},
                    "observed": {"conversation": [[first, last], …], "workItem": [[first, last], …]}}}

C and W are in the flat form (`flat_form.py`). The answer is the decision (docs/rules.md). Under legacy the trigger's
direction is decided, under causal both are. Fields missing in `state` count as revision 0. A null `state` is a pair's
first sight: every field was last changed on the trigger's side.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from commands.context import CommandContext
from commands.reason import ReasonCode
from commands.work_item import WorkItem
from handlers.documents.document_mapping import conversation_of, work_item_of
from handlers.dry_run.flat_form import conversation_document, work_item_document
from handlers.dry_run.question_part import QuestionPart
from handlers.events.schema import WholeNumber
from sync.conversation import FIELDS, Conversation
from sync.conversation import Field as SharedField
from sync.decision import skip_decision
from sync.evidence import evidence_of
from sync.gates import Policy, first_closed_gate
from sync.policy_causal import decide_causal
from sync.policy_legacy import legacy_decision
from sync.state.agreement import shared_values
from sync.state.revision_runs import RevisionRuns, with_range
from sync.state.sync_state import DoneBy, SyncState, ViewedValue


def _ascending(run: tuple[int, int]) -> tuple[int, int]:
    if run[0] > run[1]:
        raise ValueError("the first revision of a run is above its last: swap them")
    return run


_RevisionRun = Annotated[tuple[WholeNumber, WholeNumber], Field(strict=False), AfterValidator(_ascending)]
"""The first and the last revision of a run, in JSON a list of two. Runs may touch or overlap."""


class _Observed(QuestionPart):
    conversation: list[_RevisionRun] = Field(default_factory=list)
    workItem: list[_RevisionRun] = Field(default_factory=list)


class _DoneBy(QuestionPart):
    number: WholeNumber
    rev: WholeNumber


class _State(QuestionPart):
    changed: dict[SharedField, WholeNumber] = Field(default_factory=dict)
    known: dict[SharedField, WholeNumber] = Field(default_factory=dict)
    knownAt: dict[SharedField, WholeNumber] = Field(default_factory=dict)
    touched: dict[SharedField, WholeNumber] = Field(default_factory=dict)
    observed: _Observed | None = None
    doneBy: _DoneBy | None = None


class _SyncQuestion(QuestionPart):
    kind: Literal["sync"]
    policy: Literal["legacy", "causal"]
    trigger: Literal["conversation", "work-item"]
    conversation: dict[str, Any] | None = None
    workItem: dict[str, Any] | None = None
    state: _State | None = None


def answer_sync(asked: object, now: datetime) -> dict[str, Any]:
    """The decision on a sync question, as JSON. Raises InvalidFields with every fault."""
    question = _SyncQuestion.read(asked)
    conversation, item = None, None
    if question.conversation is not None:
        conversation = conversation_of(conversation_document(question.conversation, at="conversation"))
    if question.workItem is not None:
        item = work_item_of(work_item_document(question.workItem, at="workItem"))
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
    state = _sync_state(question, conversation, item)
    # Every revision counts as observed unless the state says otherwise. Else the answer would depend on events that are
    # still on their way.
    evidence = evidence_of(state, conversation, item)
    # A question has no order of events, so the tables answer by their letter.
    decided = decide_causal(evidence, context=CommandContext(), now=now, queue_now=now, in_order=False)
    return decided.decision.as_wire()


def _sync_state(question: _SyncQuestion, conversation: Conversation, item: WorkItem) -> SyncState:
    all_fields = dict.fromkeys(FIELDS, conversation.rev)
    changed: Mapping[SharedField, int] = {}
    known: Mapping[SharedField, int] = {}
    if question.state is not None:
        changed, known = question.state.changed, question.state.known
    elif question.trigger == "conversation":
        changed = all_fields
    else:
        known = all_fields
    given = question.state or _State()
    observed = given.observed
    values = shared_values(conversation)
    return SyncState(
        conversation_observed=_runs([(0, conversation.rev)] if observed is None else observed.conversation),
        work_item=item.id,
        work_item_number=item.number,
        work_item_observed=_runs([(0, item.rev)] if observed is None else observed.workItem),
        # An event that changes a field also shows its value.
        view={name: ViewedValue(value=values[name], rev=rev) for name, rev in changed.items() if rev},
        changed=changed,
        known=known,
        known_at=given.knownAt,
        touched=given.touched,
        done_by=None if given.doneBy is None else DoneBy(number=given.doneBy.number, rev=given.doneBy.rev),
    )


def _runs(given: Iterable[tuple[int, int]]) -> RevisionRuns:
    runs: RevisionRuns = ()
    for first, last in given:
        runs = with_range(runs, first, last)
    return runs
