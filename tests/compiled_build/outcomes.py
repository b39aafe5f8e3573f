"""`python -m tests.compiled_build.outcomes --seeds N --inputs N`: what becomes of generated events, one JSON line each.

The build that is imported decides. Two builds that decide the same print the same lines: the compiled build is held
against the source by them (compiled_build/comparison.py).

| first key | of |
|---|---|
| `handled` | a delivery of the simulated fleet: the outcome, the audit record, the announcements |
| `planned` | a committed plan of the fleet, as the steps of its transaction, and their commands |
| `read` | a message's body, some of them damaged: the event, or the code and reason of its rejection |
| `batch` | an event of such bodies handled beside others |
| `load` | an event of the benchmark's loads on its stored pair, some in other stored types: the plan, its commands |
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from enum import Enum
from random import Random
from typing import Any, Final

import orjson

from commands.instant import parse_instant
from handlers.documents.stored_values import StoredDate, StoredDouble, StoredInt64
from handlers.events.event import Event
from handlers.events.parser import read_message
from handlers.options import Options, PlanningContext, PolicyInUse
from handlers.outcome import HandledEvent
from handlers.planning.planner import plan_pair
from handlers.ports import Plan
from tests.bench.decisions import pair_of_load
from tests.bench.loads.workload import LoadKind, workload
from tests.causality.outside import NOW
from tests.causality.ports import AnyIds, run_to_end
from tests.causality.simulation.run import Run
from tests.causality.simulation.tally import SimulationSettings
from tests.fuzz.targets import envelope_bytes
from tests.handlers.world import World
from worker.mongo.batch.write_commands import additions, inserted_document, removals, update_of_document
from worker.store.documents import Collection
from worker.store.transaction.steps import (
    DocumentChanges,
    DocumentInserts,
    SessionChanges,
    TransactionStep,
    transaction_steps,
)

Line = tuple[str, Any]
Take = Callable[[Line], None]

_BATCH: Final = 4
_LOAD_EVENTS: Final = 200
_BARE: Final = (str, int, float)
_STORED_NUMBERS: Final = (int, StoredDouble, StoredInt64)


def main(arguments: Sequence[str]) -> None:
    """Prints the lines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=20, help="simulated fleets of each policy (default 20)")
    parser.add_argument("--inputs", type=int, default=2_000, help="message bodies (default 2000)")
    asked = parser.parse_args(arguments)

    def take(line: Line) -> None:
        kind, value = line
        sys.stdout.write(orjson.dumps({kind: plain(value)}).decode() + "\n")

    for seed in range(asked.seeds):
        for policy in PolicyInUse:
            _fleet(seed, policy, take)
    for line in _bodies(asked.inputs):
        take(line)
    for line in _loads(_LOAD_EVENTS if asked.inputs else 0):
        take(line)


def plain(value: Any) -> Any:
    """The value as JSON can hold it, the same of either build. A set is sorted, all else keeps its order.

    A text or number of a type of its own, such as a stored double, is a pair of the type's name and the value.
    """
    match value:
        case Enum():
            return [type(value).__name__, plain(value.value)]
        case None | bool():
            return value
        case str() | int() | float():
            return _bare(value) if type(value) in _BARE else [type(value).__name__, _bare(value)]
        case datetime():
            return value.isoformat()
        case bytes():
            return value.hex()
        case Mapping():
            return {str(plain(key)): plain(one) for key, one in value.items()}
        case AbstractSet():
            return sorted((plain(one) for one in value), key=repr)
        case Sequence():
            return [plain(one) for one in value]
        case _:
            fields: tuple[str, ...] = value.__struct_fields__
            return [type(value).__name__, {name: plain(getattr(value, name)) for name in fields}]


def _bare(value: str | float) -> str | float:
    of = next(kind for kind in _BARE if isinstance(value, kind))
    # JSON's writer takes integers of 64 bits.
    return str(int(value)) if of is int and not -(2**63) <= int(value) < 2**63 else of(value)


def _planned(plan: Plan) -> Any:
    steps = transaction_steps([plan], "commit")
    return [steps, [_commands(step) for step in steps]]


def _commands(step: TransactionStep) -> Any:
    """What the driver gets."""
    match step:
        case DocumentInserts(collection=collection, documents=documents):
            return [inserted_document(collection, document) for document in documents]
        case DocumentChanges(collection=collection, changes=changes):
            return [update_of_document(collection, change) for change in changes]
        case SessionChanges(changes=changes):
            return [*removals(changes), *additions(changes)]


def _fleet(seed: int, policy: PolicyInUse, take: Take) -> None:
    settings = SimulationSettings(conversations=(8, 12), writes=(1, 3), routes=seed % 4 == 3)

    def handled(batch: Sequence[HandledEvent]) -> None:
        for one in batch:
            take(("handled", [one, one.audit.as_wire()]))

    def planned(plan: Plan) -> None:
        take(("planned", _planned(plan)))

    tally = Run(seed, settings, policy, handled=handled, planned=planned).run()
    take(("wrong", sorted(tally.wrong)))


def _bodies(inputs: int) -> Iterator[Line]:
    events: list[Event] = []
    for number in range(inputs):
        text = envelope_bytes(Random(f"outcomes/{number}")).decode("utf-8", "surrogateescape")
        read = read_message(text)
        yield "read", read
        if isinstance(read, Event):
            events.append(read)
        if len(events) == _BATCH:
            world = World(policy=PolicyInUse.LEGACY if number % 2 else PolicyInUse.CAUSAL)
            for one in run_to_end(world.handle(events)):
                yield "batch", [one, one.audit.as_wire()]
            yield "stored", [world.stored(), world.announced()]
            events = []


def _loads(events: int) -> Iterator[Line]:
    for kind in LoadKind:
        load = workload(kind, events, seed=1, warm_up=0, now=NOW)
        documents = {name: _in_stored_types(name, some) for name, some in load.documents.items()}
        for body in load.bodies:
            event = read_message(body)
            yield "read", event
            if isinstance(event, Event) and not event.is_sync:
                context = PlanningContext(now=NOW, queue_now=NOW, ids=AnyIds(), options=Options())
                pair = pair_of_load(event, documents)
                planned = plan_pair(event.conversation_id, pair, [event], planning=context)
                yield "load", [planned, _planned(planned.plan)]


def _in_stored_types(collection: Collection, documents: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Two of three conversations and work-items as they are stored with dates, and with doubles or 64-bit integers."""
    if collection not in (Collection.CONVERSATIONS, Collection.WORK_ITEMS):
        return documents
    kinds = (_STORED_NUMBERS[number % len(_STORED_NUMBERS)] for number in range(len(documents)))
    return [one if kind is int else _stored(one, kind) for kind, one in zip(kinds, documents, strict=True)]


def _stored(value: Any, number: type[int]) -> Any:
    match value:
        case dict():
            return {name: _stored(inner, number) for name, inner in value.items()}
        case list():
            return [_stored(inner, number) for inner in value]
        case int() if not isinstance(value, bool):
            return number(value)
        case str() if parse_instant(value) is not None:
            return StoredDate(value)
        case _:
            return value


if __name__ == "__main__":
    main(sys.argv[1:])
