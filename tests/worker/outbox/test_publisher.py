"""Announcing: within SNS's limits, never in settlement's way, and nothing lost that SNS or a crash left behind."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from handlers.ports import Announcement, StoreAway
from tests.worker.fake_clock import T0, Even, FakeClock, Hasty, breathe
from tests.worker.stand_in_topics import StandInTopics
from tests.worker.telemetry_recorder import TelemetryRecorder
from worker.outbox.publisher import Publisher
from worker.outbox.relay import Relay, Rounds
from worker.outbox.topic_message import BYTES_MAX, packed, topic_message
from worker.ports import OutboxBacklog, RefusedEntry
from worker.runtime.backoff import JitteredBackoff
from worker.runtime.store_availability import StoreAvailability
from worker.telemetry.health import Health
from worker.telemetry.metrics import Metric

LATER = RefusedEntry(code="InternalError", reason="try again", final=False)
NEVER = RefusedEntry(code="InvalidParameter", reason="bad message", final=True)


def announcement(key: str, *, side: str = "conversation", size: int = 0, age_seconds: float = 0) -> Announcement:
    text = json.dumps({"id": key, "name": f"kustomer.{side}.update", "filler": "x" * size})
    created_at = T0 - timedelta(seconds=age_seconds)
    if side == "conversation":
        return Announcement(id=key, conversation_id="c1", side="conversation", message=text, created_at=created_at)
    return Announcement(id=key, conversation_id="c1", side="work-item", message=text, created_at=created_at)


class Box:
    """An outbox that knows what is in it."""

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

    async def waiting(
        self, older_than: datetime, limit: int, *, skip: int = 0, or_after: datetime | None = None
    ) -> Sequence[Announcement]:
        self._check()
        found = [
            one
            for one in self.entries.values()
            if one.created_at < older_than or (or_after is not None and one.created_at > or_after)
        ]
        return sorted(found, key=lambda one: one.created_at)[skip : skip + limit]

    async def sent(self, ids: Sequence[str]) -> None:
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


class Desk:
    def __init__(self, *, waiting_max: int = 100, clock: FakeClock | None = None) -> None:
        self.clock, self.ear, self.box, self.topics = clock or Hasty(), TelemetryRecorder(), Box(), StandInTopics()
        self.publisher = Publisher(
            topics=self.topics,
            arns={"conversation": "arn:conversations", "work-item": "arn:work-items"},
            outbox=self.box,  # type: ignore[arg-type]
            clock=self.clock,
            pause=JitteredBackoff(first_seconds=0.1, max_seconds=1, chance=Even()),
            telemetry=self.ear.telemetry,
            waiting_max=waiting_max,
        )
        self.health = Health(clock=self.clock, silence_seconds_max=90)
        self.relay = Relay(
            outbox=self.box,  # type: ignore[arg-type]
            publisher=self.publisher,
            rounds=Rounds(interval_seconds=5, age_seconds=30),
            store_availability=StoreAvailability(clock=self.clock, health=self.health, telemetry=self.ear.telemetry),
            clock=self.clock,
            chance=Even(),
            telemetry=self.ear.telemetry,
        )


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    desk = Desk()
    running = asyncio.ensure_future(desk.publisher.run())
    yield desk
    running.cancel()
    await asyncio.wait([running])


async def test_announcements_go_to_their_sides_topic_and_leave_the_outbox(desk: Desk) -> None:
    desk.publisher.offer(desk.box.put(announcement("a"), announcement("b", side="work-item"), announcement("c")))
    await desk.publisher.idle.wait()
    assert {arn: [one.id for one in messages] for arn, messages in desk.topics.calls} == {
        "arn:conversations": ["a", "c"],
        "arn:work-items": ["b"],
    }
    assert desk.box.entries == {}
    assert desk.ear.counts[Metric.PUBLISHED.value] == 3


async def test_calls_hold_ten_messages_and_no_more_bytes_than_sns_takes(desk: Desk) -> None:
    desk.publisher.offer(desk.box.put(*(announcement(f"s{n}") for n in range(25))))
    await desk.publisher.idle.wait()
    assert sorted(len(messages) for _, messages in desk.topics.calls) == [5, 10, 10]
    desk.topics.calls.clear()
    desk.publisher.offer(desk.box.put(*(announcement(f"l{n}", size=100_000) for n in range(5))))
    await desk.publisher.idle.wait()
    assert sorted(len(messages) for _, messages in desk.topics.calls) == [1, 2, 2]


async def test_an_event_above_the_limit_is_set_aside_and_blocks_nothing(desk: Desk) -> None:
    desk.publisher.offer(desk.box.put(announcement("big", size=BYTES_MAX), announcement("small")))
    await desk.publisher.idle.wait()
    assert desk.topics.published == ["small"]
    assert desk.box.aside["big"].startswith("TOO_LARGE: ")
    assert desk.ear.counts[f"{Metric.SET_ASIDE.value} reason=too_large"] == 1


@pytest.mark.parametrize("text", ['{"id": "\ud800"}', "{", "[1]"], ids=["surrogate", "cut", "list"])
async def test_what_cannot_be_read_is_set_aside_and_blocks_nothing(desk: Desk, text: str) -> None:
    bad = replace(announcement("bad"), message=text)
    desk.publisher.offer(desk.box.put(bad, announcement("good")))
    await desk.publisher.idle.wait()
    assert desk.topics.published == ["good"]
    assert desk.box.aside["bad"].startswith("UNREADABLE: ")
    assert desk.ear.counts[f"{Metric.SET_ASIDE.value} reason=unreadable"] == 1
    assert desk.box.entries == {}


async def test_what_sns_refuses_is_tried_again_set_aside_or_left_to_the_relay(desk: Desk) -> None:
    desk.topics.answers = {"again": [LATER], "never": [NEVER], "stubborn": [LATER] * 9}
    desk.publisher.offer(desk.box.put(*(announcement(key) for key in ("again", "never", "stubborn", "fine"))))
    await desk.publisher.idle.wait()
    assert list(desk.box.entries) == ["stubborn"]
    assert desk.box.aside == {"never": "InvalidParameter: bad message"}
    assert desk.ear.counts[f"{Metric.PUBLISH_LEFT.value} reason=refused"] == 1
    assert desk.topics.published.count("fine") == 1


async def test_the_topics_being_away_leaves_everything_to_the_relay(desk: Desk) -> None:
    desk.topics.away = True
    desk.publisher.offer(desk.box.put(announcement("a"), announcement("b")))
    await desk.publisher.idle.wait()
    assert list(desk.box.entries) == ["a", "b"]
    assert desk.ear.counts[f"{Metric.PUBLISH_LEFT.value} reason=topics_away"] == 2


async def test_offering_never_waits_and_what_does_not_fit_is_left_to_the_relay() -> None:
    desk = Desk(waiting_max=3)
    desk.publisher.offer(desk.box.put(*(announcement(key) for key in "abcde")))
    assert [desk.publisher.has(key) for key in "abcde"] == [True, True, True, False, False]
    assert desk.ear.counts[f"{Metric.PUBLISH_LEFT.value} reason=overflow"] == 2


async def test_the_store_being_away_leaves_what_was_sent_to_be_sent_again(desk: Desk) -> None:
    desk.box.put(announcement("a"))
    desk.box.away = True
    desk.publisher.offer([announcement("a")])
    await desk.publisher.idle.wait()
    assert desk.topics.published == ["a"]
    assert list(desk.box.entries) == ["a"]


async def test_the_relay_sends_what_a_crash_left_and_what_is_young_waits() -> None:
    desk = Desk()
    old = [announcement(f"old{n}", age_seconds=31 + n) for n in range(250)]
    desk.box.put(*old, announcement("young", age_seconds=5))
    await desk.relay.round()
    assert sorted(desk.topics.published) == sorted(one.id for one in old)
    assert list(desk.box.entries) == ["young"]
    assert desk.ear.counts[Metric.RELAYED.value] == 250
    assert desk.ear.gauges[Metric.OUTBOX_BACKLOG.value] == 251
    assert desk.ear.gauges[Metric.OUTBOX_OLDEST.value] == 280


async def test_what_was_written_before_the_clock_was_set_back_does_not_wait_until_then() -> None:
    desk = Desk()
    desk.box.put(announcement("stuck"), announcement("young", age_seconds=3_600))
    desk.clock.put(-3_600)
    await desk.relay.round()
    assert desk.topics.published == ["stuck"]


async def test_the_relay_leaves_alone_what_the_publisher_still_has() -> None:
    desk = Desk()
    desk.publisher.offer(desk.box.put(announcement("mine", age_seconds=60)))
    desk.box.put(announcement("orphan", age_seconds=60))
    await desk.relay.round()
    assert desk.topics.published == ["orphan"]


async def test_the_relay_ends_its_round_where_nothing_moves() -> None:
    desk = Desk()
    desk.topics.away = True
    desk.box.put(*(announcement(f"a{n}", age_seconds=60) for n in range(150)))
    await desk.relay.round()
    assert len(desk.box.entries) == 150


async def test_a_topic_that_refuses_does_not_hold_up_the_other_one() -> None:
    desk = Desk()
    desk.topics.refusing = {"arn:conversations"}
    desk.box.put(*(announcement(f"c{n}", age_seconds=99) for n in range(150)))
    desk.box.put(announcement("w1", side="work-item", age_seconds=60))
    await desk.relay.round()
    assert desk.topics.published == ["w1"]
    assert "w1" not in desk.box.entries
    assert len(desk.box.entries) == 150


async def test_the_relays_rounds_tell_whether_the_store_answers() -> None:
    desk = Desk(clock=FakeClock())
    running = asyncio.ensure_future(desk.relay.run())
    desk.box.away = True
    await desk.clock.advance(6)
    assert not desk.health.answer()["checks"]["store"]["ok"]
    desk.box.away = False
    await desk.clock.advance(6)
    assert desk.health.answer()["checks"]["store"]["ok"]
    running.cancel()
    await breathe()


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
    calls = list(packed(messages))
    assert [message.id for call in calls for message in call] == [str(n) for n in range(23)]
    assert list(packed([])) == []
