"""Settlement: the one place that turns an outcome into a queue action, a metric and a log line.

| outcome | queue action |
|---|---|
| `Done` | delete |
| `Retry` | visible again after its own delay, or after one that grows with the receive count |
| `Poison` | dead-letter, then delete; where the letter cannot be sent, as `Retry` |

An entry that SQS refuses is sent again a few times and then left to redelivery. Handling a message twice is harmless;
losing it is not. On a FIFO queue, when a message is returned, the later messages of its group are returned too, so none
overtakes it.
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
from worker.consumer.call_batcher import CallBatcher
from worker.consumer.dead_letters import dead_letter
from worker.consumer.in_flight import InFlight
from worker.ports.message_queue import (
    VISIBILITY_TIMEOUT_S_MAX,
    DeadLetter,
    Message,
    MessageQueue,
    QueueAttributes,
    VisibilityChange,
)
from worker.runtime.backoff import JitteredBackoff, retry_until_done
from worker.runtime.context import RuntimeContext
from worker.telemetry.metrics import Metric, event_tag

NEAR_RECEIVE_MAX: Final = 2
"""A message with at most so many deliveries left is counted as near the maximum."""
_TRIES_MAX: Final = 4

E = TypeVar("E")


class ReturnReason(StrEnum):
    """Why the settler returns a message to the queue although its own outcome is not `Retry`."""

    READ_FAULT = "READ_FAULT"
    """An unexpected error while the message was read."""
    EARLIER_OF_GROUP_WENT_BACK = "EARLIER_OF_GROUP_WENT_BACK"
    """An earlier message of its FIFO group was returned."""
    DEAD_LETTER_FAILED = "DEAD_LETTER_FAILED"
    """Its dead letter could not be sent."""


class Settlement(Struct, frozen=True, kw_only=True):
    """A message and its outcome. `event` is the event's name, None if it could not be read."""

    message: Message
    outcome: MessageOutcome
    event: str | None = None


class Settler:
    """One for the process. `settle` and `hand_back` return only while `run` runs."""

    def __init__(
        self,
        *,
        queue: MessageQueue,
        queue_attributes: QueueAttributes,
        in_flight: InFlight,
        retry: JitteredBackoff,
        pause: JitteredBackoff,
        runtime: RuntimeContext,
    ) -> None:
        """`retry` is the backoff of a message that is returned, `pause` the backoff of a failed call to SQS."""
        self._queue_attributes = queue_attributes
        self._in_flight = in_flight
        self._retry = retry
        self._pause = pause
        self._clock = runtime.clock
        self._telemetry = runtime.telemetry
        self._deletes = CallBatcher[str](queue.delete_batch)
        self._visibility_changes = CallBatcher[VisibilityChange](queue.change_visibility_batch)
        self._letters = CallBatcher[DeadLetter](queue.dead_letter_batch)

    async def run(self) -> None:
        """Send the settlements of all callers in batches of ten, until cancelled."""
        async with asyncio.TaskGroup() as calls:
            for batcher in (self._deletes, self._visibility_changes, self._letters):
                calls.create_task(batcher.run())

    async def settle(self, settlements: Sequence[Settlement]) -> frozenset[str]:
        """Settle the messages; returns the FIFO message groups of which a message was returned to the queue.

        The messages are no longer in flight afterwards.

        Deletes and visibility changes do not wait for dead-letter sends, unless they follow one in its FIFO group.
        """
        ordered = self._return_followers(settlements)
        if not any(isinstance(settlement.outcome, Poison) for settlement in ordered):
            return await self._send_and_release(ordered)
        independent, after_letters = self._split_by_letters(ordered)
        groups = await asyncio.gather(self._send_and_release(independent), self._settle_after_letters(after_letters))
        return frozenset[str]().union(*groups)

    async def hand_back(self, messages: Sequence[Message]) -> None:
        """Make unhandled messages visible to other workers at once; they are no longer in flight afterwards."""
        receipts = [message.receipt for message in messages]
        await self._in_flight.release(receipts)
        # "hide" is a tag of the public metric `UNSETTLED` for every visibility change, a change to 0 s too.
        await self._send_with_retries(
            "hide", self._visibility_changes, [VisibilityChange(receipt=receipt, timeout_s=0) for receipt in receipts]
        )
        self._telemetry.metrics.count(Metric.HANDED_BACK, len(receipts))

    def _return_followers(self, settlements: Sequence[Settlement]) -> Sequence[Settlement]:
        """On a FIFO queue, the outcome of each message that follows a `Retry` in its group becomes a `Retry` of the
        same delay. A poisoned message keeps its outcome: it is never handled, so it overtakes no message."""
        if not self._queue_attributes.fifo:
            return settlements
        ordered: list[Settlement] = []
        delay_s: dict[str, float] = {}
        for settlement in settlements:
            group, outcome = settlement.message.group, settlement.outcome
            if group is not None and group in delay_s and not isinstance(outcome, Poison):
                outcome = Retry(reason=ReturnReason.EARLIER_OF_GROUP_WENT_BACK, after_s=delay_s[group])
            elif group is not None and isinstance(outcome, Retry):
                delay_s[group] = self._delay_s(settlement.message, outcome)
                outcome = replace(outcome, after_s=delay_s[group])
            ordered.append(settlement if outcome is settlement.outcome else replace(settlement, outcome=outcome))
        return ordered

    def _split_by_letters(self, settlements: Iterable[Settlement]) -> tuple[list[Settlement], list[Settlement]]:
        """The settlements that wait for no dead letter, and the rest."""
        groups_with_letters: set[str | None] = set()
        independent: list[Settlement] = []
        after_letters: list[Settlement] = []
        for settlement in settlements:
            poisoned = isinstance(settlement.outcome, Poison)
            if poisoned and self._queue_attributes.fifo:
                groups_with_letters.add(settlement.message.group)
            waits = poisoned or settlement.message.group in groups_with_letters
            (after_letters if waits else independent).append(settlement)
        return independent, after_letters

    async def _settle_after_letters(self, settlements: Sequence[Settlement]) -> frozenset[str]:
        return await self._send_and_release(self._return_followers(await self._send_letters(settlements)))

    async def _send_and_release(self, settlements: Sequence[Settlement]) -> frozenset[str]:
        deleted = [settlement for settlement in settlements if not isinstance(settlement.outcome, Retry)]
        returned = [settlement for settlement in settlements if isinstance(settlement.outcome, Retry)]
        if returned:
            await asyncio.gather(self._delete(deleted), self._return(returned))
        else:
            await self._delete(deleted)
        # Released last: if the worker shuts down before this line, it hands the messages in flight back.
        await self._in_flight.release(settlement.message.receipt for settlement in settlements)
        self._report(settlements)
        return frozenset(each.message.group for each in returned if self._queue_attributes.fifo and each.message.group)

    async def _send_letters(self, settlements: Sequence[Settlement]) -> list[Settlement]:
        """The settlements, with `Poison` turned into `Retry` where the dead letter could not be sent."""
        poisoned = [(each.message, each.outcome) for each in settlements if isinstance(each.outcome, Poison)]
        letters: list[DeadLetter] = []
        for message, poison in poisoned:
            written = dead_letter(message, poison, self._queue_attributes)
            letters.append(written.letter)
            if not written.explained:
                self._telemetry.log.warning(
                    "dead letter without attributes: its body leaves no room",
                    messageId=message.id,
                    code=poison.code.value,
                    reason=poison.reason,
                )
        failed = await self._send_with_retries("dead_letter", self._letters, letters)
        unsent = {poisoned[index][0].receipt for index in failed}
        retry = Retry(reason=ReturnReason.DEAD_LETTER_FAILED)
        return [replace(each, outcome=retry) if each.message.receipt in unsent else each for each in settlements]

    async def _delete(self, settlements: Sequence[Settlement]) -> None:
        await self._send_with_retries("delete", self._deletes, [each.message.receipt for each in settlements])

    async def _return(self, settlements: Sequence[Settlement]) -> None:
        # Released first: the visibility extender must not hide the messages for longer than the retry asks for.
        await self._in_flight.release(settlement.message.receipt for settlement in settlements)
        changes = [
            VisibilityChange(
                receipt=settlement.message.receipt,
                timeout_s=math.ceil(self._delay_s(settlement.message, settlement.outcome)),
            )
            for settlement in settlements
            if isinstance(settlement.outcome, Retry)
        ]
        await self._send_with_retries("hide", self._visibility_changes, changes)

    def _delay_s(self, message: Message, retry: Retry) -> float:
        seconds = self._retry.after(message.receive_count) if retry.after_s is None else retry.after_s
        return min(max(seconds, 0), VISIBILITY_TIMEOUT_S_MAX)

    async def _send_with_retries(self, action: str, batcher: CallBatcher[E], entries: Sequence[E]) -> dict[int, str]:
        """Send the entries, and send those that SQS refuses for now again, a few times; returns the codes of the
        refusals that remain, by the entry's index."""
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

        await retry_until_done(once, tries_max=_TRIES_MAX, pause=self._pause, clock=self._clock)
        for code in failed.values():
            self._telemetry.metrics.count(Metric.UNSETTLED, action=action, code=code)
        if failed:
            codes = sorted(set(failed.values()))
            self._telemetry.log.warning(
                "not settled, left to redelivery", action=action, count=len(failed), codes=codes
            )
        return failed

    def _report(self, settlements: Iterable[Settlement]) -> None:
        """Log each settlement and count the outcomes."""
        # One count for each kind of outcome: the Datadog client builds a text for every call.
        counts: Counter[tuple[str, str | None, str]] = Counter()
        for settlement in settlements:
            outcome, reason = self._log(settlement)
            counts[outcome, settlement.event, reason] += 1
        for (outcome, event, reason), count in counts.items():
            self._telemetry.metrics.count(Metric.OUTCOME, count, outcome=outcome, event=event_tag(event), reason=reason)

    def _log(self, settlement: Settlement) -> tuple[str, str]:
        """Log one settlement; returns the tags `outcome` and `reason` of its metric."""
        metrics, log, recent = self._telemetry.metrics, self._telemetry.log, self._telemetry.decisions
        message, outcome = settlement.message, settlement.outcome
        delivery = {"messageId": message.id, "receiveCount": message.receive_count}
        match outcome:
            case Done(reason=reason):
                log.debug("message done", reason=reason, **delivery)
                return "done", reason
            case Retry(reason=reason):
                log.warning("message goes back", reason=reason, **delivery)
                deliveries_left = self._queue_attributes.receive_count_max - message.receive_count
                if deliveries_left <= NEAR_RECEIVE_MAX:
                    metrics.count(Metric.NEAR_RECEIVE_MAX)
                if deliveries_left <= 0 and recent is not None:
                    # SQS moves it to the dead-letter queue instead of delivering it again.
                    recent.dead_letters.note_given_up(reason, event_tag(settlement.event))
                return "retry", reason
            case Poison(code=code, reason=reason):
                metrics.count(Metric.DEAD_LETTER, code=code.value)
                if recent is not None:
                    recent.dead_letters.note(code.value, reason, event_tag(settlement.event))
                log.warning("message dead-lettered", code=code.value, reason=reason, **delivery)
                return "poison", code.value
            case _:
                assert_never(outcome)
