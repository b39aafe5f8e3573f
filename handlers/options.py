"""How decisions are made: what a deployment chooses."""

from enum import StrEnum
from typing import Final

from msgspec import Struct

from commands.rollout import COMPOSED, EngineRollout
from sync.rule import Policy

GAP_SECONDS: Final = 60.0
"""A document not written for so long has no event left in flight (sync-rules.md, *Old news*)."""


class PolicyInUse(StrEnum):
    """`shadow` applies legacy and computes causal beside it: how a team moves over."""

    CAUSAL = "causal"
    LEGACY = "legacy"
    SHADOW = "shadow"

    @property
    def applied(self) -> Policy:
        """The policy whose result is written."""
        return Policy.CAUSAL if self is PolicyInUse.CAUSAL else Policy.LEGACY


class Options(Struct, frozen=True, kw_only=True):
    """`own_syncs_stored`: our own syncs come back from our own store, so they need no look. `repair_foreign_syncs`: a
    sync that is not ours asks the rules like an outside event."""

    policy: PolicyInUse = PolicyInUse.CAUSAL
    rollout: EngineRollout = COMPOSED
    state_from_events: bool = True
    own_syncs_stored: bool = True
    conflict_attempts_max: int = 10
    gap_seconds: float = GAP_SECONDS
    repair_foreign_syncs: bool = False
