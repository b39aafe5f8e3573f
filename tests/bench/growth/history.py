"""Growth by history: the cost of one more event after ten revisions of a conversation, and after ten thousand.

A worker handles the whole history of one pair. Its documents are then copied to many pairs, and each pair gets one more
event. In a third history every second event is lost, so that the observed revisions have gaps.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import bson
from bson.raw_bson import RawBSONDocument
from msgspec import Struct

from tests.bench.consumers.consumer import OURS
from tests.bench.loads import wire
from tests.bench.loads.long_history import FIRST_REV, bodies_of, documents_of
from tests.bench.loads.workload import filled, names_of
from tests.bench.runs.comparison import Variant, VariantRow, compare
from tests.bench.runs.fleet import Figures
from tests.bench.runs.servers import BenchServers
from worker.store.documents import Collection

SHORT: Final = 10
LONG: Final = 10_000
_WARM_UP: Final = 200
_COPIED: Final = (Collection.CONVERSATIONS, Collection.WORK_ITEMS, Collection.SYNC_STATES, Collection.WORK_SESSIONS)
_PART: Final = 1_000
"""Events staged at a time: few enough that the stand-in renders no event long before its delivery."""


class History(Struct, frozen=True, kw_only=True):
    """A history of `events` events, one every `step` revisions, and the stored result."""

    name: str
    events: int
    step: int
    last_rev: int
    runs: int
    state_bytes: int
    pair_bytes: int
    documents: Mapping[Collection, Sequence[bytes]]


class HistoryGrowth(Struct, frozen=True, kw_only=True):
    """The histories, and a row for one more event after each."""

    histories: Sequence[History]
    rows: Sequence[VariantRow]


def measure_history(
    servers: BenchServers,
    *,
    messages: int,
    rounds: int,
    seed: int,
    short: int = SHORT,
    long: int = LONG,
    done: Callable[[], None] = lambda: None,
) -> HistoryGrowth:
    """Measures one more event after a short history, a long one, and a long one with lost events. Raises RunFailed."""
    asked = [(short, 1), (long, 1), (long, 2)]
    histories = []
    for events, step in asked:
        histories.append(history_of(servers, events, step))
        done()
    variants = [Variant(name=each.name, run=partial(_one_more, servers, each, messages)) for each in histories]
    rows = compare(variants, rounds=rounds, seed=seed, speed=servers.speed, done=done)
    return HistoryGrowth(histories=histories, rows=rows)


def history_of(servers: BenchServers, events: int, step: int) -> History:
    """Lets a worker handle `events` events of one conversation, one every `step` revisions. Raises RunFailed."""
    now = datetime.now(UTC)
    revs = range(FIRST_REV, FIRST_REV + events * step, step)
    with servers.place() as queue:
        servers.fill(queue, documents_of([0], now=now))
        # One receiver, so that no event overtakes another.
        with servers.fleet(OURS, queue, extra={"RECEIVERS": "1"}) as fleet:
            for start in range(0, len(revs), _PART):
                some = revs[start : start + _PART]
                fleet.stage(list(bodies_of(0, some, now=now)))
                fleet.drain(messages=len(some), announced=0)
        raw = {each: _raw(servers, queue, each) for each in _COPIED}
    [state] = raw[Collection.SYNC_STATES]
    [conversation] = raw[Collection.CONVERSATIONS]
    lost = ", every other one lost" if step > 1 else ""
    return History(
        name=f"{events:,} events{lost}",
        events=events,
        step=step,
        last_rev=bson.decode(conversation)["rev"],
        runs=len(bson.decode(state)["conversation"]["observed"]),
        state_bytes=len(state),
        pair_bytes=sum(len(one) for each in _COPIED[:3] for one in raw[each]),
        documents=raw,
    )


def _raw(servers: BenchServers, database: str, collection: Collection) -> list[bytes]:
    return [bson.encode(one) for one in servers.mongo[database][collection].find()]


def _one_more(servers: BenchServers, history: History, messages: int, number: int) -> Figures:
    now = datetime.now(UTC)
    rev = history.last_rev + history.step
    with servers.place() as queue:
        servers.mongo[queue][Collection.QUEUES].insert_many(wire.queues())
        for collection, documents in history.documents.items():
            copies = [RawBSONDocument(_copied(one, each)) for one in documents for each in range(_WARM_UP + messages)]
            servers.mongo[queue][collection].insert_many(copies, ordered=False)
        bodies = [next(bodies_of(each, [rev], now=now)) for each in range(_WARM_UP + messages)]
        with servers.fleet(OURS, queue) as fleet:
            fleet.stage(bodies[:_WARM_UP])
            fleet.drain(messages=_WARM_UP, announced=0)
            fleet.stage(bodies[_WARM_UP:])
            return fleet.drain(messages=messages, announced=0)


def _copied(document: bytes, number: int) -> bytes:
    first, names = names_of(0), names_of(number)
    return filled(document, {first[name]: names[name] for name in names})


def as_json(history: History) -> dict[str, Any]:
    """The history for JSON, without its documents."""
    return {
        "name": history.name,
        "lastRev": history.last_rev,
        "runs": history.runs,
        "stateBytes": history.state_bytes,
        "pairBytes": history.pair_bytes,
    }
