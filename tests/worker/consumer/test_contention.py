"""Contention: conversations that met another writer are retried beside their lane, and which messages wait for them."""

import asyncio
from collections.abc import Collection, Mapping, Sequence

import pytest

from tests.worker.consumer.consumer_bench import ConsumerBench, body
from tests.worker.stand_ins.fake_clock import FakeClock, run_ready_tasks, until


async def test_a_contended_conversation_delays_no_other_conversation() -> None:
    """Neither in its batch nor in later batches. Its own later messages wait for it."""
    bench = ConsumerBench(FakeClock(), lanes=1)
    bench.handler.contend("c2")
    for conversation in ("c1", "c2", "c3"):
        bench.queue.send(body(conversation))
    bench.start()
    await until(lambda: bench.queue.left == ["m2"])
    await until(lambda: bench.offered == ["a-c1-1", "a-c3-1"])
    for conversation in ("c2", "c1", "c2"):
        bench.queue.send(body(conversation, 2))
    await bench.clock.advance(25)
    await until(lambda: bench.queue.left == ["m2", "m4", "m6"])
    assert len(bench.in_flight) == 3
    assert [audit["event"]["id"] for audit in bench.audits] == ["c1-1", "c3-1", "c1-2"]
    idle = asyncio.ensure_future(bench.lanes.idle())
    await run_ready_tasks()
    assert not idle.done()
    bench.handler.contended.pop("c2").set()
    await bench.drained()
    await idle
    assert [audit["event"]["id"] for audit in bench.audits][3:] == ["c2-1", "c2-2", "c2-2"]
    await bench.stop()


async def test_an_unexpected_error_in_a_retry_sends_back_its_own_conversation_only() -> None:
    bench = ConsumerBench(FakeClock(), lanes=1)
    bench.handler.contend("c2")
    bench.handler.release("c2")
    bench.handler.faulty_again = {"c2"}
    for conversation in ("c1", "c2"):
        bench.queue.send(body(conversation))
    bench.start()
    await until(lambda: len(bench.audits) == 2)
    assert {audit["conversationId"]: audit["outcome"] for audit in bench.audits} == {"c1": "skipped", "c2": "failed"}
    await bench.lanes.idle()
    assert bench.queue.left == ["m2"]
    await bench.stop()


@pytest.mark.parametrize("fifo", [False, True])
@pytest.mark.parametrize("first", ["c1", "c2"])
async def test_contended_conversations_do_not_wait_for_each_other(fifo: bool, first: str) -> None:
    bench = _contended_batch({"c1": "c1", "c2": "c2"}, contended=("c1", "c2"), fifo=fifo)
    bench.handler.release(first)
    await until(lambda: bench.queue.left == ["m2" if first == "c1" else "m1"])
    bench.handler.release("c1", "c2")
    await bench.drained()
    await bench.stop()


@pytest.mark.parametrize("fifo", [False, True])
async def test_at_most_four_conflict_groups_are_retried_at_a_time(fifo: bool) -> None:
    some = [f"c{number}" for number in range(1, 8)]
    bench = _contended_batch({each: each for each in some}, contended=some, fifo=fifo)
    await run_ready_tasks()
    assert bench.handler.retried == some[:4]
    bench.handler.release("c3")
    await until(lambda: bench.handler.retried == some[:5])
    assert bench.queue.left == ["m1", "m2", "m4", "m5", "m6", "m7"]
    bench.handler.release(*some)
    await bench.drained()
    await bench.stop()


async def test_fifo_a_contended_group_delays_its_own_messages_only() -> None:
    bench = ConsumerBench(FakeClock(), fifo=True, lanes=1, batch_max=2)
    bench.handler.contend("c1")
    bench.handler.back = {"c1-1"}
    for rev in (1, 2, 3):
        bench.queue.send(body("c1", rev), group="c1")
    bench.queue.send(body("c2"), group="c2")
    bench.start()
    await until(lambda: bench.queue.left == ["m1", "m2", "m3"])
    await until(lambda: len(bench.in_flight) == 3)
    bench.handler.release("c1")
    await until(lambda: len(bench.in_flight) == 0)
    assert bench.queue.left == ["m1", "m2", "m3"]
    assert bench.handler.batches == [["c1-1", "c1-2"], ["c2-1"]], "what waited was not begun"
    bench.handler.back, bench.handler.contended = set(), {}
    await bench.clock.advance(60)
    await bench.drained()
    assert bench.handler.batches[2:] == [["c1-1", "c1-2"], ["c1-3"]]
    await bench.stop()


async def test_fifo_nothing_overtakes_a_contended_message_of_its_group() -> None:
    bench = _contended_batch({"c1": "g1", "c2": "g1", "c3": "g1", "c4": "g2"}, contended=["c2"], back={"c2-1"})
    await until(lambda: len(bench.in_flight) == 2)
    assert bench.queue.left == ["m2", "m3"]
    bench.handler.release("c2")
    await until(lambda: len(bench.in_flight) == 0)
    assert bench.queue.left == ["m2", "m3"], "what comes after it in its group went back with it"
    await bench.stop()


async def test_fifo_a_group_is_retried_in_order() -> None:
    bench = _contended_batch({"c1": "g1", "c2": "g1", "c3": "g2"}, contended=["c1", "c2", "c3"])
    bench.handler.release("c2")
    await run_ready_tasks()
    assert (bench.handler.retried, bench.queue.left) == (["c1", "c3"], ["m1", "m2", "m3"])
    bench.handler.release("c1")
    await until(lambda: bench.queue.left == ["m3"])
    assert bench.handler.retried == ["c1", "c3", "c2"]
    bench.handler.release("c3")
    await bench.drained()
    await bench.stop()


@pytest.mark.parametrize("contended", [["c1", "c2"], ["c2"]], ids=["lost again", "failed at once"])
async def test_fifo_a_message_behind_one_that_goes_back_is_not_retried(contended: list[str]) -> None:
    bench = _contended_batch({"c1": "g1", "c2": "g1", "c3": "g1"}, contended=contended, back={"c1-1"})
    bench.handler.release(*contended)
    await until(lambda: len(bench.audits) == 2)
    await bench.lanes.idle()
    assert bench.queue.left == ["m1", "m2", "m3"]
    assert (bench.handler.retried, len(bench.in_flight)) == (contended[:-1], 0), "c2 went back untouched"
    # c3 was committed with the first attempt: it has an audit line and an announcement, though its message goes back.
    assert sorted(audit["event"]["id"] for audit in bench.audits) == ["c1-1", "c3-1"]
    assert bench.offered == ["a-c3-1"]
    await bench.stop()


async def test_fifo_a_contended_conversation_of_two_groups_delays_both() -> None:
    """So it is if a publisher uses the work-item id as the group of its events."""
    bench = ConsumerBench(FakeClock(), fifo=True, lanes=1, batch_max=2)
    bench.handler.contend("c1")
    bench.handler.back = {"c1-1"}
    sent = [("c1", "w1"), ("c1", "c1"), ("c1", "other"), ("c2", "other"), ("c3", "w1"), ("c4", "c4")]
    for rev, (conversation, group) in enumerate(sent, start=1):
        bench.queue.send(body(conversation, rev), group=group)
    bench.start()
    await until(lambda: bench.queue.left == ["m1", "m2", "m3", "m4", "m5"])
    assert bench.handler.batches == [["c1-1", "c1-2"], ["c4-6"]], "c2 waits too: nothing of its group goes before c1"
    bench.handler.release("c1")
    await until(lambda: bench.queue.left == ["m1", "m5"])
    assert bench.handler.batches == [["c1-1", "c1-2"], ["c4-6"], ["c1-3", "c2-4"]]
    await bench.stop()


async def test_fifo_groups_that_share_a_conversation_are_retried_one_after_the_other() -> None:
    bench = ConsumerBench(FakeClock(), fifo=True, lanes=1)
    bench.handler.contend("c1", "c2", "c3", "c4")
    for rev, (conversation, group) in enumerate([("c1", "g1"), ("c3", "g2"), ("c2", "g1"), ("c2", "g2"), ("c4", "g4")]):
        bench.queue.send(body(conversation, rev + 1), group=group)
    bench.start()
    await until(lambda: len(bench.handler.retried) == 2)
    await run_ready_tasks()
    assert sorted(bench.handler.retried) == ["c1", "c4"]
    bench.handler.release("c1", "c2", "c3", "c4")
    await bench.drained()
    assert [each for each in bench.handler.retried if each != "c4"] == ["c1", "c3", "c2"]
    await bench.stop()


def _contended_batch(
    groups: Mapping[str, str], *, contended: Sequence[str], back: Collection[str] = (), fifo: bool = True
) -> ConsumerBench:
    """A bench with one message of each conversation, in its group, in one batch. `contended` conversations meet another
    writer; the events in `back` go back."""
    bench = ConsumerBench(FakeClock(), fifo=fifo, lanes=1)
    bench.handler.contend(*contended)
    bench.handler.back = set(back)
    for conversation, group in groups.items():
        bench.queue.send(body(conversation), group=group)
    bench.start()
    return bench
