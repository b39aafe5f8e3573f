"""One contract for the port `MessageQueue`: SQS' adapter by both transports, and the stand-in of the other tests."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from msgspec import Struct
from msgspec.structs import replace

from tests.worker.stand_ins.fake_clock import FakeClock
from tests.worker.stand_ins.message_queue import StandInQueue
from tests.worker.stand_ins.moto_clients import Aws, opened
from worker.ports.message_queue import DeadLetter, Message, MessageQueue, VisibilityChange

Send = Callable[..., Awaitable[object]]


class QueueBench(Struct, frozen=True):
    """A queue under test, a way to send to it, and its dead letters as (body, attributes, group)."""

    queue: MessageQueue
    send: Send
    dead: Callable[[], Awaitable[list[tuple[str, dict[str, str], str | None]]]]

    async def receive(self) -> Sequence[Message]:
        return (await self.queue.receive(wait_s=0)).messages


def _stand_in(*, fifo: bool) -> QueueBench:
    queue = StandInQueue(FakeClock())
    queue.attributes = replace(queue.attributes, fifo=fifo)

    async def send(body: str, **more: Any) -> object:
        return queue.send(body, **more)

    async def dead() -> list[tuple[str, dict[str, str], str | None]]:
        return [
            (letter.body, {name: value["StringValue"] for name, value in letter.attributes.items()}, letter.group)
            for letter in queue.dead
        ]

    return QueueBench(queue, send, dead)


async def _sqs(aws: Aws, *, fifo: bool) -> QueueBench:
    url, dead_url = await aws.queue(fifo=fifo)

    async def send(body: str, group: str | None = None, attributes: Any = None) -> object:
        grouped: Any = {"MessageGroupId": group, "MessageDeduplicationId": body} if group else {}
        return await aws.sqs.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=attributes or {}, **grouped)

    async def dead() -> list[tuple[str, dict[str, str], str | None]]:
        return [
            (
                one["Body"],
                {name: value["StringValue"] for name, value in one.get("MessageAttributes", {}).items()},
                one["Attributes"].get("MessageGroupId"),
            )
            for one in await aws.taken(dead_url)
        ]

    return QueueBench(aws.adapter(url, dead_url), send, dead)


async def _bench(request: pytest.FixtureRequest, *, fifo: bool) -> AsyncIterator[QueueBench]:
    if request.param == "stand-in":
        yield _stand_in(fifo=fifo)
        return
    async with opened(request.getfixturevalue("moto"), http=request.param == "http") as aws:
        yield await _sqs(aws, fifo=fifo)


@pytest.fixture(params=["stand-in", "sqs", "http"])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[QueueBench]:
    async for one in _bench(request, fifo=False):
        yield one


@pytest.fixture(params=["stand-in", "sqs", "http"])
async def fifo(request: pytest.FixtureRequest) -> AsyncIterator[QueueBench]:
    async for one in _bench(request, fifo=True):
        yield one


async def test_a_message_is_received_with_all_its_parts(bench: QueueBench) -> None:
    attribute = {"DataType": "String", "StringValue": "v"}
    await bench.send("hello", attributes={"a": attribute})
    (message,) = await bench.receive()
    assert message.body == "hello"
    assert message.attributes["a"]["StringValue"] == "v"
    assert message.receive_count == 1
    assert message.group is None


async def test_a_message_has_the_time_at_which_it_was_sent_and_a_response_the_queues_clock(bench: QueueBench) -> None:
    await bench.send("a")
    response = await bench.queue.receive(wait_s=0)
    (message,) = response.messages
    assert response.date is not None
    # The response's date is cut to the second.
    assert timedelta(seconds=-1) < response.date - message.sent_at < timedelta(seconds=30)
    await bench.queue.change_visibility_batch([VisibilityChange(receipt=message.receipt, timeout_s=0)])
    (again,) = await bench.receive()
    assert again.sent_at == message.sent_at


async def test_an_empty_response_has_the_queues_clock(bench: QueueBench) -> None:
    assert (await bench.queue.receive(wait_s=0)).date is not None


async def test_a_fifo_message_has_the_time_at_which_it_was_sent(fifo: QueueBench) -> None:
    await fifo.send("a", group="g1")
    response = await fifo.queue.receive(wait_s=0)
    assert response.date is not None
    assert timedelta(seconds=-1) < response.date - response.messages[0].sent_at < timedelta(seconds=30)


async def test_an_empty_queue_yields_no_message(bench: QueueBench) -> None:
    assert await bench.receive() == []


async def test_one_call_yields_at_most_ten_and_received_messages_are_hidden(bench: QueueBench) -> None:
    for number in range(12):
        await bench.send(str(number))
    assert len(await bench.receive()) == 10
    assert len(await bench.receive()) == 2
    assert await bench.receive() == []


async def test_a_deleted_message_is_not_delivered_again(bench: QueueBench) -> None:
    await bench.send("a")
    (message,) = await bench.receive()
    assert await bench.queue.delete_batch([message.receipt]) == [None]


async def test_a_message_with_visibility_0_is_redelivered_at_once_and_counted(bench: QueueBench) -> None:
    await bench.send("a")
    (first,) = await bench.receive()
    assert await bench.queue.change_visibility_batch([VisibilityChange(receipt=first.receipt, timeout_s=0)]) == [None]
    (second,) = await bench.receive()
    assert (second.id, second.receive_count) == (first.id, 2)
    assert second.receipt != first.receipt


async def test_a_message_with_longer_visibility_stays_hidden(bench: QueueBench) -> None:
    await bench.send("a")
    (message,) = await bench.receive()
    assert await bench.queue.change_visibility_batch([VisibilityChange(receipt=message.receipt, timeout_s=600)]) == [
        None
    ]
    assert await bench.receive() == []


async def test_a_bad_entry_is_refused_alone(bench: QueueBench) -> None:
    await bench.send("a")
    (message,) = await bench.receive()
    bad, good = await bench.queue.change_visibility_batch(
        [VisibilityChange(receipt="none", timeout_s=5), VisibilityChange(receipt=message.receipt, timeout_s=5)]
    )
    assert bad is not None
    assert (bad.final, good) == (True, None)


async def test_a_dead_letter_keeps_body_and_attributes_and_its_source_stays(bench: QueueBench) -> None:
    await bench.send("bad")
    (message,) = await bench.receive()
    why = {"error_code": {"DataType": "String", "StringValue": "NOT_JSON"}}
    letters = [DeadLetter(body="bad", attributes=why), DeadLetter(body="worse", attributes={})]
    assert await bench.queue.dead_letter_batch(letters) == [None, None]
    assert sorted(await bench.dead()) == [("bad", {"error_code": "NOT_JSON"}, None), ("worse", {}, None)]
    assert await bench.queue.change_visibility_batch([VisibilityChange(receipt=message.receipt, timeout_s=0)]) == [None]
    assert [one.body for one in await bench.receive()] == ["bad"]


async def test_large_dead_letters_are_sent(bench: QueueBench) -> None:
    letters = [DeadLetter(body=str(number) * 200_000, attributes={}) for number in range(3)]
    assert await bench.queue.dead_letter_batch(letters) == [None, None, None]
    assert len(await bench.dead()) == 3


async def test_a_fifo_message_names_its_group_and_locks_it_while_in_flight(fifo: QueueBench) -> None:
    for body, group in (("a", "g1"), ("b", "g1"), ("c", "g2")):
        await fifo.send(body, group=group)
    received = await fifo.receive()
    assert {message.body: message.group for message in received} == {"a": "g1", "b": "g1", "c": "g2"}
    await fifo.send("d", group="g1")
    assert await fifo.receive() == []


async def test_fifo_dead_letters_have_a_group(fifo: QueueBench) -> None:
    letter = DeadLetter(body="bad", attributes={}, group="g1", deduplication_id="m1")
    assert await fifo.queue.dead_letter_batch([letter]) == [None]
    assert await fifo.dead() == [("bad", {}, "g1")]
