"""The one place that turns an outcome into a queue action, a metric and a log line.

| outcome | queue action |
|---|---|
| `Done` | delete |
| `Retry` | visible again after its own delay, or after one that grows with the receive count |
| `Poison` | dead-letter, then delete; where the letter cannot be sent, as `Retry` |

What SQS does not take is tried a few times and then left to redelivery: handling a message twice does no harm, losing
one would. On a FIFO queue a message that goes back takes the later ones of its group along, so that none overtakes it.
"""

import asyncio
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final, TypeVar, assert_never

from msgspec import Struct
from msgspec.structs import replace

from handlers.outcome import Done, MessageOutcome, Poison, Retry
from handlers.ports import Clock
from worker.consumer.call_batcher import CallBatcher
from worker.consumer.dead_letters import write_letter
from worker.consumer.in_flight import InFlight
from worker.ports import VISIBILITY_TIMEOUT_S_MAX, DeadLetter, Message, MessageQueue, QueueFacts, VisibilityChange
from worker.runtime.backoff import JitteredBackoff, retry_until_done
from worker.telemetry.metrics import Metric, Telemetry, event_tag

NEAR_RECEIVE_MAX: Final = 2
"""A message is near the maximum with so many deliveries left, or fewer."""
_TRIES: Final = 4

E = TypeVar("E")


class ReturnReason(StrEnum):
    """Why settlement returns a message that has no end of its own to the queue."""

    READ_FAULT = "READ_FAULT"
    EARLIER_OF_GROUP_WENT_BACK = "EARLIER_OF_GROUP_WENT_BACK"
    DEAD_LETTER_FAILED = "DEAD_LETTER_FAILED"


class Settlement(Struct, frozen=True, kw_only=True):
    """A message and what became of it. `event` is the event's name where it could be read."""

    message: Message
    outcome: MessageOutcome
    event: str | None = None


class Settler:
    """One for the whole process; `run` must be running."""

    def __init__(
        self,
        *,
        queue: MessageQueue,
        facts: QueueFacts,
        in_flight: InFlight,
        clock: Clock,
        retry: JitteredBackoff,
        pause: JitteredBackoff,
        telemetry: Telemetry,
    ) -> None:
        """`retry` is the delay of a message that comes back, `pause` that of a call to SQS that failed."""
        self._facts = facts
        self._in_flight = in_flight
        self._clock = clock
        self._retry = retry
        self._pause = pause
        self._telemetry = telemetry
        self._deletes = CallBatcher[str](queue.delete_batch)
        self._visibility_changes = CallBatcher[VisibilityChange](queue.change_visibility_batch)
        self._letters = CallBatcher[DeadLetter](queue.dead_letter_batch)

    async def run(self) -> None:
        """Send settlements in tens, until cancelled."""
        async with asyncio.TaskGroup() as calls:
            for batcher in (self._deletes, self._visibility_changes, self._letters):
                calls.create_task(batcher.run())

    async def settle(self, settlements: Sequence[Settlement]) -> frozenset[str]:
        """Settle; the FIFO groups of which something went back. Afterwards none of the messages is in hand.

        What is no poison does not wait for the dead letters, unless it follows one in its FIFO group.
        """
        final = self._in_group_order(settlements)
        if not any(isinstance(one.outcome, Poison) for one in final):
            return await self._end(final)
        first, then = self._parted(final)
        went_back = await asyncio.gather(self._end(first), self._end_with_letters(then))
        return frozenset[str]().union(*went_back)

    def _parted(self, settlements: Iterable[Settlement]) -> tuple[list[Settlement], list[Settlement]]:
        """What waits for no dead letter, and the rest."""
        poisoned: set[str | None] = set()
        parted: tuple[list[Settlement], list[Settlement]] = ([], [])
        for one in settlements:
            if isinstance(one.outcome, Poison) and self._facts.fifo:
                poisoned.add(one.message.group)
            parted[isinstance(one.outcome, Poison) or one.message.group in poisoned].append(one)
        return parted

    async def _end_with_letters(self, settlements: Sequence[Settlement]) -> frozenset[str]:
        return await self._end(self._in_group_order(await self._dead_letter(settlements)))

    async def _end(self, final: Sequence[Settlement]) -> frozenset[str]:
        gone = [one for one in final if not isinstance(one.outcome, Retry)]
        back = [one for one in final if isinstance(one.outcome, Retry)]
        if back:
            await asyncio.gather(self._delete(gone), self._send_back(back))
        else:
            await self._delete(gone)
        # Only now: what is cut short before this line is still in hand, and is handed back.
        await self._in_flight.release(one.message.receipt for one in final)
        self._tell(final)
        return frozenset(one.message.group for one in back if self._facts.fifo and one.message.group)

    async def hand_back(self, messages: Sequence[Message]) -> None:
        """Give messages back unhandled, visible at once."""
        receipts = [message.receipt for message in messages]
        await self._in_flight.release(receipts)
        await self._send_with_retries(
            "hide", self._visibility_changes, [VisibilityChange(receipt=receipt, timeout_s=0) for receipt in receipts]
        )
        self._telemetry.metrics.count(Metric.HANDED_BACK, len(receipts))

    async def _dead_letter(self, settlements: Sequence[Settlement]) -> list[Settlement]:
        """The settlements, those whose letter could not be sent turned into `Retry`."""
        poisoned = [(one, one.outcome) for one in settlements if isinstance(one.outcome, Poison)]
        letters: list[DeadLetter] = []
        for one, poison in poisoned:
            written = write_letter(one.message, poison, self._facts)
            letters.append(written.letter)
            if not written.explained:
                self._telemetry.log.warning(
                    "dead letter without attributes: its body leaves no room",
                    messageId=one.message.id,
                    code=poison.code.value,
                    reason=poison.reason,
                )
        failed = await self._send_with_retries("dead_letter", self._letters, letters)
        unsent = {poisoned[index][0].message.receipt for index in failed}
        return [
            replace(one, outcome=Retry(reason=ReturnReason.DEAD_LETTER_FAILED))
            if one.message.receipt in unsent
            else one
            for one in settlements
        ]

    def _in_group_order(self, settlements: Sequence[Settlement]) -> Sequence[Settlement]:
        if not self._facts.fifo:
            return settlements
        ordered: list[Settlement] = []
        went_back: dict[str, float] = {}
        for one in settlements:
            group = one.message.group
            if group is not None and group in went_back and not isinstance(one.outcome, Poison):
                retry = Retry(reason=ReturnReason.EARLIER_OF_GROUP_WENT_BACK, after_s=went_back[group])
                ordered.append(replace(one, outcome=retry))
                continue
            if group is not None and isinstance(one.outcome, Retry):
                went_back[group] = self._seconds(one.message, one.outcome)
                one = replace(one, outcome=replace(one.outcome, after_s=went_back[group]))  # noqa: PLW2901 - same one
            ordered.append(one)
        return ordered

    async def _delete(self, settlements: Sequence[Settlement]) -> None:
        await self._send_with_retries("delete", self._deletes, [one.message.receipt for one in settlements])

    async def _send_back(self, settlements: Sequence[Settlement]) -> None:
        # Out of the heartbeat's sight first: it must not hide them for longer than is asked for here.
        await self._in_flight.release(one.message.receipt for one in settlements)
        changes = [
            VisibilityChange(receipt=one.message.receipt, timeout_s=math.ceil(self._seconds(one.message, one.outcome)))
            for one in settlements
            if isinstance(one.outcome, Retry)
        ]
        await self._send_with_retries("hide", self._visibility_changes, changes)

    def _seconds(self, message: Message, retry: Retry) -> float:
        seconds = self._retry.after(message.receive_count) if retry.after_s is None else retry.after_s
        return min(max(seconds, 0), VISIBILITY_TIMEOUT_S_MAX)

    async def _send_with_retries(self, action: str, batcher: CallBatcher[E], entries: Sequence[E]) -> dict[int, str]:
        """Send entries, those that failed a few times; the codes of those that SQS would not take, by index."""
        if not entries:
            return {}
        left = dict(enumerate(entries))
        failed: dict[int, str] = {}

        async def once() -> bool:
            indexes = list(left)
            for index, refused in zip(indexes, await batcher.send([left[index] for index in indexes]), strict=True):
                if refused is not None:
                    failed[index] = refused.code
                else:
                    failed.pop(index, None)
                if refused is None or refused.final:
                    del left[index]
            return not left

        await retry_until_done(once, tries_max=_TRIES, pause=self._pause, clock=self._clock)
        for code in failed.values():
            self._telemetry.metrics.count(Metric.UNSETTLED, action=action, code=code)
        if failed:
            codes = sorted(set(failed.values()))
            self._telemetry.log.warning(
                "not settled, left to redelivery", action=action, count=len(failed), codes=codes
            )
        return failed

    def _tell(self, settlements: Iterable[Settlement]) -> None:
        # A count for each kind, not for each message: the agent's client builds a text for every call.
        told: Counter[tuple[str, str | None, str]] = Counter()
        for one in settlements:
            outcome, reason = self._tell_one(one)
            told[outcome, one.event, reason] += 1
        for (outcome, event, reason), count in told.items():
            self._telemetry.metrics.count(Metric.OUTCOME, count, outcome=outcome, event=event_tag(event), reason=reason)

    def _tell_one(self, one: Settlement) -> tuple[str, str]:
        """The log's line, and what the metric is to say: the outcome and its reason."""
        metrics, log = self._telemetry.metrics, self._telemetry.log
        about = {"messageId": one.message.id, "receiveCount": one.message.receive_count}
        match one.outcome:
            case Done(reason=reason):
                log.debug("message done", reason=reason, **about)
                return "done", reason
            case Retry(reason=reason):
                log.warning("message goes back", reason=reason, **about)
                if self._facts.receive_count_max - one.message.receive_count <= NEAR_RECEIVE_MAX:
                    metrics.count(Metric.NEAR_RECEIVE_MAX)
                return "retry", reason
            case Poison(code=code, reason=reason):
                metrics.count(Metric.DEAD_LETTER, code=code.value)
                log.warning("message dead-lettered", code=code.value, reason=reason, **about)
                return "poison", code.value
            case _:
                assert_never(one.outcome)
