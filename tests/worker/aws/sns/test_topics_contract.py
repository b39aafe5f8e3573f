"""One contract for the port `Topics`: AWS's client, HTTP, and the stand-in of the other tests."""

import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from msgspec import Struct

from handlers.events.envelope import trace_of
from moto_server import MotoServer
from tests.worker.stand_ins.moto_clients import Aws, opened
from tests.worker.stand_ins.topics import StandInTopics
from worker.aws.provisioning import ProvisioningResult
from worker.aws.sns.topics import SnsTopics
from worker.errors import TopicsAway
from worker.outbox.topic_message import PACKED_BYTES_MAX, pack_into_calls, topic_message
from worker.ports.topics import TopicMessage, Topics

NAME = "kustomer.conversation.update"


class TopicsBench(Struct, frozen=True):
    """Topics under test: an existing one, a missing one, and the messages that arrived, as (text, attributes)."""

    topics: Topics
    arn: str
    none: str
    arrived: Callable[[], Awaitable[list[tuple[str, dict[str, str]]]]]

    async def publish(self, *messages: TopicMessage) -> None:
        answers = [one for call in pack_into_calls(messages) for one in await self.topics.publish(self.arn, call)]
        assert answers == [None] * len(messages)


def _values(attributes: Any) -> dict[str, str]:
    return {name: value["StringValue"] for name, value in attributes.items()}


def _stand_in(*, fifo: bool) -> TopicsBench:
    topics = StandInTopics()
    arn, none = ("arn:t.fifo", "arn:none.fifo") if fifo else ("arn:t", "arn:none")
    topics.refusing = {none}

    async def arrived() -> list[tuple[str, dict[str, str]]]:
        return [(one.text, _values(one.attributes)) for _, batch in topics.calls for one in batch]

    return TopicsBench(topics, arn, none, arrived)


@pytest.fixture(scope="module")
def kept() -> list[ProvisioningResult]:
    """The one topic of all tests, once it exists."""
    return []


async def _sns(aws: Aws, kept: list[ProvisioningResult], *, fifo: bool) -> TopicsBench:
    if fifo or not kept:
        made = await aws.provisioned(raw=True, fifo=fifo)
        # A FIFO topic takes a deduplication id once, across tests too.
        kept += [] if fifo else [made]
    else:
        made = kept[0]
    arn = made.conversation_topic_arn

    async def arrived() -> list[tuple[str, dict[str, str]]]:
        found: list[tuple[str, dict[str, str]]] = []
        while batch := await aws.taken(made.queue_url):
            found += [(one["Body"], _values(one.get("MessageAttributes", {}))) for one in batch]
            entries: Any = [{"Id": str(n), "ReceiptHandle": one["ReceiptHandle"]} for n, one in enumerate(batch)]
            await aws.sqs.delete_message_batch(QueueUrl=made.queue_url, Entries=entries)
        return found

    return TopicsBench(
        SnsTopics(aws.publishing), arn, f"{arn.removesuffix('.fifo')}-none{'.fifo' if fifo else ''}", arrived
    )


async def _bench(request: pytest.FixtureRequest, *, fifo: bool) -> AsyncIterator[TopicsBench]:
    if request.param == "stand-in":
        yield _stand_in(fifo=fifo)
        return
    async with opened(request.getfixturevalue("moto"), http=request.param == "http") as aws:
        bench = await _sns(aws, request.getfixturevalue("kept"), fifo=fifo)
        # Messages that a failed test left.
        await bench.arrived()
        yield bench


@pytest.fixture(params=["stand-in", "library", "http"])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[TopicsBench]:
    async for one in _bench(request, fifo=False):
        yield one


@pytest.fixture(params=["stand-in", "library", "http"])
async def fifo(request: pytest.FixtureRequest) -> AsyncIterator[TopicsBench]:
    async for one in _bench(request, fifo=True):
        yield one


def message(key: str, **more: Any) -> TopicMessage:
    return topic_message(id=key, group="c1", text=json.dumps({"id": key, **more}, ensure_ascii=False))


async def test_a_message_arrives_unchanged_with_its_attributes(bench: TopicsBench) -> None:
    odd = message("a", name=NAME, text='+&%=;/?:@ "\\\r\n\t<>é你📦')
    await bench.publish(odd)
    [(text, attributes)] = await bench.arrived()
    assert text == odd.text
    assert attributes == {"name": NAME}


@pytest.mark.parametrize("http", [False, True], ids=["library", "http"])
async def test_row_13_a_trace_arrives_as_a_binary_attribute(moto: MotoServer, http: bool) -> None:
    """In a notification, because moto loses a raw message that has a binary attribute."""
    async with opened(moto, http=http) as aws:
        made = await aws.provisioned()
        sent = message("a", name=NAME, dd={"trace_id": "12", "span_id": "34"})
        assert await SnsTopics(aws.publishing).publish(made.conversation_topic_arn, [sent]) == [None]
        (arrived,) = await aws.taken(made.queue_url)
        attributes = json.loads(arrived["Body"])["MessageAttributes"]
        assert attributes["name"] == {"Type": "String", "Value": NAME}
        assert attributes["_datadog"]["Type"] == "Binary"
        assert json.loads(base64.b64decode(attributes["_datadog"]["Value"])) == {
            "x-datadog-trace-id": "12",
            "x-datadog-parent-id": "34",
        }
        assert trace_of(json.loads(arrived["Body"])) == {"trace_id": "12", "span_id": "34"}


async def test_a_message_needs_no_attributes(bench: TopicsBench) -> None:
    await bench.publish(message("a"))
    assert await bench.arrived() == [('{"id": "a"}', {})]


async def test_ten_messages_are_sent_in_one_call(bench: TopicsBench) -> None:
    batch = [message(str(number)) for number in range(10)]
    await bench.publish(*batch)
    assert sorted(text for text, _ in await bench.arrived()) == sorted(one.text for one in batch)


@pytest.mark.thorough
@pytest.mark.parametrize("filler", ["x", '"', "你"])
async def test_a_message_of_the_largest_size_is_taken(bench: TopicsBench, filler: str) -> None:
    frame_bytes = message("a", filler="").size_bytes
    spelt_bytes = message("a", filler=filler).size_bytes - frame_bytes
    largest = message("a", filler=filler * ((PACKED_BYTES_MAX - frame_bytes) // spelt_bytes))
    assert PACKED_BYTES_MAX - 3 < largest.size_bytes <= PACKED_BYTES_MAX
    await bench.publish(largest)
    assert [len(text) for text, _ in await bench.arrived()] == [len(largest.text)]


async def test_a_missing_topic_is_away(bench: TopicsBench) -> None:
    with pytest.raises(TopicsAway):
        await bench.topics.publish(bench.none, [message("a")])


@pytest.mark.thorough
async def test_fifo_messages_keep_their_order_and_are_taken_once(fifo: TopicsBench) -> None:
    batch = [message(str(number)) for number in range(4)]
    await fifo.publish(*batch)
    await fifo.publish(*batch[2:])
    assert [text for text, _ in await fifo.arrived()] == [one.text for one in batch]
