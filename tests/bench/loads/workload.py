"""What the consumers are fed: pairs as after a reconcile, and events of which it is known what must become of them.

A pair and its events are made once, by our own handlers on a store in memory, with names in the places of ids; every
further pair is the same text with other ids. Each pair has one event, so that nothing is gained by deciding several
together, and agents of its own, so that no two transactions meet on a session unless `agents` says otherwise.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from itertools import count as count_up
from random import Random
from typing import Any, Final

import orjson
from msgspec import Struct

from commands.instant import format_instant
from tests.bench.loads import wire
from tests.bench.loads.template import AGENT, CONVERSATION, EVENT, OTHER_AGENT, WORK_ITEM, template
from worker.store.documents import Collection

WARM_UP: Final = 200
"""Messages before the clock starts: connections, caches, first polls."""


Documents = Mapping[Collection, Sequence[Mapping[str, Any]]]


class LoadKind(StrEnum):
    """The four loads; the value is the heading in the table."""

    OWN = "a  own syncs"
    UNSHARED = "b  no shared field"
    SYNCS = "c  ends in a sync"
    MIX = "d  mix 80/15/5"


_SHARES: Final[Mapping[LoadKind, Mapping[LoadKind, int]]] = {
    LoadKind.OWN: {LoadKind.OWN: 100},
    LoadKind.UNSHARED: {LoadKind.UNSHARED: 100},
    LoadKind.SYNCS: {LoadKind.SYNCS: 100},
    LoadKind.MIX: {LoadKind.OWN: 80, LoadKind.UNSHARED: 15, LoadKind.SYNCS: 5},
}
_SYNCS: Final = ("assign", "snooze", "queue")
"""A third each: another agent (two sessions change), snoozed (one session changes), another queue (none does)."""


class Workload(Struct, frozen=True, kw_only=True):
    """`warm_up` and `bodies` are queue messages' bodies; `announced` is how many events the latter lead to."""

    kind: LoadKind
    documents: Documents
    warm_up: Sequence[str]
    warm_up_announced: int
    bodies: Sequence[str]
    announced: int


@dataclass(slots=True, kw_only=True)
class _WorkloadBuilder:
    chance: Random
    agents: int | None
    now: datetime
    documents: dict[Collection, dict[str, dict[str, Any]]] = field(default_factory=dict)
    bodies: list[str] = field(default_factory=list)
    announced: list[bool] = field(default_factory=list)


def workload(
    kind: LoadKind,
    messages: int,
    *,
    seed: int,
    agents: int | None = None,
    warm_up: int = WARM_UP,
    now: datetime | None = None,
    numbers: Iterable[int] | None = None,
) -> Workload:
    """`messages` of one kind, and the store they need. `agents`: that many have all the pairs; None: two a pair.

    `numbers`: those of the pairs, one an event; None: from 0 on.
    """
    now = datetime.now(UTC) if now is None else now
    chance = Random(f"{seed}/{kind.value}")
    made = _WorkloadBuilder(chance=chance, agents=agents, now=now)
    parts = _parts(kind, warm_up + messages, chance)
    # In this order: of numbers that others go on with none is taken in vain.
    for part, number in zip(parts, count_up() if numbers is None else numbers, strict=False):
        _make(made, number, part)
    documents = {collection: list(kept.values()) for collection, kept in made.documents.items()}
    return Workload(
        kind=kind,
        documents={**documents, Collection.QUEUES: wire.queues()},
        warm_up=made.bodies[:warm_up],
        warm_up_announced=sum(made.announced[:warm_up]),
        bodies=made.bodies[warm_up:],
        announced=sum(made.announced[warm_up:]),
    )


def _parts(kind: LoadKind, count: int, chance: Random) -> Iterator[LoadKind]:
    shares = _SHARES[kind]
    # By hundreds, so that every stretch of the queue has the mix, in an order of its own.
    for _ in range(0, count, 100):
        hundred = [part for part, share in shares.items() for _ in range(share)]
        chance.shuffle(hundred)
        yield from hundred[: min(100, count)]
        count -= 100


def _make(made: _WorkloadBuilder, number: int, part: LoadKind) -> None:
    one, other = (number if made.agents is None else made.chance.randrange(made.agents) for _ in range(2))
    form = template(_SYNCS[number % len(_SYNCS)] if part is LoadKind.SYNCS else part.name.lower())
    names = {**names_of(number, agent=one, other_agent=other), wire.NOW: format_instant(made.now)}
    fill = partial(filled, names=names)
    made.bodies.append(fill(form.body).decode())
    made.announced.append(form.announces)
    if part is LoadKind.OWN:
        # Ours come back from our own store, and no consumer looks there for them.
        return
    for collection, text in form.documents:
        document = orjson.loads(fill(text))
        made.documents.setdefault(collection, {}).setdefault(document["_id"], document)


def names_of(number: int, *, agent: int | None = None, other_agent: int | None = None) -> dict[str, str]:
    """A pair's ids in the places of their names, of the same length. An agent's number is the pair's, if not given."""
    return {
        CONVERSATION: f"c0c0c0c0{number:016x}",
        WORK_ITEM: f"d0d0d0d0{number:016x}",
        EVENT: f"e0e0e0e0{number:016x}",
        AGENT: f"a0a0a0a0{number if agent is None else agent:016x}",
        OTHER_AGENT: f"b0b0b0b0{number if other_agent is None else other_agent:016x}",
    }


def filled(text: bytes, names: Mapping[str, str]) -> bytes:
    """The text with every name replaced."""
    for name, value in names.items():
        text = text.replace(name.encode(), value.encode())
    return text
