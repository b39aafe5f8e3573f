"""How decisions are made: the options of a deployment, and the values that one planning needs from outside."""

from datetime import datetime
from enum import StrEnum
from typing import Final

from msgspec import Struct

from commands.rollout import DEFAULT_ROLLOUT, EngineRollout
from handlers.ports import Ids
from sync.gates import Policy

GAP_SECONDS: Final = 60.0
"""A document whose last write is longer ago has no event in flight (docs/rules.md, *Waiting, and the gap poll*)."""


class PolicyInUse(StrEnum):
    """`SYNC_POLICY`. `shadow` applies `legacy` and also computes `causal`, so that a team can compare before it
    moves."""

    CAUSAL = "causal"
    LEGACY = "legacy"
    SHADOW = "shadow"

    @property
    def applied(self) -> Policy:
        """The policy whose decision is written."""
        return Policy.CAUSAL if self is PolicyInUse.CAUSAL else Policy.LEGACY


class Options(Struct, frozen=True, kw_only=True):
    """The options of a deployment.

    - `state_from_events`: the snapshot of an event is stored.
    - `own_syncs_stored`: the worker's own syncs are already in the store, so their events end without being planned.
      False in a replay, where the captured syncs were written elsewhere.
    - `conflict_attempts_max`: how often a conversation that had a write conflict is tried again, alone.
    - `gap_seconds`: see `GAP_SECONDS`.
    - `repair_foreign_syncs`: a sync of another worker triggers a decision like an outside event.
    """

    policy: PolicyInUse = PolicyInUse.CAUSAL
    rollout: EngineRollout = DEFAULT_ROLLOUT
    state_from_events: bool = True
    own_syncs_stored: bool = True
    conflict_attempts_max: int = 10
    gap_seconds: float = GAP_SECONDS
    repair_foreign_syncs: bool = False


class PlanningContext(Struct, frozen=True, kw_only=True):
    """The values that every step of planning needs: the time of the decision, fresh ids and the options."""

    now: datetime
    ids: Ids
    options: Options
