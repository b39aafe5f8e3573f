"""NEW FILE."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from commands.reason import Reason, ReasonAction, ReasonCode
from sync.conversation import Field
from sync.gates import SKIP_CODES, SkipCode
from sync.rule import Direction


class Suppressed(Struct, frozen=True, kw_only=True):
    """A field a rule asked for and the policy refused; `legacy` refuses none.

    `conversation_rev`: the revision that last changed the field; `known_rev`: the one the work-item's write knew.
    """

    field: Field
    code: ReasonCode
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


class Decision(Struct, frozen=True, kw_only=True):
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


def skipped(skip: SkipCode, *, suppressed: tuple[Suppressed, ...] = ()) -> Decision:
    """The decision to write nothing."""
    plain = _SKIPPED[skip]
    return replace(plain, suppressed=suppressed) if suppressed else plain


# Made once each: most events end with one of these.
_SKIPPED: Final = {
    skip: Decision(
        direction=None,
        conversation_fields=None,
        work_item_fields=None,
        reasons=(Reason(action=ReasonAction.SKIP_SYNC, code=skip),),
    )
    for skip in SKIP_CODES
}
