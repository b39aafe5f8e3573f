"""One seeded run of a fleet in virtual time: outside writers, an unreliable queue, workers that crash between any two
steps, a store that fails before and after a commit, and the run's own weather. The worker's own handlers decide, on the
in-memory store.

Every draw comes from one seed: a seed and a commit replay a run exactly.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from random import Random
from typing import Any

import orjson
from msgspec.structs import replace

from commands.session import Session, place_of
from handlers.batch_handler import BatchHandler
from handlers.documents.document_mapping import work_item_of
from handlers.drift import DriftEnd, SweepLimits
from handlers.options import Options, PolicyInUse
from handlers.outcome import HandledEvent
from handlers.ports import LoadRequest, Plan
from sync.contract import sync_writes_max
from tests.causality.outside import NOW, published_event
from tests.causality.ports import AnyIds
from tests.causality.simulation.end_checks import broken_promises, unrouted
from tests.causality.simulation.fleet import SimulatedFleet
from tests.causality.simulation.service_stories import STORIES, open_conversation, put_old_pair, story_of_old_pair
from tests.causality.simulation.services import USERS, ConversationRecord, SimulatedServices, read_event
from tests.causality.simulation.shaky_store import ToldStore
from tests.causality.simulation.simulated_queue import SimulatedQueue
from tests.causality.simulation.simulated_worker import POLL_S, WorkerClock
from tests.causality.simulation.tally import SimulationSettings, Tally
from tests.causality.simulation.waits import WaitLog
from tests.causality.simulation.weather import Trouble, draw_weather
from tests.causality.virtual_time import VirtualTime
from worker.store.documents import Collection
from worker.store.memory.queue_rules import MemoryQueueRules
from worker.store.memory.store import MemoryStore


class Run:
    """The run of one seed. `handled` is called with the endings of each batch, `planned` with each committed plan,
    `heard` with each published event and its conversation."""

    def __init__(
        self,
        seed: int,
        settings: SimulationSettings,
        policy: PolicyInUse = PolicyInUse.CAUSAL,
        *,
        handled: Callable[[Sequence[HandledEvent]], None] = lambda _: None,
        heard: Callable[[str, Mapping[str, Any]], None] = lambda _key, _event: None,
        planned: Callable[[Plan], None] = lambda _: None,
    ) -> None:
        self._planned = planned
        self._seed, self._settings, self._random = seed, settings, Random(seed)
        self._time = VirtualTime(start=NOW)
        self._store = MemoryStore()
        self._tally = Tally(seeds=1)
        self.weather = draw_weather(
            self._random, troubles=settings.troubles, chance=settings.trouble, gap_s=settings.gap_s
        )
        self._queue = SimulatedQueue(settings, self.weather, self._random, self._time)
        routes = settings.routes
        self._options = Options(
            policy=policy,
            gap_seconds=settings.gap_s,
            deployed_at=NOW,
            create_work_items=routes,
            unassign_on_unavailable=routes,
            queue_rules=routes,
        )
        self._queue_rules = MemoryQueueRules(queues=[{"_id": "q3", "org": "org", "default": True}])
        self._ids = AnyIds()
        self._services = SimulatedServices(
            settings=settings,
            weather=self.weather,
            random=self._random,
            time=self._time,
            store=self._store,
            queue=self._queue,
            tally=self._tally,
            heard=heard,
        )
        self._stories: dict[str, str] = {}
        self._waits = WaitLog(
            self._time, self._stories, self._tally, calm=self.weather.keeps_watermark and self.weather.heartbeat
        )
        self._fleet = SimulatedFleet(
            settings=settings,
            weather=self.weather,
            random=self._random,
            time=self._time,
            store=self._store,
            queue=self._queue,
            options=self._options,
            ids=self._ids,
            waits=self._waits,
            tally=self._tally,
            workers={},
            committed=self._committed,
            handled=handled,
            queue_rules=self._queue_rules,
        )

    def run(self) -> Tally:
        """Run to the end, then check every conversation."""
        for user in USERS[:1] if self._settings.routes else USERS:
            self._store.put_session(Session(id=f"s-{user}", user=user, capacity=1_000))
        for number in range(self._random.randint(*self._settings.conversations)):
            self._open(f"c{number}")
        self._fleet.start()
        self._time.begin(self._heartbeats())
        self._time.begin(self._watch())
        self._time.run()
        # What lost no event needs nobody to look.
        untold = [case for case in self._services.cases.values() if not case.lost_some and not case.existed]
        for case in untold:
            self._judge(case)
        self._look()
        for case in self._services.cases.values():
            if case not in untold or self._looked_wrong(case):
                self._judge(case)
        self._judge_all()
        return self._tally

    def _committed(self, plan: Plan) -> None:
        self._planned(plan)
        self._waits.committed(plan)
        self._services.workers_wrote(plan)

    def _looked_wrong(self, case: ConversationRecord) -> bool:
        """Whether the look broke what was right before."""
        return not any(f" {case.key} " in said for said in self._tally.wrong) and bool(
            broken_promises(self._services, case)
        )

    def _open(self, key: str) -> None:
        names = list(STORIES) if self._settings.stories is None else list(self._settings.stories)
        story = self._random.choices(names, [STORIES[name][0] for name in names])[0]
        case = self._services.cases[key] = ConversationRecord(key, story)
        self._stories[key] = story
        self._tally.conversations += 1
        if self.weather.has(Trouble.OLD_PAIRS) and self._random.random() < 0.6:
            put_old_pair(self._services, case)
            self._services.begin(story_of_old_pair(self._services, case))
        else:
            begins_s = self._random.random() * self.weather.writing_s / 2
            self._services.begin(open_conversation(self._services, case), after_s=begins_s)

    # What goes on beside the stories

    async def _heartbeats(self) -> None:
        """Publish the heartbeat; where it is off, other traffic comes once the stories have ended."""
        while not self._fleet.over:
            if self.weather.heartbeat or not self._services.writing:
                self._queue.publish(None)
            await self._time.sleep(self._settings.heartbeat_s)

    async def _watch(self) -> None:
        """End the run once everything is quiet, or once the longest time of waiting has passed."""
        if self.weather.has(Trouble.REDRIVES):
            self._time.begin(self._redrives())
        quiet_from_s = 0.0
        while True:
            await self._time.sleep(1)
            at_s = self._time.passed_s
            if self._services.writing or at_s < self.weather.calm_from_s:
                quiet_from_s = at_s
            quiet = self._queue.empty and not self._waits.waiting
            if at_s > quiet_from_s and (quiet or at_s > quiet_from_s + self._settings.waiting_s_max):
                self._fleet.over = True
                return

    async def _redrives(self) -> None:
        """One event of hours ago comes every 45 s."""
        case = ConversationRecord("old", "random", writes=1)
        self._services.cases["old"], self._stories["old"] = case, "random"
        put_old_pair(self._services, case)
        document = self._services.conversation(case)
        assert document is not None
        event = read_event(published_event(document, document))
        old = replace(event, rev=1, published_at=self._time.now() - timedelta(hours=2))
        while not self._fleet.over:
            self._queue.send(old, after_s=0, redriven=True)
            self._tally.redriven += 1
            await self._time.sleep(45)

    def _look(self) -> None:
        """Sweep everything, as after a restore, when nothing is in flight; a second sweep finds nothing."""
        self._time.begin(self._sweep())
        self._time.run()
        self._time.begin(self._sweep(again=True))
        self._time.run()

    async def _sweep(self, *, again: bool = False) -> None:
        clock = WorkerClock(self._time, timedelta(minutes=15))
        handler = BatchHandler(
            store=ToldStore(self._store, self._committed),
            clock=WorkerClock(self._time, timedelta(minutes=15)),
            ids=self._ids,
            chance=self._random,
            options=self._options,
            queue_rules=self._queue_rules,
        )
        watermark = clock.now() + timedelta(hours=1)
        limits = SweepLimits(watermark=watermark, certain_before=watermark, repair=True)
        requests = [
            LoadRequest(conversation_id=key, work_item_ids=frozenset({case.item_key}))
            for key, case in self._services.cases.items()
        ]
        for swept in (await handler.sweep_pairs(requests, limits)).pairs:
            self._tally.swept += not again
            if again and swept.drift.end is not DriftEnd.TOLD:
                key = swept.drift.conversation_id or ""
                self._say(self._stories[key], key, [f"swept twice: {swept.drift.as_wire()}"])

    # Checking the end

    def _judge(self, case: ConversationRecord) -> None:
        self._say(case.story, case.key, broken_promises(self._services, case))
        if self._settings.routes:
            self._say(case.story, case.key, unrouted(self._services, case))
        if self._waits.is_waiting(case.key):
            self._say(case.story, case.key, ["a field still waits"])

    def _judge_all(self) -> None:
        for key in self._waits.left_waiting:
            self._say(self._stories[key], key, ["left: round after round of the poll leaves it waiting"])
        settings = self._settings
        chat_s = self._tally.longest_calm_s.get("chat", 0.0)
        # The watermark stands still between two messages.
        pause_s = settings.heartbeat_s
        if chat_s > settings.gap_s + settings.visibility_s + settings.long_delay_s + 1.5 * POLL_S + pause_s:
            self._say("chat", "all", [f"waits: {chat_s:.0f} s, with a watermark all the while"])
        announced = self._announced()
        self._tally.syncs += announced.total()
        for key, case in self._services.cases.items():
            if announced[key] > sync_writes_max(case.writes):
                self._say(case.story, key, [f"3 loops: {announced[key]} syncs of {case.writes} writes"])
        items = [work_item_of(document) for document in self._store.documents(Collection.WORK_ITEMS)]
        places = sorted(item.id for item in items if place_of(item) is not None)
        sessions = self._services.sessions().values()
        held = [each.id for session in sessions for each in (*session.work_items, *session.paused_work_items)]
        held += [session.pending_item for session in sessions if session.pending_item is not None]
        if sorted(held) != places:
            self._say("all", "sessions", [f"places: sessions hold {sorted(held)}, work-items say {places}"])

    def _announced(self) -> Counter[str]:
        """The number of sync writes by conversation; each must be in the outbox once, by document and revision."""
        revisions: Counter[tuple[str, int]] = Counter()
        conversations: Counter[str] = Counter()
        for entry in self._store.documents(Collection.OUTBOX):
            body = orjson.loads(entry["message"])["body"]
            revisions[body["data"]["id"], body["data"]["attributes"]["rev"]] += 1
            conversations[entry["conversationId"]] += body["isSync"]
        for (key, rev), times in revisions.items():
            if times > 1:
                self._say("all", key, [f"twice: revision {rev} announced {times} times"])
        return conversations

    def _say(self, story: str, key: str, wrong: Iterable[str]) -> None:
        for each in wrong:
            self._tally.found[f"{story}: {each.split(':')[0]}"] += 1
            self._tally.wrong.append(f"seed {self._seed}: {key} ({story}) {each}")
