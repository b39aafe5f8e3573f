"""The services that own a pair's documents: they write into the store, and a test delivers their events."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from commands.instant import format_instant
from handlers.documents.document import snapshot_of
from handlers.options import Options
from handlers.outcome import PolledPair
from tests.handlers.small_ports import START
from tests.handlers.wire_events import Json, changes, conversation, event, link, work_item
from tests.handlers.world import World

GAP: Final = timedelta(seconds=Options().gap_seconds)
PAST_THE_GAP: Final = GAP + timedelta(seconds=1)

_LINKED: Final = {
    "queue": ("queue", "queue"),
    "user": ("assignedTo", "user"),
    "session": ("workSession", "work_session"),
}


class Owners:
    """The owners of c-1 and w-1. Each write takes a second."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def begin(self, c: Mapping[str, Any] | None = None, w: Mapping[str, Any] | None = None) -> "Owners":
        """Both documents at revision 1, their events handled; the work-item's create knew that revision."""
        await self.world.take(self.c(**(c or {})), self.w(knew=1, **(w or {})))
        return self

    def c(self, *, sync: bool = False, what: str | None = None, **values: Any) -> Json:
        """The conversation's next revision: `users`, `queue`, any attribute. `sync`: by the predecessor."""
        if "users" in values:
            values["assignedUsers"] = list(values.pop("users"))
        data, changed = self._next(self.world.store.conversation("c-1"), conversation(1), values)
        return self._written(data, changed, what=what, isSync=sync)

    def w(self, *, knew: int | None = None, sync: bool = False, **values: Any) -> Json:
        """The work-item's next revision: `user`, `queue`, `session`, any attribute. `knew`: the conversation's."""
        data, changed = self._next(self.world.store.work_item("w-1"), work_item(1), values)
        if changed is None:
            data["attributes"]["resourceRev"] = knew
        reasons = [{"action": "QUEUE_WORK_ITEM", "code": "QUEUE_RULES_HIT", "meta": {"conversationRev": knew}}]
        return self._written(data, changed, isSync=sync, routingReasons=reasons if knew is not None else [])

    async def poll(self) -> list[PolledPair]:
        """Let the watermark pass every wait so far, then poll the pair."""
        self.world.clock.at += PAST_THE_GAP
        return list((await self.world.handler.close_gaps(["c-1"], self.watermark())).pairs)

    def watermark(self) -> datetime:
        """The watermark of a queue in which no message is left."""
        return self.world.clock.now() - GAP

    def _next(
        self, document: Mapping[str, Any] | None, first: Json, values: Mapping[str, Any]
    ) -> tuple[Json, Json | None]:
        before: Json = first if document is None else snapshot_of(document)
        linked = {_LINKED[name][0]: link(_LINKED[name][1], values[name]) for name in values if name in _LINKED}
        plain = {name: value for name, value in values.items() if name not in _LINKED}
        self.world.clock.at += timedelta(seconds=1)
        attributes = {**before["attributes"], **plain, "updatedAt": format_instant(self.world.clock.now())}
        if document is not None:
            attributes["rev"] = before["attributes"]["rev"] + 1
        data = {**before, "attributes": attributes, "relationships": {**before["relationships"], **linked}}
        was = {name: (before["attributes"].get(name), value) for name, value in plain.items()}
        if document is None:
            return data, None
        moved = {name: (_target(before, name), _target(data, name)) for name in linked}
        revs = (document["rev"], attributes["rev"])
        return data, changes({**was, "rev": revs, "updatedAt": (None, attributes["updatedAt"])}, moved)

    def _written(self, data: Json, changed: Json | None, **values: Any) -> Json:
        self.world.put(data)
        at = (self.world.clock.now() - START).total_seconds()
        return event(data, at=at, changes=changed, **values)


def _target(data: Json, name: str) -> str | None:
    target: str | None = ((data["relationships"].get(name) or {}).get("data") or {}).get("id")
    return target


async def begun(c: Mapping[str, Any] | None = None, w: Mapping[str, Any] | None = None, **options: Any) -> Owners:
    """A pair in a world of its own, the events of both documents handled."""
    return await Owners(World(**options)).begin(c, w)
