"""A pair and what happened to it in, a decision out. Pure: nothing is written here, no clock is asked.

Policy `legacy`: the event's own direction only, on the pair as it is stored now (sync-rules.md, *Policy legacy*).
Policy `causal` has a file of its own (causal.py).
"""

from collections.abc import Mapping
from typing import Any, Final

from commands.reason import Reason
from commands.record import record, replace
from commands.work_item import WorkItem
from sync.conversation import Conversation
from sync.field import Field
from sync.forward import work_item_writes
from sync.gates import Skip, Trigger, first_closed
from sync.reverse import conversation_writes
from sync.rule import Direction, Policy, merged


@record
class Suppressed:
    """A field a rule asked for and the policy refused; `legacy` refuses none.

    `conversation_rev`: the revision that last changed the field; `known_rev`: the one the work-item's write knew.
    """

    field: Field
    code: str
    conversation_rev: int
    known_rev: int

    def as_wire(self) -> dict[str, Any]:
        """The audit's shape."""
        return {
            "field": self.field,
            "code": self.code,
            "conversationRev": self.conversation_rev,
            "knownRev": self.known_rev,
        }


@record
class Decision:
    """What to write on either side and why; skipped where both sides are None."""

    direction: Direction | None
    conversation_fields: Mapping[str, Any] | None
    work_item_fields: Mapping[str, Any] | None
    reasons: tuple[Reason, ...]
    suppressed: tuple[Suppressed, ...] = ()

    @property
    def applies(self) -> bool:
        """True where a rule wrote."""
        return self.conversation_fields is not None or self.work_item_fields is not None

    def as_wire(self) -> dict[str, Any]:
        """The decision in JSON shape, as `decide` prints it."""
        return {
            "outcome": "applied" if self.applies else "skipped",
            "direction": self.direction,
            "updatedConversation": self.conversation_fields,
            "updatedWorkItem": self.work_item_fields,
            "reasons": [reason.as_wire() for reason in self.reasons],
            "suppressed": [field.as_wire() for field in self.suppressed],
        }


def skipped(skip: Skip, *, suppressed: tuple[Suppressed, ...] = ()) -> Decision:
    """The decision to write nothing."""
    plain = _SKIPPED[skip]
    return replace(plain, suppressed=suppressed) if suppressed else plain


# Made once each: most events end with one of these.
_SKIPPED: Final = {
    skip: Decision(direction=None, conversation_fields=None, work_item_fields=None, reasons=(skip.reason(),))
    for skip in Skip
}


def decide_legacy(
    *,
    trigger: Trigger,
    conversation: Conversation | None,
    item: WorkItem | None,
    rev: int | None = None,
    is_sync: bool = False,
    supported: bool = True,
) -> Decision:
    """Policy `legacy`: gates, then table B on a conversation's event, table A on a work-item's."""
    closed = first_closed(
        supported=supported,
        is_sync=is_sync,
        trigger=trigger,
        rev=rev,
        conversation=conversation,
        item=item,
        policy=Policy.LEGACY,
    )
    if closed is not None or conversation is None or item is None:
        return skipped(closed or Skip.NO_ACTIVE_WORK_ITEM)
    forward = trigger == "conversation"
    rules = work_item_writes if forward else conversation_writes
    writes = rules(conversation, item, Policy.LEGACY)
    if not writes:
        return skipped(Skip.IN_SYNC)
    fields = merged(writes)
    return Decision(
        direction="forward" if forward else "reverse",
        conversation_fields=None if forward else fields,
        work_item_fields=fields if forward else None,
        reasons=tuple(write.reason(Policy.LEGACY) for write in writes),
    )
