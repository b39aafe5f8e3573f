"""The contract: the promises that hold once all events are handled, checked on a history of outside writes
(docs/rules.md, *The contract*). Pure.

| point | promise |
|---|---|
| 1 | converged: no rule that is open would fire; no work-item of a done or deleted conversation is active |
| 2 | nothing lost: a field holds the last conversation write of it, unless a work-item write that knew it came after |
| 2 | a work-item that the sync completed has the agent and the queue that the conversation had when it was done |

The owner of a field follows from the outside writes and from what each of them knew, not from the sync state, which is
under test. Both policies are held to the tables of policy `causal`. Point 3, no loops, bounds the number of writes:
`sync_writes_max`.
"""

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any, Final

from msgspec import Struct, field
from msgspec.structs import replace

from commands.work_item import WorkItem
from sync.conversation import FIELDS, Conversation, ConversationStatus, Field
from sync.gates import Policy
from sync.rules_forward import work_item_writes
from sync.rules_reverse import conversation_writes
from sync.state.agreement import agreed_fields, shared_values, work_item_values


class LastWrite(Struct, frozen=True, kw_only=True):
    """The last outside write of a field on one side.

    - `known_conversation_rev`: for a work-item's write, the conversation revision that it knew; None if the event does
      not say.
    - `repeated`: for a conversation's write, whether the history holds an earlier one of the field.
    - `superseding_values`: for a conversation's write, the values of later work-item writes that knew it. The sync may
      have written any of them to the conversation, so the field may hold one of them.
    """

    rev: int
    value: Any
    known_conversation_rev: int | None = None
    repeated: bool = False
    superseding_values: tuple[Any, ...] = ()


class FieldHistory(Struct, frozen=True, kw_only=True):
    """The last outside write of each field on either side; a sync is not an outside write."""

    conversation: Mapping[Field, LastWrite] = field(default_factory=dict)
    work_item: Mapping[Field, LastWrite] = field(default_factory=dict)

    def after_conversation(self, rev: int, fields: Iterable[Field], values: Mapping[Field, Any]) -> "FieldHistory":
        """The history after an outside write of these fields; `values` are the conversation's after it."""
        names = set(fields)
        if "status" in names:
            # The conversation stores `status` and `paused` in one attribute, so a write of `status` also writes
            # `paused`.
            names.add("paused")
        writes = {name: LastWrite(rev=rev, value=values[name], repeated=name in self.conversation) for name in names}
        return replace(self, conversation={**self.conversation, **writes})

    def after_work_item(
        self, rev: int, fields: Iterable[Field], values: Mapping[Field, Any], *, known_conversation_rev: int | None
    ) -> "FieldHistory":
        """The history after an outside write of these fields; `values` are the work-item's after it."""
        writes = {
            name: LastWrite(rev=rev, value=values[name], known_conversation_rev=known_conversation_rev)
            for name in fields
        }
        superseding_values = {
            name: replace(
                last, superseding_values=(*last.superseding_values, _as_conversations(name, writes[name].value))
            )
            for name, last in self.conversation.items()
            if name in writes and (known_conversation_rev or 0) >= last.rev
        }
        if "status" in writes and writes["status"].value is True and "paused" in self.conversation:
            # Rule A1 takes the completion in. The conversation stores `paused` in the same attribute, so it is lost.
            paused = superseding_values.get("paused", self.conversation["paused"])
            superseding_values["paused"] = replace(paused, superseding_values=(*paused.superseding_values, False))
        return replace(
            self, conversation={**self.conversation, **superseding_values}, work_item={**self.work_item, **writes}
        )


class Violation(Struct, frozen=True, kw_only=True):
    """A broken promise: the expected value and the one found."""

    point: int
    field: Field
    expected: Any
    found: Any

    def as_wire(self) -> dict[str, Any]:
        """The JSON shape that `replay` prints (docs/replay.md)."""
        return {"point": self.point, "field": self.field, "expected": self.expected, "found": self.found}


class _Owner(Enum):
    CONVERSATION = "conversation"
    WORK_ITEM = "work-item"
    EITHER = "either"


CONVERGED: Final = 1
NOTHING_LOST: Final = 2


def sync_writes_max(outside_writes: int) -> int:
    """Point 3: the largest number of sync writes."""
    return 2 * outside_writes


def violations(
    history: FieldHistory, conversation: Conversation | None, item: WorkItem | None
) -> tuple[Violation, ...]:
    """Every broken promise, in the order of the fields; none where one of the two records is missing."""
    if conversation is None or item is None:
        return ()
    b_writes = work_item_writes(conversation, item, Policy.CAUSAL, assignee=item.assigned_to)
    b_fields = {write.field for write in b_writes}
    a_fields = {write.field for write in conversation_writes(conversation, item, Policy.CAUSAL)}
    values, item_values = shared_values(conversation), work_item_values(item)
    agreed = agreed_fields(conversation, item)
    broken: list[Violation] = []
    for name in FIELDS:
        wrote = history.conversation.get(name)
        owner = _owner(history, name, conversation, item)
        a_would_fire = name in a_fields and owner is not _Owner.CONVERSATION
        b_would_fire = name in b_fields and owner is not _Owner.WORK_ITEM
        if name == "paused" and conversation.status is ConversationStatus.DONE:
            # The conversation stores both in one attribute: a conversation that is done is no longer snoozed.
            continue
        kept = (wrote.value, *wrote.superseding_values) if wrote else ()
        if owner is _Owner.CONVERSATION and wrote and values[name] not in kept:
            broken.append(Violation(point=NOTHING_LOST, field=name, expected=wrote.value, found=values[name]))
        elif owner is _Owner.CONVERSATION and name not in agreed and _is_last_word(history, name, conversation, item):
            broken.append(Violation(point=NOTHING_LOST, field=name, expected=values[name], found=item_values[name]))
        elif owner is _Owner.WORK_ITEM and not _is_kept(history.work_item[name], name, conversation, item):
            expected = history.work_item[name].value
            broken.append(Violation(point=NOTHING_LOST, field=name, expected=expected, found=item_values[name]))
        elif owner is _Owner.CONVERSATION and b_would_fire:
            broken.append(Violation(point=CONVERGED, field=name, expected=values[name], found=item_values[name]))
        elif owner is _Owner.WORK_ITEM and a_would_fire:
            broken.append(Violation(point=CONVERGED, field=name, expected=item_values[name], found=values[name]))
        elif owner is _Owner.EITHER and a_would_fire and b_would_fire and name not in agreed:
            broken.append(Violation(point=CONVERGED, field=name, expected=values[name], found=item_values[name]))
    return tuple(broken)


def _owner(history: FieldHistory, name: Field, conversation: Conversation, item: WorkItem) -> _Owner:
    by_conversation, by_item = history.conversation.get(name), history.work_item.get(name)
    if name == "paused" or (name == "status" and conversation.deleted):
        return _Owner.CONVERSATION
    closed = conversation.status is ConversationStatus.DONE
    if name == "status" and closed and (item.active or by_item is None or not by_item.value):
        # A conversation that is done is newer than every active work-item.
        return _Owner.CONVERSATION
    if by_item is None:
        return _Owner.EITHER if by_conversation is None else _Owner.CONVERSATION
    if by_conversation is None:
        return _Owner.WORK_ITEM
    if by_item.known_conversation_rev is None:
        # The event does not name a known revision. The sync then assumes that of its last decision, which depends on
        # delivery order, so either side may own the field.
        return _Owner.EITHER
    return _Owner.WORK_ITEM if by_item.known_conversation_rev >= by_conversation.rev else _Owner.CONVERSATION


def _is_kept(wrote: LastWrite, name: Field, conversation: Conversation, item: WorkItem) -> bool:
    """Whether the work-item still has the written value.

    A completed work-item keeps agent and queue only, and that of a deleted conversation only its `status`. A work-item
    without an agent does not stay in wrap-up: the conversation keeps that it ended. With an agent and a snoozed
    conversation it goes to wrap-up once the conversation is open again (rule B7).
    """
    if conversation.deleted and name != "status":
        return True
    if not item.active and name in ("ended", "paused"):
        return True
    if name == "ended" and item.assigned_to is None:
        return True
    if name == "ended" and wrote.value and conversation.ended and conversation.status is ConversationStatus.SNOOZED:
        return True
    return bool(work_item_values(item)[name] == wrote.value)


def _is_last_word(history: FieldHistory, name: Field, conversation: Conversation, item: WorkItem) -> bool:
    """Whether the sync completed the work-item after the conversation's last write of the agent or the queue.

    Of a conversation that was re-opened and closed again nobody can tell which closing completed the work-item.
    """
    if name not in ("assignee", "queue") or item.active or conversation.deleted:
        return False
    by_item, wrote = history.work_item.get("status"), history.conversation.get(name)
    closing = history.conversation.get("status")
    completed_outside = by_item is not None and bool(by_item.value)
    if completed_outside or closing is None or closing.value is not True or closing.repeated:
        return False
    return wrote is None or wrote.rev <= closing.rev


def _as_conversations(name: Field, value: Any) -> Any:
    """A work-item's value of a field in the conversation's form."""
    if name != "assignee":
        return value
    return [] if value is None else [value]
