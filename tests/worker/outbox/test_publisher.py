"""The publisher: calls within the limits of SNS, and no announcement lost in an outage."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from tests.worker.outbox.outbox_bench import OutboxBench, announcement
from worker.outbox.topic_message import SNS_BYTES_MAX
from worker.ports.aws_calls import RefusedEntry
from worker.telemetry.metrics import Metric

LATER = RefusedEntry(code="InternalError", reason="try again", final=False)
NEVER = RefusedEntry(code="InvalidParameter", reason="bad message", final=True)


@pytest.fixture
async def bench() -> AsyncIterator[OutboxBench]:
    bench = OutboxBench()
    running = asyncio.ensure_future(bench.publisher.run())
    yield bench
    running.cancel()
    await asyncio.wait([running])


async def test_announcements_go_to_their_sides_topic_and_leave_the_outbox(bench: OutboxBench) -> None:
    bench.publisher.offer(bench.outbox.put(announcement("a"), announcement("b", side="work-item"), announcement("c")))
    await bench.publisher.idle.wait()
    assert {arn: [one.id for one in messages] for arn, messages in bench.topics.calls} == {
        "arn:conversations": ["a", "c"],
        "arn:work-items": ["b"],
    }
    assert bench.outbox.entries == {}
    assert bench.recorder.counts[Metric.PUBLISHED.value] == 3


async def test_calls_hold_ten_messages_and_no_more_bytes_than_sns_takes(bench: OutboxBench) -> None:
    bench.publisher.offer(bench.outbox.put(*(announcement(f"s{n}") for n in range(25))))
    await bench.publisher.idle.wait()
    assert sorted(len(messages) for _, messages in bench.topics.calls) == [5, 10, 10]
    bench.topics.calls.clear()
    bench.publisher.offer(bench.outbox.put(*(announcement(f"l{n}", size=100_000) for n in range(5))))
    await bench.publisher.idle.wait()
    assert sorted(len(messages) for _, messages in bench.topics.calls) == [1, 2, 2]


async def test_an_event_above_the_usual_limit_is_left_to_the_topic_in_a_call_of_its_own(bench: OutboxBench) -> None:
    """A topic's `MaximumMessageSize` may be up to four times the default."""
    bench.publisher.offer(bench.outbox.put(announcement("a"), announcement("big", size=900_000), announcement("b")))
    await bench.publisher.idle.wait()
    assert [[one.id for one in messages] for _, messages in bench.topics.calls] == [["a"], ["big"], ["b"]]
    assert bench.outbox.aside == {}


async def test_an_event_above_the_limit_is_set_aside_and_blocks_nothing(bench: OutboxBench) -> None:
    bench.publisher.offer(bench.outbox.put(announcement("big", size=SNS_BYTES_MAX), announcement("small")))
    await bench.publisher.idle.wait()
    assert bench.topics.published == ["small"]
    assert bench.outbox.aside["big"].startswith("TOO_LARGE: ")
    assert bench.recorder.counts[f"{Metric.SET_ASIDE.value} reason=too_large"] == 1


@pytest.mark.parametrize("text", ['{"id": "\ud800"}', "{", "[1]"], ids=["surrogate", "cut", "list"])
async def test_an_unreadable_entry_is_set_aside_and_blocks_nothing(bench: OutboxBench, text: str) -> None:
    bad = replace(announcement("bad"), message=text)
    bench.publisher.offer(bench.outbox.put(bad, announcement("good")))
    await bench.publisher.idle.wait()
    assert bench.topics.published == ["good"]
    assert bench.outbox.aside["bad"].startswith("UNREADABLE: ")
    assert bench.recorder.counts[f"{Metric.SET_ASIDE.value} reason=unreadable"] == 1
    assert bench.outbox.entries == {}


async def test_a_refused_message_is_sent_again_or_set_aside_or_left_to_the_relay(bench: OutboxBench) -> None:
    bench.topics.answers = {"again": [LATER], "never": [NEVER], "stubborn": [LATER] * 9}
    bench.publisher.offer(bench.outbox.put(*(announcement(key) for key in ("again", "never", "stubborn", "fine"))))
    await bench.publisher.idle.wait()
    assert list(bench.outbox.entries) == ["stubborn"]
    assert bench.outbox.aside == {"never": "InvalidParameter: bad message"}
    assert bench.recorder.counts[f"{Metric.PUBLISH_LEFT.value} reason=refused"] == 1
    assert bench.topics.published.count("fine") == 1


async def test_while_sns_is_away_everything_is_left_to_the_relay(bench: OutboxBench) -> None:
    bench.topics.away = True
    bench.publisher.offer(bench.outbox.put(announcement("a"), announcement("b")))
    await bench.publisher.idle.wait()
    assert list(bench.outbox.entries) == ["a", "b"]
    assert bench.recorder.counts[f"{Metric.PUBLISH_LEFT.value} reason=topics_away"] == 2


async def test_an_overflow_is_left_to_the_relay() -> None:
    bench = OutboxBench(waiting_max=3)
    bench.publisher.offer(bench.outbox.put(*(announcement(key) for key in "abcde")))
    assert [bench.publisher.holds(key) for key in "abcde"] == [True, True, True, False, False]
    assert bench.recorder.counts[f"{Metric.PUBLISH_LEFT.value} reason=overflow"] == 2


async def test_while_the_store_is_away_published_entries_stay_and_are_published_again(bench: OutboxBench) -> None:
    bench.outbox.put(announcement("a"))
    bench.outbox.away = True
    bench.publisher.offer([announcement("a")])
    await bench.publisher.idle.wait()
    assert bench.topics.published == ["a"]
    assert list(bench.outbox.entries) == ["a"]
