"""What is promised once all is quiet, checked on a history of outside writes (sync-rules.md, *Contract*). Pure.

| point | promise |
|---|---|
| 1 | converged: no rule that is open would fire |
| 2 | nothing lost: a field holds the last conversation write of it, unless a work-item write that knew it came after |

Who has a field is worked out from who wrote what, knowing what; not from the sync state, which could err. Both
policies are held to the tables of the causal one. Point 3, no loops, is about the number of writes: `sync_writes_max`.
"""

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any, Final

from msgspec import Struct, field
from msgspec.structs import replace

from commands.work_item import Status, WorkItem
from sync.conversation import FIELDS, Conversation, ConversationStatus, Field
from sync.rule import Policy
from sync.rules_forward import work_item_writes
from sync.rules_reverse import conversation_writes
from sync.state import agreed_fields, shared_values


class LastWrite(Struct, frozen=True, kw_only=True):
    """The last outside write of a field: at which revision, what, and for a work-item's which conversation revision it
    knew, None where it does not say. `outdone`: for a conversation's, the values of the work-item's writes that knew
    it; where a later one knew less, the field holds any of these, for they may have been carried over in between."""

    rev: int
    value: Any
    knew: int | None = None
    outdone: tuple[Any, ...] = ()


class FieldHistory(Struct, frozen=True, kw_only=True):
    """Who wrote which field last, on either side; syncs are nobody's writes."""

    conversation: Mapping[Field, LastWrite] = field(default_factory=dict)
    work_item: Mapping[Field, LastWrite] = field(default_factory=dict)

    def after_conversation(self, rev: int, fields: Iterable[Field], values: Mapping[Field, Any]) -> "FieldHistory":
        """One more outside write, of these fields, with the conversation's values after it."""
        names = set(fields)
        if "status" in names:
            # One attribute holds both: who writes the one has seen the other.
            names.add("paused")
        news = {name: LastWrite(rev=rev, value=values[name]) for name in names}
        return replace(self, conversation={**self.conversation, **news})

    def after_work_item(
        self, rev: int, fields: Iterable[Field], values: Mapping[Field, Any], *, knew: int | None
    ) -> "FieldHistory":
        """One more outside write, of these fields, with the work-item's values after it, by somebody who knew that
        conversation revision."""
        news = {name: LastWrite(rev=rev, value=values[name], knew=knew) for name in fields}
        outdone = {
            name: replace(last, outdone=(*last.outdone, _as_conversations(name, news[name].value)))
            for name, last in self.conversation.items()
            if name in news and (knew or 0) >= last.rev
        }
        return replace(self, conversation={**self.conversation, **outdone}, work_item={**self.work_item, **news})


class Violation(Struct, frozen=True, kw_only=True):
    """A broken promise: what should be there and what is."""

    point: int
    field: Field
    expected: Any
    found: Any

    def as_wire(self) -> dict[str, Any]:
        """The shape of interfaces.md."""
        return {"point": self.point, "field": self.field, "expected": self.expected, "found": self.found}


class _Owner(Enum):
    CONVERSATION = "conversation"
    WORK_ITEM = "work-item"
    EITHER = "either"


CONVERGED: Final = 1
NOTHING_LOST: Final = 2


def work_item_values(item: WorkItem) -> dict[Field, Any]:
    """The work-item's value of every shared field, comparable with one another."""
    return {
        "assignee": item.assigned_to,
        "queue": item.queue,
        "status": not item.active,
        "ended": item.status is Status.WRAP_UP,
        "paused": item.paused,
    }


def sync_writes_max(outside_writes: int) -> int:
    """Point 3: no more sync writes than this."""
    return 2 * outside_writes


def violations(
    history: FieldHistory, conversation: Conversation | None, item: WorkItem | None
) -> tuple[Violation, ...]:
    """Every broken promise, in the order of the fields; none where there is no pair."""
    if conversation is None or item is None:
        return ()
    b_fields = {write.field for write in work_item_writes(conversation, item, Policy.CAUSAL)}
    a_fields = {write.field for write in conversation_writes(conversation, item, Policy.CAUSAL)}
    values, item_values = shared_values(conversation), work_item_values(item)
    agreed = agreed_fields(conversation, item)
    broken: list[Violation] = []
    for name in FIELDS:
        wrote = history.conversation.get(name)
        owner = _owner(history, name, conversation)
        carried_back = name in a_fields and owner is not _Owner.CONVERSATION
        carried_on = name in b_fields and owner is not _Owner.WORK_ITEM
        if name == "paused" and conversation.status is ConversationStatus.DONE:
            # One attribute holds both: a conversation that is done is not snoozed any more, whoever completed it.
            continue
        if owner is _Owner.CONVERSATION and wrote and values[name] not in (wrote.value, *wrote.outdone):
            broken.append(Violation(point=NOTHING_LOST, field=name, expected=wrote.value, found=values[name]))
        elif owner is _Owner.WORK_ITEM and not _stands(history.work_item[name], name, conversation, item):
            expected = history.work_item[name].value
            broken.append(Violation(point=NOTHING_LOST, field=name, expected=expected, found=item_values[name]))
        elif owner is _Owner.CONVERSATION and carried_on:
            broken.append(Violation(point=CONVERGED, field=name, expected=values[name], found=item_values[name]))
        elif owner is _Owner.WORK_ITEM and carried_back:
            broken.append(Violation(point=CONVERGED, field=name, expected=item_values[name], found=values[name]))
        elif owner is _Owner.EITHER and carried_back and carried_on and name not in agreed:
            broken.append(Violation(point=CONVERGED, field=name, expected=values[name], found=item_values[name]))
    return tuple(broken)


def _owner(history: FieldHistory, name: Field, conversation: Conversation) -> _Owner:
    by_conversation, by_item = history.conversation.get(name), history.work_item.get(name)
    if name == "paused" or (name == "status" and conversation.deleted):
        return _Owner.CONVERSATION
    if by_item is None:
        return _Owner.EITHER if by_conversation is None else _Owner.CONVERSATION
    if by_conversation is None:
        return _Owner.WORK_ITEM
    if by_item.knew is None:
        # It is taken to know what the last reconcile knew, which depends on the order of deliveries.
        return _Owner.EITHER
    return _Owner.WORK_ITEM if by_item.knew >= by_conversation.rev else _Owner.CONVERSATION


def _stands(wrote: LastWrite, name: Field, conversation: Conversation, item: WorkItem) -> bool:
    """Whether the work-item still has what was written to it. Once it is completed it only keeps that."""
    over = not item.active or conversation.deleted
    return (name != "status" and over) or work_item_values(item)[name] == wrote.value


def _as_conversations(name: Field, value: Any) -> Any:
    """A work-item's value of a field as the conversation has it."""
    if name != "assignee":
        return value
    return [] if value is None else [value]
