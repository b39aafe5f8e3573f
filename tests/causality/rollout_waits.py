"""How many pairs wait in the first minutes of a roll-out onto a live system, and how long:
`make simulate ARGS="--rollout"`.

The pairs of a helpdesk stand already when the first worker starts. None of their earlier events comes. In the first
minutes each pair is written once, with an event: by the customer, by an agent or by the router. The table groups the
pairs by the time of their last write before the start.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from statistics import median
from typing import Final

from rich.table import Table

from commands.instant import format_instant
from handlers.batch_handler import BatchHandler
from handlers.documents.document import document_from_snapshot
from handlers.documents.document_mapping import updated_conversation_document
from handlers.options import Options
from handlers.ports import Document
from tests.causality.outside import (
    NOW,
    conversation_written,
    event_of_write,
    work_item_created,
    work_item_updated,
)
from tests.causality.ports import AnyIds
from tests.causality.virtual_time import VirtualTime
from worker.store.memory.store import MemoryStore

AGES_S: Final[Mapping[str, tuple[float, float]]] = {
    "in the last minute": (1, 60),
    "1 to 5 minutes ago": (60, 300),
    "5 to 10 minutes ago": (300, 600),
    "10 to 60 minutes ago": (600, 3_600),
    "more than an hour ago": (3_600, 86_400),
}
_PAIRS: Final = 400
_MINUTES_S: Final = 300.0
_POLL_S: Final = 15.0
_NO_WATERMARK_S: Final = 80.0
"""A worker that starts has no watermark for a minute after its first message."""


@dataclass(slots=True)
class AgeGroup:
    """The pairs of one age. `waits_s`: how long each pair that waited did, in seconds."""

    pairs: int = 0
    waits_s: list[float] = field(default_factory=list)


class Rollout:
    """One roll-out in virtual time. The watermark is as late as a queue without a backlog makes it: the gap."""

    def __init__(self, seed: int = 1, pairs: int = _PAIRS) -> None:
        self._pairs = pairs
        self._random, self._time, self._store = Random(seed), VirtualTime(start=NOW), MemoryStore()
        self._options = Options(deployed_at=NOW)
        self._handler = BatchHandler(
            store=self._store, clock=self._time, ids=AnyIds(), chance=self._random, options=self._options
        )
        self._groups = {name: AgeGroup() for name in AGES_S}
        self._began_s: dict[str, float] = {}
        self._group_of: dict[str, str] = {}

    def run(self) -> Mapping[str, AgeGroup]:
        """The figures of each age group."""
        for name, (youngest_s, oldest_s) in AGES_S.items():
            for number in range(self._pairs):
                key = f"{name} {number}"
                self._group_of[key] = name
                self._groups[name].pairs += 1
                self._put_pair(key, self._random.uniform(youngest_s, oldest_s))
                self._time.begin(self._written(key), after_s=self._random.random() * _MINUTES_S)
        self._time.begin(self._poll())
        self._time.run()
        return self._groups

    def _put_pair(self, key: str, age_s: float) -> None:
        """A pair in step, whose documents were both last written so many seconds ago."""
        rev, queue = self._random.randint(2, 30), self._random.choice((None, "q1"))
        user = self._random.choice((None, "u1"))
        at = format_instant(self._time.before_start(age_s))
        attributes = {"rev": rev, "status": "open", "assignedUsers": [user] if user else [], "ended": False}
        relationships = {"queue": {"data": {"id": queue, "type": "queue"}}} if queue else {}
        data = {"id": key, "type": "conversation", "attributes": {**attributes, "updatedAt": at}}
        self._store.put_conversation(
            document_from_snapshot({**data, "relationships": relationships}, org="org", rev=rev)
        )
        item: Document = work_item_created(key, 1, 1, key=f"{key}-w")
        fields = {**({"queue": queue} if queue else {}), **({"assignedTo": user} if user else {})}
        item = (work_item_updated(item, fields) if fields else None) or item
        self._store.put_work_item({**item, "attributes": {**item["attributes"], "updatedAt": at}})

    async def _written(self, key: str) -> None:
        """One write, and its event."""
        conversation, item = self._store.conversation(key), self._store.work_item(f"{key}-w")
        assert conversation is not None
        assert item is not None
        now = self._time.now()
        before: Document = conversation
        after: Document | None = None
        knew: int | None = None
        match self._random.randrange(3):
            case 0:
                after = updated_conversation_document(conversation, {"lastMessageAt": "now"}, now=now)
            case 1:
                after = conversation_written(conversation, {"assignedUsers": ["u2"]}, now)
            case _:
                before, after = item, work_item_updated(item, {"accepted": {"by": "u2"}}, now)
                knew = self._random.choice((None, conversation["rev"]))
        assert after is not None
        put = self._store.put_work_item if before is item else self._store.put_conversation
        put(after)
        await self._time.sleep(self._random.random() * 3)
        await self._handler.handle([event_of_write(before, after, knew=knew)])
        if self._store.state(key).waiting is not None:
            self._began_s[key] = self._time.passed_s

    async def _poll(self) -> None:
        await self._time.sleep(_NO_WATERMARK_S)
        while self._time.passed_s < _MINUTES_S + 10 * self._options.gap_seconds:
            await self._time.sleep(_POLL_S)
            watermark = self._time.before_start(self._options.gap_seconds - self._time.passed_s)
            await self._handler.close_gaps(await self._store.waiting_since_before(watermark, 10_000), watermark)
            for key in [key for key in self._began_s if self._store.state(key).waiting is None]:
                self._groups[self._group_of[key]].waits_s.append(self._time.passed_s - self._began_s.pop(key))


def rollout_table(groups: Mapping[str, AgeGroup]) -> Table:
    """The figures as a table."""
    table = Table(title="pairs that wait in the first minutes of a roll-out, one write each")
    table.add_column("last written before the start")
    for heading in ("pairs", "waited", "share", "median wait", "longest"):
        table.add_column(heading, justify="right")
    for name, group in groups.items():
        waits = group.waits_s
        share = f"{len(waits) / group.pairs:.0%}"
        times = (f"{median(waits):.0f} s", f"{max(waits):.0f} s") if waits else ("–", "–")
        table.add_row(name, str(group.pairs), str(len(waits)), share, *times)
    return table
