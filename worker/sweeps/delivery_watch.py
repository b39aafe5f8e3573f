"""The delivery watch: looks every few minutes whether what is published can reach the queue.

A policy or a subscription that is removed while the worker runs leaves the queue empty, and an empty queue looks like a
quiet system. What is found makes no worker unready: a worker that is replaced for it would find the same.
"""

from collections.abc import Sequence
from typing import Final

from worker.findings import Finding, Result, Sound, Untried, findings_of
from worker.ports.topics import DeliveryInspection
from worker.runtime.context import RuntimeContext
from worker.telemetry.metrics import Metric

INTERVAL_S: Final = 300.0


class DeliveryWatch:
    """One for the process."""

    def __init__(self, *, delivery: DeliveryInspection, runtime: RuntimeContext) -> None:
        self._delivery = delivery
        self._runtime = runtime
        self._findings: Sequence[Finding] = ()
        self._untried_told: frozenset[str] = frozenset()

    async def run(self) -> None:
        """Look at once and then every `INTERVAL_S`, jittered, until cancelled."""
        while True:
            await self.round()
            await self._runtime.clock.sleep(INTERVAL_S * (0.5 + self._runtime.chance.random()))

    async def round(self) -> None:
        """Look, and tell what is new."""
        results = await self._delivery.look()
        untried = [result for result in results if isinstance(result, Untried)]
        findings = [*findings_of(results), *self._not_looked_at(results)]
        self._tell(findings, untried)
        self._findings = findings
        self._runtime.telemetry.metrics.gauge(Metric.DELIVERY_FINDINGS, len(findings))
        self._runtime.health.note_delivery(
            [finding.line for finding in findings], [f"{each.subject}: {each.reason}" for each in untried]
        )

    def _not_looked_at(self, results: Sequence[Result]) -> list[Finding]:
        """The last round's findings on what this round could not look at: nothing says that they are mended."""
        if not any(isinstance(result, Finding | Sound) for result in results):
            return list(self._findings)
        unseen = {result.subject for result in results if isinstance(result, Untried)}
        return [finding for finding in self._findings if finding.subject in unseen]

    def _tell(self, findings: Sequence[Finding], untried: Sequence[Untried]) -> None:
        log = self._runtime.telemetry.log
        for finding in findings:
            if finding not in self._findings:
                log.warning(
                    "published events may not reach the queue",
                    code=finding.code.value,
                    subject=finding.subject,
                    reason=finding.found,
                    remedy=finding.remedy,
                )
        if self._findings and not findings:
            log.info("published events reach the queue again, as far as its policy and subscriptions say")
        for each in untried:
            if each.subject not in self._untried_told:
                log.info("delivery not checked", subject=each.subject, reason=each.reason)
        self._untried_told |= {each.subject for each in untried}
