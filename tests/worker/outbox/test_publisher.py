"""Publisher and relay: calls within the limits of SNS, and no announcement lost in an outage or a crash."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from handlers.ports import Announcement, StoreAway
from tests.worker.fake_clock import T0, AutoAdvancingClock, FakeClock, FixedChance, run_ready_tasks
from tests.worker.stand_in_topics import StandInTopics
from tests.worker.telemetry_recorder import TelemetryRecorder, runtime_of
from worker.outbox.publisher import Publisher
from worker.outbox.relay import Relay, RelaySchedule
from worker.outbox.topic_message import SNS_BYTES_MAX, pack_into_calls, topic_message
from worker.ports import OutboxBacklog, RefusedEntry
from worker.runtime.backoff import JitteredBackoff
from worker.telemetry.metrics import Metric

LATER = RefusedEntry(code="InternalError", reason="try again", final=False)
NEVER = RefusedEntry(code="InvalidParameter", reason="bad message", final=True)


def announcement(key: str, *, side: str = "conversation", size: int = 0, age_s: float = 0) -> Announcement:
    text = json.dumps({"id": key, "name": f"kustomer.{side}.update", "filler": "x" * size})
    created_at = T0 - timedelta(seconds=age_s)
    if side == "conversation":
        return Announcement(id=key, conversation_id="c1", side="conversation", message=text, created_at=created_at)
    return Announcement(id=key, conversation_id="c1", side="work-item", message=text, created_at=created_at)


class StandInOutbox:
    """An outbox in memory that can be away."""

    def __init__(self) -> None:
        self.entries: dict[str, Announcement] = {}
        self.aside: dict[str, str] = {}
        self.away = False

    def put(self, *announcements: Announcement) -> list[Announcement]:
        self.entries.update({one.id: one for one in announcements})
        return list(announcements)

    def _check(self) -> None:
        if self.away:
            raise StoreAway("no primary")

    async def waiting_entries(
        self, older_than: datetime, limit: int, *, skip: int = 0, or_after: datetime | None = None
    ) -> Sequence[Announcement]:
        self._check()
        found = [
            one
            for one in self.entries.values()
            if one.created_at < older_than or (or_after is not None and one.created_at > or_after)
        ]
        return sorted(found, key=lambda one: one.created_at)[skip : skip + limit]

    async def remove_entries(self, ids: Sequence[str]) -> None:
        self._check()
        for key in ids:
            self.entries.pop(key, None)

    async def set_aside(self, key: str, reason: str) -> None:
        self._check()
        self.aside[key] = reason
        self.entries.pop(key, None)

    async def backlog(self) -> OutboxBacklog:
        self._check()
        ages = [one.created_at for one in self.entries.values()]
        return OutboxBacklog(count=len(ages), oldest=min(ages, default=None), set_aside=len(self.aside))


class OutboxBench:
    def __init__(self, *, waiting_max: int = 100, clock: FakeClock | None = None) -> None:
        self.clock, self.recorder, self.outbox, self.topics = (
            clock or AutoAdvancingClock(),
            TelemetryRecorder(),
            StandInOutbox(),
            StandInTopics(),
        )
        runtime = runtime_of(self.clock, self.recorder)
        self.publisher = Publisher(
            topics=self.topics,
            arns={"conversation": "arn:conversations", "work-item": "arn:work-items"},
            outbox=self.outbox,  # type: ignore[arg-type]
            pause=JitteredBackoff(first_s=0.1, max_s=1, chance=FixedChance()),
            waiting_max=waiting_max,
            runtime=runtime,
        )
        self.health = runtime.health
        self.relay = Relay(
            outbox=self.outbox,  # type: ignore[arg-type]
            publisher=self.publisher,
            schedule=RelaySchedule(interval_s=5, age_s=30),
            runtime=runtime,
        )


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


async def test_the_relay_publishes_old_entries_and_young_ones_wait() -> None:
    bench = OutboxBench()
    old = [announcement(f"old{n}", age_s=31 + n) for n in range(250)]
    bench.outbox.put(*old, announcement("young", age_s=5))
    await bench.relay.round()
    assert sorted(bench.topics.published) == sorted(one.id for one in old)
    assert list(bench.outbox.entries) == ["young"]
    assert bench.recorder.counts[Metric.RELAYED.value] == 250
    assert bench.recorder.gauges[Metric.OUTBOX_BACKLOG.value] == 251
    assert bench.recorder.gauges[Metric.OUTBOX_OLDEST.value] == 280


async def test_an_entry_from_the_future_is_relayed() -> None:
    bench = OutboxBench()
    bench.outbox.put(announcement("stuck"), announcement("young", age_s=3_600))
    bench.clock.put(-3_600)
    await bench.relay.round()
    assert bench.topics.published == ["stuck"]


async def test_the_relay_skips_entries_that_the_publisher_holds() -> None:
    bench = OutboxBench()
    bench.publisher.offer(bench.outbox.put(announcement("mine", age_s=60)))
    bench.outbox.put(announcement("orphan", age_s=60))
    await bench.relay.round()
    assert bench.topics.published == ["orphan"]


async def test_the_relay_ends_its_round_when_no_entry_can_be_published() -> None:
    bench = OutboxBench()
    bench.topics.away = True
    bench.outbox.put(*(announcement(f"a{n}", age_s=60) for n in range(150)))
    await bench.relay.round()
    assert len(bench.outbox.entries) == 150


async def test_a_topic_that_refuses_does_not_block_the_other_topic() -> None:
    bench = OutboxBench()
    bench.topics.refusing = {"arn:conversations"}
    bench.outbox.put(*(announcement(f"c{n}", age_s=99) for n in range(150)))
    bench.outbox.put(announcement("w1", side="work-item", age_s=60))
    await bench.relay.round()
    assert bench.topics.published == ["w1"]
    assert "w1" not in bench.outbox.entries
    assert len(bench.outbox.entries) == 150


async def test_the_relays_rounds_report_whether_the_store_answers() -> None:
    bench = OutboxBench(clock=FakeClock())
    running = asyncio.ensure_future(bench.relay.run())
    bench.outbox.away = True
    await bench.clock.advance(6)
    assert not bench.health.report()["checks"]["store"]["ok"]
    bench.outbox.away = False
    await bench.clock.advance(6)
    assert bench.health.report()["checks"]["store"]["ok"]
    running.cancel()
    await run_ready_tasks()


def test_a_message_carries_its_name_and_its_trace_as_attributes() -> None:
    text = json.dumps({"name": "kustomer.conversation.update", "dd": {"trace_id": "12", "span_id": "34"}})
    attributes = topic_message(id="a", group="c1", text=text).attributes
    assert attributes["name"] == {"DataType": "String", "StringValue": "kustomer.conversation.update"}
    assert json.loads(attributes["_datadog"]["StringValue"]) == {
        "x-datadog-trace-id": "12",
        "x-datadog-parent-id": "34",
    }
    assert topic_message(id="a", group="c1", text='{"name": "", "dd": {}}').attributes == {}


def test_packing_keeps_the_order() -> None:
    messages = [topic_message(id=str(n), group="c1", text=json.dumps({"f": "x" * 60_000})) for n in range(23)]
    calls = list(pack_into_calls(messages))
    assert [message.id for call in calls for message in call] == [str(n) for n in range(23)]
    assert list(pack_into_calls([])) == []
