"""Queue rules kept in memory for a while: RULES_SECONDS. A rule that cannot be used is logged and counted."""

from collections.abc import Collection, Mapping

from handlers.ports import Clock
from handlers.routing.queue_rules import OrgQueueRules, QueueRules
from worker.telemetry.metrics import Metric, Telemetry


class CachedQueueRules:
    """`handlers.routing.queue_rules.QueueRules` beside another one, which is asked once every `seconds` for each org.

    Two batches that find an org expired both ask. An org that no batch has named for so long is forgotten.
    """

    def __init__(self, stored: QueueRules, *, seconds: float, clock: Clock, telemetry: Telemetry) -> None:
        self._stored = stored
        self._seconds = seconds
        self._clock = clock
        self._telemetry = telemetry
        self._kept: dict[str, tuple[float, OrgQueueRules]] = {}

    async def of_orgs(self, orgs: Collection[str]) -> Mapping[str, OrgQueueRules]:
        """The rules of each of the orgs. Raises StoreAway, also where rules that have expired are in memory."""
        now = self._clock.monotonic()
        # Another batch may forget an org while this one reads.
        kept = {org: self._kept[org][1] for org in orgs if org in self._kept and self._kept[org][0] > now}
        expired = [org for org in orgs if org not in kept]
        if not expired:
            return kept
        read = await self._stored.of_orgs(expired)
        until = self._clock.monotonic() + self._seconds
        self._kept = {org: each for org, each in self._kept.items() if each[0] > now}
        self._kept.update((org, (until, rules)) for org, rules in read.items())
        self._tell_unreadable(read)
        return {**kept, **read}

    def _tell_unreadable(self, read: Mapping[str, OrgQueueRules]) -> None:
        for org, rules in read.items():
            for fault in rules.unreadable:
                self._telemetry.metrics.count(Metric.RULE_UNREADABLE)
                self._telemetry.log.warning("a queue rule cannot be used, it is passed over", org=org, reason=fault)
