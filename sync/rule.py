"""The write that a rule yields: one shared field's new value and the reason (docs/rules.md). Pure."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Literal

from msgspec import Struct

from commands.reason import Reason, ReasonAction, ReasonCode
from sync.conversation import Field


class Policy(StrEnum):
    """`causal`: the sync state says which side of a field is newer. `legacy`: the event's own side wins."""

    CAUSAL = "causal"
    LEGACY = "legacy"


Direction = Literal["forward", "reverse", "both"]
"""forward: conversation → work-item; reverse: work-item → conversation."""


class Write(Struct, frozen=True, kw_only=True):
    """The write of a rule that fired. `fields` go into the conversation's write or into the work-item's update."""

    rule: str
    field: Field
    fields: Mapping[str, Any]
    action: Literal[ReasonAction.SYNC_CONVERSATION, ReasonAction.SYNC_WORK_ITEM]
    code: ReasonCode

    def reason(self, policy: Policy) -> Reason:
        """The reason as the published event and the audit line have it."""
        return Reason(action=self.action, code=self.code, meta={"rule": self.rule, "policy": policy.value})


def merged_fields(writes: Iterable[Write]) -> dict[str, Any]:
    """The fields of all writes; of two writes that set the same key the later one stands."""
    fields: dict[str, Any] = {}
    for write in writes:
        fields.update(write.fields)
    return fields
