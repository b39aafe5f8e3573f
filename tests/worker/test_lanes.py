"""Lanes and receivers: batches by conversation, the store away, a fault in our code, and nothing lost over either."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from handlers.batch import Contended
from handlers.ending import failed, skip_own
from handlers.event import Event
from handlers.message import Limits
from handlers.options import Options, PolicyInUse
from handlers.outcome import Handled, Retry
from handlers.ports import Announcement, StoreAway
from sync.rule import Policy
from tests.worker.ear import Ear
from tests.worker.fake_clock import T0, Even, FakeClock, breathe, until
from tests.worker.stand_in_queue import StandInQueue
from worker.aws import QueueAway, Refused
from worker.backlog_lag import BacklogLag
from worker.delay import JitteredDelay
from worker.health import Health
from worker.in_hand import InHand
from worker.lane_parts import LaneParts
from worker.lanes import Lanes
from worker.metrics import Metric
from worker.outage import Outage
from worker.receivers import ReceiverParts, Receivers
from worker.settle import EARLIER_WENT_BACK, Settle

OPTIONS = Options(policy=PolicyInUse.LEGACY)
FOREIGN = json.dumps({"id": "e9", "name": "kustomer.tag.update", "data": {"id": "t", "type": "tag"}})


def body(conversation: str, rev: int = 1) -> str:
    data = {
        "id": conversation,
        "type": "conversation",
        "attributes": {"status": "open", "assignedUsers": [], "rev": rev},
        "relationships": {},
    }
    return json.dumps({"id": f"{conversation}-{rev}", "name": "kustomer.conversation.update", "data": data})


class Script:
    """A handler that does what the test says: raise, come back, or be done with it."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.away = 0
        self.faulty: set[str] = set()
        self.back: set[str] = set()
        self.contended: dict[str, asyncio.Event] = {}
        self.faulty_again: set[str] = set()
        self.gate: asyncio.Event | None = None

    async def handle(self, events: Sequence[Event], ends: dict[int, Handled], contended: Contended) -> list[Handled]:
        if self.gate is not None:
            await self.gate.wait()
        if self.away:
            self.away -= 1
            raise StoreAway("no primary")
        self.batches.append([event.id for event in events])
        if self.faulty & {event.conversation_id for event in events}:
            raise KeyError("a customer's words")
        for conversation in sorted(self.contended.keys() & {event.conversation_id for event in events}):
            contended([event for event in events if event.conversation_id == conversation])
        return [self._end(event) for event in events if event.conversation_id not in self.contended]

    async def again(self, events: Sequence[Event]) -> list[Handled]:
        (conversation,) = {event.conversation_id for event in events}
        await self.contended[conversation].wait()
        if conversation in self.faulty_again:
            raise KeyError("a customer's words")
        return [self._end(event) for event in events]

    def _end(self, event: Event) -> Handled:
        end = skip_own(event, now=T0, options=OPTIONS)
        if event.id in self.back:
            return replace(end, outcome=Retry(reason="CONFLICT"))
        said = Announcement(
            id=f"a-{event.id}", conversation_id=event.conversation_id, side="conversation", message="{}", created_at=T0
        )
        return replace(end, announcements=(said,))


class Line:
    """Queue, receivers, lanes and settling, with a scripted handler."""

    def __init__(self, clock: FakeClock, *, fifo: bool = False, batch_max: int = 50, lanes: int = 4) -> None:
        self.clock, self.ear, self.script = clock, Ear(), Script()
        self.queue = StandInQueue(clock)
        self.queue.facts = replace(self.queue.facts, fifo=fifo)
        self.health = Health(clock=clock, silence_seconds_max=90)
        self.health.well("pipelines")
        self.health.well("store")
        self.in_hand = InHand(count_max=200, visibility_seconds=60, clock=clock)
        self.outage = Outage(clock=clock, health=self.health, telemetry=self.ear.telemetry)
        self.offered: list[str] = []
        pause = JitteredDelay(first_seconds=1, max_seconds=8, chance=Even())
        self.settle = Settle(
            queue=self.queue, facts=self.queue.facts, in_hand=self.in_hand, clock=clock,
            retry=pause, pause=pause, telemetry=self.ear.telemetry,
        )  # fmt: skip
        self.lag = BacklogLag(clock)
        self.lanes = Lanes(
            count=lanes,
            batch_max=batch_max,
            parts=LaneParts(
                handler=self.script, fifo=fifo, policy=Policy.LEGACY, failed=self._failed,
                settler=self.settle, announcer=self, outage=self.outage, lag=self.lag, store_pause=pause,
                health=self.health, clock=clock,
                telemetry=self.ear.telemetry,
            ),
        )  # fmt: skip
        self.receivers = Receivers(
            count=1,
            parts=ReceiverParts(
                queue=self.queue, in_hand=self.in_hand, lanes=self.lanes, limits=Limits(), outage=self.outage,
                lag=self.lag, health=self.health, pause=pause, clock=clock, telemetry=self.ear.telemetry,
            ),
        )  # fmt: skip
        self._tasks: list[asyncio.Task[None]] = []

    def _failed(self, event: Event, error: Exception) -> Handled:
        return failed(event, "UNEXPECTED", type(error).__name__, now=T0, options=OPTIONS)

    def offer(self, announcements: Sequence[Announcement]) -> None:
        self.offered.extend(one.id for one in announcements)

    def start(self) -> None:
        runs = [self.settle.run(), self.lanes.run(), self.receivers.run()]
        self._tasks = [asyncio.ensure_future(run) for run in runs]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)

    async def drained(self) -> None:
        await until(lambda: not self.queue.left)
        await self.lanes.idle()

    @property
    def audits(self) -> list[dict[str, Any]]:
        return [line for line in self.ear.lines if line["msg"] == "CONVERSATION_SYNC_AUDIT"]


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    line = Line(FakeClock())
    yield line
    await line.stop()


async def test_a_conversation_keeps_to_its_lane_and_its_order(line: Line) -> None:
    for rev in range(1, 4):
        for conversation in ("c1", "c2", "c3"):
            line.queue.send(body(conversation, rev))
    line.start()
    await line.drained()
    for conversation in ("c1", "c2", "c3"):
        met = [event for batch in line.script.batches for event in batch if event.startswith(conversation)]
        assert met == [f"{conversation}-{rev}" for rev in (1, 2, 3)]
    assert len(line.audits) == 9
    assert sorted(line.offered) == sorted(f"a-{line['event']['id']}" for line in line.audits)
    assert line.ear.counts[Metric.RECEIVED.value] == 9


async def test_a_lane_takes_all_that_waits_up_to_its_maximum() -> None:
    line = Line(FakeClock(), lanes=1, batch_max=15)
    line.script.gate = asyncio.Event()
    for rev in range(1, 32):
        line.queue.send(body("c1", rev))
    line.start()
    await until(lambda: len(line.in_hand) == 31)
    line.script.gate.set()
    await line.drained()
    assert [len(batch) for batch in line.script.batches] == [15, 15, 1]
    await line.stop()


async def test_bad_and_foreign_messages_end_at_once_and_harm_nobody(line: Line) -> None:
    line.script.gate = asyncio.Event()
    line.queue.send(body("c1"))
    line.queue.send("{nonsense")
    line.queue.send(FOREIGN)
    line.start()
    # The event's own lane is held up: the other two do not wait for it.
    await until(lambda: line.queue.left == ["m1"])
    assert [letter.attributes["error_code"]["StringValue"] for letter in line.queue.dead] == ["NOT_JSON"]
    await until(lambda: line.ear.total(Metric.UNSUPPORTED) == 1)
    (audit,) = line.audits
    assert audit["reasons"] == [{"action": "SKIP_SYNC", "code": "UNSUPPORTED_EVENT", "meta": {}}]
    line.script.gate.set()
    await line.drained()


async def test_while_the_store_is_away_nothing_is_settled_and_receiving_pauses() -> None:
    line = Line(FakeClock())
    line.script.away = 4
    line.queue.send(body("c1"))
    line.start()
    await breathe()
    line.queue.send(body("c2"))
    # The long poll that was under way is let through; the next one waits.
    await line.clock.advance(5)
    assert line.queue.left == ["m1", "m2"]
    assert not line.health.answer()["checks"]["store"]["ok"]
    assert line.ear.counts[Metric.STORE_PAUSE.value] == 1
    assert [action for action, _ in line.queue.calls if action != "receive"] == []
    polls = len(line.queue.calls)
    await line.clock.advance(5)
    assert len(line.queue.calls) == polls
    await line.clock.advance(60)
    await line.drained()
    assert line.health.answer()["ready"]
    assert line.queue.dead == []
    assert line.ear.counts[Metric.STORE_PAUSE.value] == 1
    await line.stop()


async def test_an_outage_that_somebody_else_sees_end_wakes_the_lanes() -> None:
    line = Line(FakeClock())
    line.script.away = 1
    line.queue.send(body("c1"))
    line.start()
    await breathe()
    assert line.queue.left == ["m1"]
    line.outage.ends()
    await line.drained()
    await line.stop()


async def test_a_fault_in_our_code_sends_back_its_own_conversation_only() -> None:
    line = Line(FakeClock(), lanes=1)
    line.script.faulty = {"c2"}
    for conversation in ("c1", "c2", "c3"):
        line.queue.send(body(conversation))
    line.start()
    await until(lambda: line.queue.left == ["m2"])
    outcomes = {audit["conversationId"]: audit["outcome"] for audit in line.audits}
    assert outcomes == {"c1": "skipped", "c2": "failed", "c3": "skipped"}
    fault = next(said for said in line.ear.lines if said["msg"] == "a batch met a fault in our code")
    assert fault["error"] == "KeyError"
    assert any("handle" in frame for frame in fault["stack"])
    assert "words" not in str(line.ear.lines)
    await line.stop()


async def test_the_queue_being_away_is_waited_for_with_a_growing_delay() -> None:
    clock = FakeClock()
    line = Line(clock)
    line.queue.refuse("receive", *[QueueAway("connection refused")] * 5)
    line.queue.send(body("c1"))
    line.start()
    await until(lambda: line.ear.total(Metric.QUEUE_AWAY) == 1)
    assert not line.health.answer()["checks"]["queue"]["ok"]
    await clock.advance(18)
    await line.drained()
    assert clock.slept[:5] == [0.75, 1.5, 3, 6, 6]
    assert line.health.answer()["ready"]
    await line.stop()


async def test_fifo_what_waits_behind_a_message_that_goes_back_goes_back_too() -> None:
    line = Line(FakeClock(), fifo=True, lanes=1, batch_max=2)
    line.script.gate = asyncio.Event()
    line.script.back = {"c1-2"}
    for rev in range(1, 5):
        line.queue.send(body("c1", rev), group="c1")
    line.start()
    await until(lambda: len(line.in_hand) == 4)
    line.script.gate.set()
    await until(lambda: len(line.in_hand) == 0)
    assert line.queue.left == ["m2", "m3", "m4"]
    assert line.script.batches == [["c1-1", "c1-2"]]
    name = f"{Metric.OUTCOME.value} event=kustomer.conversation.update outcome=retry reason={EARLIER_WENT_BACK}"
    await until(lambda: line.ear.counts[name] == 2)
    line.script.back = set()
    await line.clock.advance(60)
    await line.drained()
    assert line.script.batches[1:] == [["c1-2", "c1-3"], ["c1-4"]]
    await line.stop()


async def test_a_contended_conversation_holds_up_nobody_else() -> None:
    """Neither of its batch nor of those after it; its own later messages wait for it."""
    line = Line(FakeClock(), lanes=1)
    line.script.contended = {"c2": asyncio.Event()}
    for conversation in ("c1", "c2", "c3"):
        line.queue.send(body(conversation))
    line.start()
    await until(lambda: line.queue.left == ["m2"])
    await until(lambda: line.offered == ["a-c1-1", "a-c3-1"])
    for conversation in ("c2", "c1", "c2"):
        line.queue.send(body(conversation, 2))
    await line.clock.advance(25)
    await until(lambda: line.queue.left == ["m2", "m4", "m6"])
    assert len(line.in_hand) == 3
    assert [audit["event"]["id"] for audit in line.audits] == ["c1-1", "c3-1", "c1-2"]
    idle = asyncio.ensure_future(line.lanes.idle())
    await breathe()
    assert not idle.done()
    line.script.contended.pop("c2").set()
    await line.drained()
    await idle
    assert [audit["event"]["id"] for audit in line.audits][3:] == ["c2-1", "c2-2", "c2-2"]
    await line.stop()


async def test_a_fault_in_our_code_beside_the_lane_sends_back_its_own_conversation_only() -> None:
    line = Line(FakeClock(), lanes=1)
    line.script.contended, line.script.faulty_again = {"c2": asyncio.Event()}, {"c2"}
    line.script.contended["c2"].set()
    for conversation in ("c1", "c2"):
        line.queue.send(body(conversation))
    line.start()
    await until(lambda: len(line.audits) == 2)
    assert {audit["conversationId"]: audit["outcome"] for audit in line.audits} == {"c1": "skipped", "c2": "failed"}
    await line.lanes.idle()
    assert line.queue.left == ["m2"]
    await line.stop()


async def test_fifo_nothing_overtakes_a_contended_message_of_its_group() -> None:
    line = Line(FakeClock(), fifo=True, lanes=1)
    line.script.gate, line.script.contended = asyncio.Event(), {"c2": asyncio.Event()}
    line.script.back = {"c2-1"}
    for conversation, group in (("c1", "g1"), ("c2", "g1"), ("c3", "g1"), ("c4", "g2")):
        line.queue.send(body(conversation), group=group)
    line.start()
    await until(lambda: len(line.in_hand) == 4)
    line.script.gate.set()
    await until(lambda: line.queue.left == ["m1", "m2", "m3"])
    line.script.contended["c2"].set()
    await until(lambda: len(line.in_hand) == 0)
    assert line.queue.left == ["m2", "m3"], "what comes after it in its group went back with it"
    await line.stop()


async def test_idle_waits_for_the_batch_under_way(line: Line) -> None:
    line.script.gate = asyncio.Event()
    line.queue.send(body("c1"))
    line.start()
    await until(lambda: len(line.in_hand) == 1)
    idle = asyncio.ensure_future(line.lanes.idle())
    await breathe()
    assert not idle.done()
    line.script.gate.set()
    await idle
    assert line.queue.left == []


@pytest.mark.parametrize("fifo", [False, True])
async def test_a_dead_letter_queue_that_refuses_holds_up_nothing_else(fifo: bool) -> None:
    line = Line(FakeClock(), fifo=fifo, batch_max=1)
    line.queue.refuse("dead_letter", *[Refused(code="Throttled", reason="", final=False)] * 50)
    for text in ("{nonsense", _own("c1"), FOREIGN):
        line.queue.send(text)
    line.start()
    await breathe()
    assert line.queue.left == ["m1"]
    await line.stop()


async def test_fifo_contended_conversations_do_not_wait_for_each_other() -> None:
    line = Line(FakeClock(), fifo=True, lanes=1)
    line.script.gate = asyncio.Event()
    line.script.contended = {"c1": asyncio.Event(), "c2": asyncio.Event()}
    for conversation in line.script.contended:
        line.queue.send(body(conversation), group=conversation)
    line.start()
    await until(lambda: len(line.in_hand) == 2)
    line.script.gate.set()
    await breathe()
    line.script.contended["c1"].set()
    await breathe()
    assert line.queue.left == ["m2"]
    await line.stop()


def _own(conversation: str) -> str:
    """A sync of our own, come back."""
    reasons = [{"action": "SYNC_CONVERSATION", "code": "WORK_ITEM_ASSIGNED"}]
    return json.dumps({**json.loads(body(conversation)), "isSync": True, "routingReasons": reasons})
