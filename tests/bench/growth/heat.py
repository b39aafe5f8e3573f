"""Hot conversations: half of all events belong to ten conversations, compared with none, for one process and two.

Kind and number of the events are the same in both. Without hot conversations each event has a pair of its own, at
revision 2 or 5; with them, half of the events are successive revisions of ten pairs. Two processes then write the same
conversations, and conditional writes make one of them lose and try again.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from random import Random
from typing import Final

from tests.bench.consumers.consumer import OURS
from tests.bench.loads.long_history import FIRST_REV, bodies_of, documents_of
from tests.bench.runs.comparison import Variant, VariantRow, compare
from tests.bench.runs.fleet import Figures, RunFailed
from tests.bench.runs.servers import BenchServers
from worker.store.documents import Collection

HOT: Final = 10
_RECEIVERS: Final = 4
_SYNCS_EVERY: Final = 5
"""One event of this many ends in a sync, hot or not (long_history.py)."""


def measure_heat(
    servers: BenchServers,
    *,
    messages: int,
    rounds: int,
    seed: int,
    heats: Sequence[bool] = (False, True),
    processes: Sequence[int] = (1, 2),
    done: Callable[[], None] = lambda: None,
) -> list[VariantRow]:
    """Measures cold and hot events with one process and with two. Raises RunFailed."""
    variants = [
        Variant(
            name=f"{'half on ten' if hot else 'none is hot'}, {count} proc.",
            run=partial(_run, servers, messages=messages, hot=hot, processes=count, seed=seed),
        )
        for count in processes
        for hot in heats
    ]
    return compare(variants, rounds=rounds, seed=seed, speed=servers.speed, done=done)


def _run(servers: BenchServers, number: int, *, messages: int, hot: bool, processes: int, seed: int) -> Figures:
    now = datetime.now(UTC)
    hot_events = messages // 2 if hot else 0
    warm_up = 100
    cold = range(HOT, HOT + messages - hot_events + warm_up)
    of_cold = [next(bodies_of(each, [_cold_rev(each)], now=now)) for each in cold]
    of_hot = list(_of_hot(hot_events, now))
    bodies = list(_mixed(of_cold[warm_up:], of_hot, Random(f"{seed}/{number}")))
    with servers.place() as queue:
        servers.fill(queue, documents_of(range(HOT + len(cold)), now=now))
        with servers.fleet(OURS, queue, processes=processes) as fleet:
            fleet.wait_polled(_RECEIVERS)
            fleet.stage(of_cold[:warm_up])
            # Events of a conversation in one batch are announced once, so the number of announcements is not known.
            fleet.drain(messages=warm_up, announced=0)
            fleet.stage(bodies)
            figures = fleet.drain(messages=len(bodies), announced=0)
        _check_ended(servers, queue, hot_events)
    return figures


def _cold_rev(number: int) -> int:
    return _SYNCS_EVERY if number % _SYNCS_EVERY == 0 else FIRST_REV


def _of_hot(events: int, now: datetime) -> Iterator[str]:
    """One event of each hot conversation in turn: the revisions of each conversation stay in order."""
    each = [bodies_of(number, range(FIRST_REV, FIRST_REV + events // HOT), now=now) for number in range(HOT)]
    for some in zip(*each, strict=True):
        yield from some


def _mixed(some: list[str], others: list[str], chance: Random) -> Iterator[str]:
    """Both lists mixed at random; each keeps its own order."""
    sources = [iter(some)] * len(some) + [iter(others)] * len(others)
    chance.shuffle(sources)
    for source in sources:
        yield next(source)


def _check_ended(servers: BenchServers, database: str, hot_events: int) -> None:
    """Checks that every hot conversation is stored at its last revision. Raises RunFailed."""
    last = FIRST_REV + hot_events // HOT - 1
    hot = [f"c0c0c0c0{number:016x}" for number in range(HOT if hot_events else 0)]
    revs = {one["rev"] for one in servers.mongo[database][Collection.CONVERSATIONS].find({"_id": {"$in": hot}})}
    if revs - {last}:
        raise RunFailed(f"hot conversations ended at revisions {sorted(revs)} instead of {last}")
