"""`make bench-routing`: what creation, queue rules and waiting times add to an event, as ratio to one without them.

The worker's parser and handlers run on the store in memory, in batches: without a queue, MongoDB or a network. Each
round handles the same events once with each of the options, in another order every round; of each the fastest round
counts, as the machines are shared. Two loads need nothing of the options, and two are what they are for.
"""

import argparse
import asyncio
import gc
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from random import Random
from typing import Any, Final

import orjson
from msgspec import Struct
from rich.console import Console
from rich.progress import Progress

from commands.instant import format_instant
from handlers.batch_handler import BatchHandler
from handlers.events.event import Event
from handlers.events.parser import read_message
from handlers.options import Options
from handlers.ports import Document
from tests.bench.loads import wire
from tests.bench.loads.template import AGENT, CONVERSATION, EVENT
from tests.bench.loads.workload import LoadKind, filled, names_of, workload
from tests.bench.markdown import markdown_table
from tests.bench.runs.machine import machine
from tests.handlers.small_ports import FixedChance
from worker.runtime.clock import ObjectIds, SystemClock
from worker.store.documents import Collection, queue_of, session_of
from worker.store.memory.queue_rules import MemoryQueueRules
from worker.store.memory.store import MemoryStore

ROUNDS: Final = 40
EVENTS: Final = 100
BATCH: Final = 20
RULES: Final = 10
"""Queue rules of the org. None but the last one holds."""
_NEW: Final = "kustomer.conversation.create"


class RoutingOptions(Struct, frozen=True, kw_only=True):
    """A column: the options that are on."""

    name: str
    waiting_times: bool = False
    creates: bool = False
    rules: bool = False

    def options(self) -> Options:
        """The options of the handler."""
        return Options(
            waiting_times=self.waiting_times,
            create_work_items=self.creates,
            unassign_on_unavailable=self.creates,
            queue_rules=self.rules,
        )


BASE: Final = RoutingOptions(name="none")
COLUMNS: Final = (
    RoutingOptions(name="WAITING_TIMES", waiting_times=True),
    RoutingOptions(name="CREATE_WORK_ITEMS", creates=True),
    RoutingOptions(name="QUEUE_RULES", rules=True),
    RoutingOptions(name="all", waiting_times=True, creates=True, rules=True),
)


class RoutingLoad(Struct, frozen=True, kw_only=True):
    """A row: stored documents and message bodies. `made`: the work-items that creation makes of them."""

    name: str
    documents: Mapping[Collection, Sequence[Mapping[str, Any]]]
    bodies: Sequence[str]
    made: int


class RoutingCost(Struct, frozen=True, kw_only=True):
    """A load with one of the options: microseconds of CPU an event, and the same without any of them."""

    load: str
    options: str
    us: float
    base_us: float

    @property
    def ratio(self) -> float:
        """The event with the options to the event without them."""
        return self.us / self.base_us


def measure_routing(
    *, events: int = EVENTS, rounds: int = ROUNDS, seed: int = 1, progress: Any = lambda: None
) -> list[RoutingCost]:
    """Every load with each of the options. `progress` is called after each run."""
    chance = Random(seed)
    found: list[RoutingCost] = []
    for load in _loads(events, seed):
        us: dict[str, list[float]] = {each.name: [] for each in (BASE, *COLUMNS)}
        for _ in range(rounds):
            for each in chance.sample([BASE, *COLUMNS], len(us)):
                us[each.name].append(asyncio.run(_run(load, each)))
                progress()
        base_us = min(us[BASE.name])
        found += [
            RoutingCost(load=load.name, options=each.name, us=min(us[each.name]), base_us=base_us) for each in COLUMNS
        ]
    return found


async def _run(load: RoutingLoad, which: RoutingOptions) -> float:
    """Microseconds of CPU an event."""
    store = _store(load)
    handler = BatchHandler(
        store=store,
        clock=SystemClock(),
        ids=ObjectIds(),
        chance=FixedChance(),
        options=which.options(),
        queue_rules=_rules(),
    )
    before = len(store.documents(Collection.WORK_ITEMS))
    gc.collect()
    began = time.process_time_ns()
    for start in range(0, len(load.bodies), BATCH):
        batch = [read_message(body) for body in load.bodies[start : start + BATCH]]
        await handler.handle([event for event in batch if isinstance(event, Event)])
    us = (time.process_time_ns() - began) / len(load.bodies) / 1_000
    made = len(store.documents(Collection.WORK_ITEMS)) - before
    assert made == (load.made if which.creates else 0), f"{load.name}: {made} work-items were made"
    return us


def _store(load: RoutingLoad) -> MemoryStore:
    store = MemoryStore()
    puts: dict[Collection, Callable[[Document], None]] = {
        Collection.CONVERSATIONS: store.put_conversation,
        Collection.WORK_ITEMS: store.put_work_item,
        Collection.SYNC_STATES: store.put_state_document,
        Collection.QUEUES: lambda document: store.put_queue(queue_of(document)),
        Collection.WORK_SESSIONS: lambda document: store.put_session(session_of(document)),
    }
    for collection, documents in load.documents.items():
        for document in documents:
            puts[collection](dict(document))
    return store


def _rules() -> MemoryQueueRules:
    criteria = [{"attribute": "messageCount", "operator": "gt", "value": 1_000}]
    rules = [
        {"_id": f"r{n}", "org": wire.ORG, "position": n, "enabled": True, "queue": wire.QUEUE, "criteria": criteria}
        for n in range(RULES - 1)
    ]
    last = {"_id": "last", "org": wire.ORG, "position": RULES, "enabled": True, "queue": wire.QUEUE}
    return MemoryQueueRules(
        [*rules, {**last, "criteria": [{"attribute": "messageCount", "operator": "gte", "value": 0}]}],
        [{**queue, "org": wire.ORG} for queue in wire.queues()],
    )


def _loads(events: int, seed: int) -> list[RoutingLoad]:
    unshared = workload(LoadKind.UNSHARED, events, seed=seed, warm_up=0)
    syncs = workload(LoadKind.SYNCS, events, seed=seed, warm_up=0)
    rest = (Collection.QUEUES, Collection.WORK_SESSIONS)
    around = {collection: unshared.documents[collection] for collection in rest}
    return [
        RoutingLoad(name=unshared.kind.value, documents=unshared.documents, bodies=unshared.bodies, made=0),
        RoutingLoad(name=syncs.kind.value, documents=syncs.documents, bodies=syncs.bodies, made=0),
        RoutingLoad(name="new, with an agent", documents=around, bodies=_new(events, [AGENT]), made=events),
        RoutingLoad(name="new, of nobody", documents=around, bodies=_new(events, []), made=events),
    ]


def _new(events: int, users: list[str]) -> list[str]:
    """Creations of conversations without a queue."""
    data = wire.conversation(CONVERSATION, rev=1, users=users, queue=wire.QUEUE)
    del data["relationships"]["queue"]
    event = wire.event(EVENT, _NEW, data, None)
    body = wire.wrapped(orjson.dumps(event), _NEW)
    now = {wire.NOW: format_instant(datetime.now(UTC))}
    return [filled(body, {**names_of(number), **now}).decode() for number in range(events)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints. Returns 0 whatever the ratios."""
    parser = argparse.ArgumentParser(prog="make bench-routing", description=__doc__)
    parser.add_argument("--events", type=int, default=EVENTS, help="events a run")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seed", type=int, default=1, help="of the loads and of the order of the runs")
    options = parser.parse_args(arguments)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("runs", total=4 * options.rounds * (1 + len(COLUMNS)))
        found = measure_routing(
            events=options.events, rounds=options.rounds, seed=options.seed, progress=lambda: progress.advance(task)
        )
    _print(found, options)
    return 0


def _print(found: Sequence[RoutingCost], options: argparse.Namespace) -> None:
    title = (
        "CPU of an event, and its ratio to the event without the options "
        f"(the fastest of {options.rounds} rounds of {options.events} events, {RULES} rules)"
    )
    table = markdown_table(title, "", "none", *(each.name for each in COLUMNS))
    for load in dict.fromkeys(each.load for each in found):
        row = [each for each in found if each.load == load]
        table.add_row(load, f"{row[0].base_us:,.0f} µs", *map(_shown, row))
    console = Console()
    console = Console(width=max(console.width, 132))
    console.print(table)
    console.print(f"Machine: {machine()}", highlight=False)


def _shown(cost: RoutingCost) -> str:
    return f"{cost.us:,.0f} µs {cost.ratio:6.2f}"


if __name__ == "__main__":
    sys.exit(main())
