"""How decisions are made: the options of a deployment, and the values that one planning needs from outside."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from msgspec import Struct

from commands.engines.rollout import DEFAULT_ROLLOUT, EngineRollout
from handlers.ports import Chance, Ids
from handlers.routing.queue_rules import OrgQueueRules
from sync.gates import Policy

GAP_SECONDS: Final = 60.0
"""An event becomes visible in the queue at most so long after its write (docs/rules.md, *The watermark*)."""
IVR_SECONDS: Final = 300.0
"""A work-item that has been in ivr for so long and was never queued is drift (docs/rules.md, *The sweep*)."""
FIRST_SIGHT_GAPS: Final = 10
"""At a pair's first sight, no event of a document is in flight if its last write was so many gaps before the first
worker of the deployment started (docs/rules.md, *First sight*)."""
_RETENTION_MAX: Final = timedelta(days=15)
"""SQS keeps a message for at most 14 days. The rest is for the clock of the service that wrote the document."""

_CONFLICT_PAUSE_S: Final = 0.01
_CONFLICT_PAUSE_S_MAX: Final = 1.0


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
    - `waiting_times`: the waits of work-items in queues are recorded (`handlers/routing/waiting_times.py`).
    - `gap_seconds`, `ivr_seconds`: see `GAP_SECONDS` and `IVR_SECONDS`.
    - `deployed_at`: when this deployment began: when its first worker started or, if that was earlier, when its queue
      was created. None: unknown, so only a document without a time of writing counts as written long before.
    - `create_work_items`: a routable conversation without an active work-item gets one.
    - `unassign_on_unavailable`: a re-opened conversation whose users are away is un-assigned when its work-item is
      created.
    - `queue_rules`: an ivr work-item is queued by the queue rules of its org.
    - `keeps_audit`: the audit records of decisions are stored with them (`handlers/planning/kept_audit.py`).
    """

    policy: PolicyInUse = PolicyInUse.CAUSAL
    rollout: EngineRollout = DEFAULT_ROLLOUT
    state_from_events: bool = True
    own_syncs_stored: bool = True
    conflict_attempts_max: int = 10
    waiting_times: bool = False
    gap_seconds: float = GAP_SECONDS
    ivr_seconds: float = IVR_SECONDS
    deployed_at: datetime | None = None
    create_work_items: bool = False
    unassign_on_unavailable: bool = False
    queue_rules: bool = False
    keeps_audit: bool = False

    @property
    def routes(self) -> bool:
        """True where the worker routes beside the sync: it creates work-items, or queues them by rules."""
        return self.create_work_items or self.queue_rules

    def conflict_pause_s(self, attempt: int, chance: Chance) -> float:
        """The growing, jittered delay before another try of a conversation that had a write conflict; the first
        attempt is 0."""
        ceiling_s: float = min(_CONFLICT_PAUSE_S * 2**attempt, _CONFLICT_PAUSE_S_MAX)
        return ceiling_s * chance.random()

    def is_long_before_deployment(self, written_at: datetime | None) -> bool:
        """True if a document with this time of its last write has no event in flight at first sight."""
        if written_at is None:
            return True
        if self.deployed_at is None:
            return False
        return written_at < self.deployed_at - timedelta(seconds=FIRST_SIGHT_GAPS * self.gap_seconds)

    def may_be_in_flight(self, written_at: datetime | None, now: datetime) -> bool:
        """Whether an event of a document may be in flight, by the time of the document's last write. SQS has deleted
        the event of an older write."""
        if self.is_long_before_deployment(written_at) or written_at is None:
            return False
        return written_at > now - _RETENTION_MAX


class PlanningContext(Struct, frozen=True, kw_only=True):
    """The values that every step of planning needs: the time of the decision, fresh ids and the options.

    `now` is the worker's clock, for documents and events. `queue_now` is SQS's clock, from which a field waits.
    `queue_rules`: the queue rules by org, of the orgs of the batch; empty where the deployment has none.
    """

    now: datetime
    queue_now: datetime
    ids: Ids
    options: Options
    queue_rules: Mapping[str, OrgQueueRules] = {}
