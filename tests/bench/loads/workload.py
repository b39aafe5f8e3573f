"""The loads: stored pairs as a reconcile leaves them, and messages with known results.

A template (template.py) holds a pair and an event with placeholders instead of ids; a pair is the template with its own
ids. Each pair has one event, so that batching several events of a conversation gains nothing. Each pair has agents of
its own, so that no two transactions write the same session, unless `agents` says otherwise.
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
"""Messages before the clock starts: they open connections and fill caches."""


Documents = Mapping[Collection, Sequence[Mapping[str, Any]]]


class LoadKind(StrEnum):
    """The four loads. The value is the column heading; its first letter names the load on the command line."""

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
"""A third each: another agent (changes two sessions), snoozed (changes one session), another queue (changes none)."""


class Workload(Struct, frozen=True, kw_only=True):
    """The documents to store, and message bodies. `announced`: the number of events that the worker must publish."""

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
    """A load of `messages` messages after `warm_up` others, and the documents they need.

    `agents`: number of agents that all pairs share; None: two a pair. `numbers`: the numbers of the pairs, one for each
    event; None: 0, 1, 2, …
    """
    now = datetime.now(UTC) if now is None else now
    chance = Random(f"{seed}/{kind.value}")
    builder = _WorkloadBuilder(chance=chance, agents=agents, now=now)
    kinds_of_events = _kinds_of_events(kind, warm_up + messages, chance)
    # `zip` ends with its first argument and so takes no number too many from an iterator that the next load continues.
    for kind_of_event, number in zip(kinds_of_events, count_up() if numbers is None else numbers, strict=False):
        _add_event(builder, number, kind_of_event)
    documents = {collection: list(kept.values()) for collection, kept in builder.documents.items()}
    return Workload(
        kind=kind,
        documents={**documents, Collection.QUEUES: wire.queues()},
        warm_up=builder.bodies[:warm_up],
        warm_up_announced=sum(builder.announced[:warm_up]),
        bodies=builder.bodies[warm_up:],
        announced=sum(builder.announced[warm_up:]),
    )


def _kinds_of_events(kind: LoadKind, count: int, chance: Random) -> Iterator[LoadKind]:
    shares = _SHARES[kind]
    # Each hundred messages hold the exact mix, in random order.
    for _ in range(0, count, 100):
        hundred = [kind_of_event for kind_of_event, share in shares.items() for _ in range(share)]
        chance.shuffle(hundred)
        yield from hundred[: min(100, count)]
        count -= 100


def _add_event(builder: _WorkloadBuilder, number: int, kind_of_event: LoadKind) -> None:
    one, other = (number if builder.agents is None else builder.chance.randrange(builder.agents) for _ in range(2))
    form = template(_SYNCS[number % len(_SYNCS)] if kind_of_event is LoadKind.SYNCS else kind_of_event.name.lower())
    names = {**names_of(number, agent=one, other_agent=other), wire.NOW: format_instant(builder.now)}
    fill = partial(filled, names=names)
    builder.bodies.append(fill(form.body).decode())
    builder.announced.append(form.announces)
    if kind_of_event is LoadKind.OWN:
        # The worker skips its own syncs without reading the store.
        return
    for collection, text in form.documents:
        document = orjson.loads(fill(text))
        builder.documents.setdefault(collection, {}).setdefault(document["_id"], document)


def names_of(number: int, *, agent: int | None = None, other_agent: int | None = None) -> dict[str, str]:
    """The ids of a pair by placeholder, of the same length. An agent has the number of the pair, unless given."""
    return {
        CONVERSATION: f"c0c0c0c0{number:016x}",
        WORK_ITEM: f"d0d0d0d0{number:016x}",
        EVENT: f"e0e0e0e0{number:016x}",
        AGENT: f"a0a0a0a0{number if agent is None else agent:016x}",
        OTHER_AGENT: f"b0b0b0b0{number if other_agent is None else other_agent:016x}",
    }


def filled(text: bytes, names: Mapping[str, str]) -> bytes:
    """The text with every placeholder replaced."""
    for name, value in names.items():
        text = text.replace(name.encode(), value.encode())
    return text
