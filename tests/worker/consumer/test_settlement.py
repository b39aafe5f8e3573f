"""Settlement: each outcome becomes its queue action, in batches of ten, with partial failures, in FIFO order."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from msgspec.structs import replace

from handlers.events.event import RejectionCode
from handlers.outcome import Done, MessageOutcome, Poison, Retry
from tests.worker.stand_ins.fake_clock import AutoAdvancingClock, MiddleChance
from tests.worker.stand_ins.message_queue import LATER, NEVER, StandInQueue
from tests.worker.stand_ins.telemetry_recorder import TelemetryRecorder, runtime_of
from worker.consumer.in_flight import InFlight
from worker.consumer.settlement import Settlement, Settler
from worker.errors import QueueAway
from worker.ports.message_queue import Message
from worker.runtime.backoff import JitteredBackoff
from worker.telemetry.metrics import Metric
from worker.telemetry.status_page.decisions import RecentDecisions

DONE = Done(reason="APPLIED")
AGAIN = Retry(reason="CONFLICT")
DEAD = Poison(code=RejectionCode.NOT_JSON, reason="the body is not JSON")


@dataclass(slots=True)
class SettlementBench:
    queue: StandInQueue
    in_flight: InFlight
    settler: Settler
    recorder: TelemetryRecorder
    clock: AutoAdvancingClock

    async def receive(self, *bodies: str, group: str | None = None) -> list[Message]:
        for body in bodies:
            self.queue.send(body, group=group)
        received: list[Message] = []
        while some := (await self.queue.receive(wait_s=0)).messages:
            await self.in_flight.reserve(10)
            await self.in_flight.add(some, reserved=10)
            received.extend(some)
        return received

    async def settle_all(self, messages: Sequence[Message], *outcomes: MessageOutcome) -> frozenset[str]:
        pairs = zip(messages, outcomes, strict=True)
        return await self.settler.settle([Settlement(message=message, outcome=outcome) for message, outcome in pairs])


@asynccontextmanager
async def _bench(*, fifo: bool = False, reports: bool = False) -> AsyncIterator[SettlementBench]:
    clock, recorder = AutoAdvancingClock(), TelemetryRecorder()
    if reports:
        recorder.telemetry = replace(recorder.telemetry, decisions=RecentDecisions(clock))
    queue = StandInQueue(clock)
    queue.attributes = replace(queue.attributes, fifo=fifo)
    in_flight = InFlight(count_max=1_000, bytes_max=1_000_000, visibility_timeout_s=60, clock=clock)
    settler = Settler(
        queue=queue,
        queue_attributes=queue.attributes,
        in_flight=in_flight,
        retry=JitteredBackoff(first_s=2, max_s=900, chance=MiddleChance()),
        pause=JitteredBackoff(first_s=0.2, max_s=1, chance=MiddleChance()),
        runtime=runtime_of(clock, recorder),
    )
    running = asyncio.create_task(settler.run())
    yield SettlementBench(queue, in_flight, settler, recorder, clock)
    running.cancel()
    await asyncio.wait([running])


@pytest.fixture
async def bench() -> AsyncIterator[SettlementBench]:
    async with _bench() as one:
        yield one


@pytest.fixture
async def fifo() -> AsyncIterator[SettlementBench]:
    async with _bench(fifo=True) as one:
        yield one


async def test_done_is_deleted_retry_is_hidden_poison_is_dead_lettered_and_deleted(bench: SettlementBench) -> None:
    messages = await bench.receive("a", "b", "c")
    await bench.settle_all(messages, DONE, AGAIN, DEAD)
    assert bench.queue.left == ["m2"]
    assert bench.queue.visible_in_seconds("m2") == 2
    assert [letter.body for letter in bench.queue.dead] == ["c"]
    assert len(bench.in_flight) == 0
    name = Metric.OUTCOME.value
    assert bench.recorder.counts[f"{name} event=other outcome=done reason=APPLIED"] == 1
    assert bench.recorder.counts[f"{name} event=other outcome=retry reason=CONFLICT"] == 1
    assert bench.recorder.counts[f"{name} event=other outcome=poison reason=NOT_JSON"] == 1
    assert bench.recorder.counts[f"{Metric.DEAD_LETTER.value} code=NOT_JSON"] == 1


async def test_a_message_that_goes_back_waits_longer_each_time_and_is_counted_near_the_maximum(
    bench: SettlementBench,
) -> None:
    bench.queue.send("a")
    waits: list[int] = []
    for _ in range(9):
        (message,) = await bench.receive()
        await bench.settle_all([message], AGAIN)
        waits.append(bench.queue.hidden[-1].timeout_s)
        await bench.clock.sleep(waits[-1])
    assert waits == [2, 3, 6, 12, 24, 48, 96, 192, 384]
    assert bench.recorder.total(Metric.NEAR_RECEIVE_MAX) == 2


async def test_the_report_counts_what_was_dead_lettered_and_what_went_back_after_its_last_delivery() -> None:
    async with _bench(reports=True) as bench:
        await bench.settle_all(await bench.receive("a", "b"), DEAD, DEAD)
        bench.queue.send("c")
        for _ in range(bench.queue.attributes.receive_count_max):
            (message,) = await bench.receive()
            await bench.settle_all([message], AGAIN)
            await bench.clock.sleep(bench.queue.hidden[-1].timeout_s)
        recent = bench.recorder.telemetry.decisions
        assert recent is not None
        assert [(each.code, each.reason, each.count) for each in recent.dead_letters.counts()] == [
            ("NOT_JSON", "the body is not JSON", 2),
            ("NO_CODE", "CONFLICT at each delivery", 1),
        ]


async def test_a_retry_may_name_its_own_delay_within_what_sqs_takes(bench: SettlementBench) -> None:
    messages = await bench.receive("a", "b")
    await bench.settle_all(messages, replace(AGAIN, after_s=0.2), replace(AGAIN, after_s=1e9))
    assert [hide.timeout_s for hide in bench.queue.hidden] == [1, 43_200]


async def test_only_the_refused_entries_of_a_call_are_sent_again(bench: SettlementBench) -> None:
    messages = await bench.receive("a", "b", "c")
    bench.queue.refuse("delete", None, LATER, None)
    await bench.settle_all(messages, DONE, DONE, DONE)
    assert bench.queue.left == []
    assert bench.queue.calls[-2:] == [("delete", 3), ("delete", 1)]
    assert bench.recorder.total(Metric.UNSETTLED) == 0


async def test_a_finally_refused_entry_is_left_to_redelivery_and_counted(bench: SettlementBench) -> None:
    messages = await bench.receive("a", "b")
    bench.queue.refuse("delete", NEVER)
    await bench.settle_all(messages, DONE, DONE)
    assert bench.queue.left == ["m1"]
    assert [call for call in bench.queue.calls if call[0] == "delete"] == [("delete", 2)]
    assert bench.recorder.counts[f"{Metric.UNSETTLED.value} action=delete code=ReceiptHandleIsInvalid"] == 1
    assert len(bench.in_flight) == 0


async def test_a_delete_is_retried_while_the_queue_is_away_then_left_to_redelivery(bench: SettlementBench) -> None:
    messages = await bench.receive("a")
    bench.queue.refuse("delete", QueueAway("away"), QueueAway("away"))
    await bench.settle_all(messages, DONE)
    assert bench.queue.left == []
    messages = await bench.receive("b")
    bench.queue.refuse("delete", *[QueueAway("away")] * 9)
    await bench.settle_all(messages, DONE)
    assert bench.queue.left == ["m2"]
    assert bench.recorder.counts[f"{Metric.UNSETTLED.value} action=delete code=AWAY"] == 1


async def test_without_its_dead_letter_a_message_is_not_deleted(bench: SettlementBench) -> None:
    messages = await bench.receive("a", "b")
    bench.queue.refuse("dead_letter", *[NEVER])
    await bench.settle_all(messages, DEAD, DEAD)
    assert bench.queue.left == ["m1"]
    assert [letter.body for letter in bench.queue.dead] == ["b"]
    assert bench.recorder.counts[f"{Metric.OUTCOME.value} event=other outcome=retry reason=DEAD_LETTER_FAILED"] == 1


async def test_a_dead_letter_without_room_for_attributes_is_logged_with_its_reason(bench: SettlementBench) -> None:
    bench.queue.send("x" * 262_144)
    await bench.settle_all(await bench.receive(), DEAD)
    assert bench.queue.dead[0].attributes == {}
    line = next(line for line in bench.recorder.lines if "leaves no room" in line["msg"])
    assert (line["messageId"], line["code"], line["reason"]) == ("m1", "NOT_JSON", "the body is not JSON")


async def test_settlements_of_several_lanes_share_calls(bench: SettlementBench) -> None:
    messages = await bench.receive(*"abcdefghijklmnopqrstuvwxyz")
    await asyncio.gather(*(bench.settle_all([message], DONE) for message in messages))
    deletes = [entries for action, entries in bench.queue.calls if action == "delete"]
    assert bench.queue.left == []
    assert sorted(deletes) == [6, 10, 10]


async def test_handing_back_makes_messages_visible_at_once(bench: SettlementBench) -> None:
    messages = await bench.receive(*"abcdefghijkl")
    await bench.settler.hand_back(messages)
    assert {bench.queue.visible_in_seconds(message.id) for message in messages} == {0}
    assert len(bench.in_flight) == 0
    assert bench.recorder.total(Metric.HANDED_BACK) == 12


async def test_fifo_a_message_that_goes_back_takes_the_later_ones_of_its_group_along(fifo: SettlementBench) -> None:
    c1 = await fifo.receive("a", "b", "c", group="c1")
    c2 = await fifo.receive("d", group="c2")
    went_back = await fifo.settle_all([*c1, *c2], DONE, AGAIN, DONE, DONE)
    assert went_back == {"c1"}
    assert fifo.queue.left == ["m2", "m3"]
    assert {fifo.queue.visible_in_seconds(one) for one in fifo.queue.left} == {2}
    assert (
        fifo.recorder.counts[f"{Metric.OUTCOME.value} event=other outcome=retry reason=EARLIER_OF_GROUP_WENT_BACK"] == 1
    )


async def test_a_group_on_a_standard_queue_orders_nothing(bench: SettlementBench) -> None:
    """SQS's fair queues: the group names a tenant. Other implementations refuse one on a standard queue."""
    messages = await bench.receive("a", "b", "c", group="tenant")
    assert await bench.settle_all(messages, AGAIN, DEAD, DONE) == frozenset()
    assert bench.queue.left == ["m1"]
    assert bench.queue.dead[0].group is None


async def test_fifo_a_dead_letter_that_cannot_be_sent_holds_its_group_back(fifo: SettlementBench) -> None:
    messages = await fifo.receive("a", "b", group="c1")
    fifo.queue.refuse("dead_letter", NEVER)
    assert await fifo.settle_all(messages, DEAD, DONE) == {"c1"}
    assert fifo.queue.left == ["m1", "m2"]


async def test_fifo_dead_letters_keep_their_group(fifo: SettlementBench) -> None:
    await fifo.settle_all(await fifo.receive("a", group="c1"), DEAD)
    assert (fifo.queue.dead[0].group, fifo.queue.dead[0].deduplication_id) == ("c1", "m1")


async def test_no_body_is_ever_logged(bench: SettlementBench) -> None:
    messages = await bench.receive("a customer's words", "more of them", "and more")
    await bench.settle_all(messages, DONE, AGAIN, DEAD)
    assert "words" not in str(bench.recorder.lines)
    assert "more" not in str(bench.recorder.lines)


async def test_deletes_do_not_wait_for_dead_letter_sends(bench: SettlementBench) -> None:
    messages = await bench.receive("good", "bad", "busy")
    bench.queue.refuse("dead_letter", LATER, LATER)
    await bench.settle_all(messages, DONE, DEAD, AGAIN)
    calls = [action for action, _ in bench.queue.calls if action != "receive"]
    assert sorted(calls[:3]) == ["dead_letter", "delete", "hide"], "side by side"
    assert calls[3:] == ["dead_letter", "dead_letter", "delete"]
    assert bench.queue.left == ["m3"]
    assert len(bench.in_flight) == 0


async def test_fifo_a_message_behind_a_poisoned_one_waits_for_the_dead_letter(fifo: SettlementBench) -> None:
    messages = await fifo.receive("early", "bad", "late", group="g")
    fifo.queue.refuse("dead_letter", *[LATER] * 4)
    assert await fifo.settle_all(messages, DONE, DEAD, DONE) == {"g"}
    calls = [action for action, _ in fifo.queue.calls if action != "receive"]
    assert calls == ["delete", *["dead_letter"] * 4, "hide"]
    assert fifo.queue.left == ["m2", "m3"]
    assert [hide.timeout_s for hide in fifo.queue.hidden] == [2, 2]


async def test_fifo_another_group_does_not_wait_for_the_dead_letter(fifo: SettlementBench) -> None:
    messages = [*await fifo.receive("bad", group="g"), *await fifo.receive("good", group="h")]
    fifo.queue.refuse("dead_letter", *[LATER] * 4)
    assert await fifo.settle_all(messages, DEAD, DONE) == {"g"}
    assert [action for action, _ in fifo.queue.calls if action != "receive"][:2] == ["delete", "dead_letter"]
    assert fifo.queue.left == ["m1"]


async def test_fifo_a_message_that_goes_back_before_a_poisoned_one_takes_the_later_ones_along(
    fifo: SettlementBench,
) -> None:
    messages = await fifo.receive("busy", "bad", "late", group="g")
    assert await fifo.settle_all(messages, AGAIN, DEAD, DONE) == {"g"}
    assert fifo.queue.left == ["m1", "m3"]
    assert [letter.body for letter in fifo.queue.dead] == ["bad"]
    assert (
        fifo.recorder.counts[f"{Metric.OUTCOME.value} event=other outcome=retry reason=EARLIER_OF_GROUP_WENT_BACK"] == 1
    )
