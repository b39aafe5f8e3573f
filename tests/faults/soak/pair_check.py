"""The check of each pair of a soak, once it is quiet: the contract, and that no revision went without its event.

| what must hold | evidence |
|---|---|
| each outside event was handled | its audit line (`EventCount`) |
| each write of the worker was announced, and came back | an audit line of each revision from 1 to the stored one |
| the pair has converged and no write is lost | `sync.contract` on the history of its outside writes; no field waits |
| no pair is written after its check | the stored revisions at the end are those of the check |

Finished pairs are made old, as if a month had passed: their states and timings expire while the soak goes on.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pymongo.database import Database

from commands.instant import format_instant
from tests.faults.audit import broken_promises
from tests.faults.load.written_pair import WrittenPair
from tests.faults.soak.event_count import EventCount, pair_of
from tests.faults.soak.soak_delivery import LATEST_S
from tests.faults.soak.soak_services import SoakServices

_CHUNK: Final = 100
_OLD: Final = timedelta(days=3_651)
"""Older than every setting of a time to live."""
_AGED_AFTER_S: Final = 60.0
"""Late duplicates of the pair have come by then."""

Document = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class PairCheck:
    """Checks pairs that have ended, and forgets them. `checked`: the stored revisions of each checked document."""

    database: Database[Document]
    services: SoakServices
    count: EventCount
    checked: dict[str, int] = field(default_factory=dict)
    pairs: int = 0
    made_old: int = 0
    _to_age: list[tuple[float, str]] = field(default_factory=list)

    def round(self) -> None:
        """Checks pairs that ended a while ago and are quiet. A pair that does not pass yet is checked again later."""
        before = time.monotonic() - LATEST_S
        keys = [key for key, at in list(self.services.ended.items()) if at < before and self.count.quiet(key)]
        for start in range(0, len(keys), _CHUNK):
            self._check(keys[start : start + _CHUNK])
        self._age()

    def at_the_end(self) -> list[str]:
        """What is wrong once the queue is empty and nobody writes: of every pair, checked before or not."""
        keys = [case.key for case in self.services.cases.values() if case.writes]
        wrong: list[str] = []
        for start in range(0, len(keys), _CHUNK):
            wrong += self._check(keys[start : start + _CHUNK])
        return [*wrong, *self._written_later()]

    def _check(self, keys: Sequence[str]) -> list[str]:
        conversations = _by_id(self.database["conversations"].find({"_id": {"$in": keys}}))
        items = _by_id(self.database["work_items"].find({"conversationId": {"$in": keys}}))
        states = _by_id(self.database["sync_states"].find({"_id": {"$in": keys}}))
        found: list[str] = []
        for key in keys:
            case = self.services.pairs_by_key[key]
            own = {key: conversations[key]} | {each: item for each, item in items.items() if pair_of(each) == key}
            wrong = [*self._unheard(key, own), *_broken(case, own, states.get(key))]
            if not wrong:
                self._retire(key, own)
            found += wrong
        return found

    def _unheard(self, key: str, documents: Mapping[str, Document]) -> Iterator[str]:
        heard = self.count.revisions(key)
        for each, document in documents.items():
            missing = set(range(1, document["rev"] + 1)) - heard.get(each, set())
            if missing:
                yield f"{each}: no event of its revisions {', '.join(map(str, sorted(missing)))} was handled"

    def _retire(self, key: str, documents: Mapping[str, Document]) -> None:
        self.count.retire(key)
        self.pairs += 1
        self.checked |= {each: document["rev"] for each, document in documents.items()}
        if key in self.services.ended:
            self.services.forget(key)
            self._to_age.append((time.monotonic(), key))

    def _age(self) -> None:
        before = time.monotonic() - _AGED_AFTER_S
        old = [key for at, key in self._to_age if at < before]
        if not old:
            return
        self._to_age = self._to_age[len(old) :]
        then = datetime.now(UTC) - _OLD
        states = self.database["sync_states"]
        states.update_many(
            {"_id": {"$in": old}, "finishedAt": {"$type": "string"}}, {"$set": {"finishedAt": format_instant(then)}}
        )
        items = [item["_id"] for item in self.database["work_items"].find({"conversationId": {"$in": old}}, {"_id": 1})]
        for collection, date in (("work_item_revisions", "createdAt"), ("waits", "endedAt")):
            self.database[collection].update_many({"workItemId": {"$in": items}}, {"$set": {date: then}})
        self.made_old += len(old)

    def _written_later(self) -> Iterator[str]:
        for collection in ("conversations", "work_items"):
            for document in self.database[collection].find({}, {"rev": True}):
                rev = self.checked.get(document["_id"])
                if rev is not None and rev != document["rev"]:
                    yield f"{document['_id']}: revision {document['rev']} after its check at {rev}"


def _broken(case: WrittenPair, documents: Mapping[str, Document], state: Document | None) -> Iterator[str]:
    yield from broken_promises(case, documents[case.key], documents.get(case.item_key))
    if state is not None and isinstance(state.get("waitingSince"), str):
        yield f"{case.key}: a field waits although every event was delivered"


def _by_id(documents: Iterable[Document]) -> dict[str, Document]:
    return {document["_id"]: document for document in documents}
