"""What a rule yields: one shared field's write and why. A write without a reason cannot be built."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Literal

from msgspec import Struct

from commands.reason import Reason, ReasonAction, ReasonCode
from sync.conversation import Field


class Policy(StrEnum):
    """Who decides which side is newer (sync-rules.md): the sync state, or nobody."""

    CAUSAL = "causal"
    LEGACY = "legacy"


Direction = Literal["forward", "reverse", "both"]
"""forward: conversation → work-item; reverse: work-item → conversation."""


class Write(Struct, frozen=True, kw_only=True):
    """A rule that fired: `fields` are what it adds to the conversation's write or to the work-item's update."""

    rule: str
    field: Field
    fields: Mapping[str, Any]
    action: Literal[ReasonAction.SYNC_CONVERSATION, ReasonAction.SYNC_WORK_ITEM]
    code: ReasonCode

    def reason(self, policy: Policy) -> Reason:
        """Why the field was written, as it stands in the event and in the audit."""
        return Reason(action=self.action, code=self.code, meta={"rule": self.rule, "policy": policy.value})


def merged(writes: Iterable[Write]) -> dict[str, Any]:
    """All writes as one; of two that set the same key the later stands."""
    fields: dict[str, Any] = {}
    for write in writes:
        fields.update(write.fields)
    return fields
