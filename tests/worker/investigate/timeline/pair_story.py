"""Small captures of one pair, write by write, for tests of its timeline."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final

import orjson

from commands.instant import format_instant
from handlers.events.envelope import unwrap_value
from handlers.events.event import Event, Malformed
from handlers.events.parser import read_event
from tests.handlers.small_ports import START
from tests.handlers.wire_events import (
    CAPTURED,
    LOST_ASSIGNMENT,
    UNASSIGN_WITHOUT_QUEUE,
    Json,
    captured,
    changes,
    conversation,
    event,
    work_item,
)
from tests.worker.replay.replays import CONVERSATION_2021, CONVERSATION_2022
from worker.investigate.timeline.builder import build_timeline
from worker.investigate.timeline.captured import audit_entry_of, entry_of
from worker.investigate.timeline.entry import AuditEntry, TimelineEntry
from worker.investigate.timeline.timeline import Timeline

CONVERSATIONS: Final = {LOST_ASSIGNMENT: CONVERSATION_2022, UNASSIGN_WITHOUT_QUEUE: CONVERSATION_2021}


def entry(wire: Json) -> TimelineEntry:
    """The entry of an event in any of the five shapes."""
    unwrapped = unwrap_value(wire)
    assert not isinstance(unwrapped, Malformed), unwrapped
    read = read_event(unwrapped)
    assert isinstance(read, Event), read
    return entry_of(read, unwrapped.event)


def audit(**fields: Any) -> AuditEntry:
    """The entry of an audit line of conversation c-1."""
    read = audit_entry_of({"msg": "CONVERSATION_SYNC_AUDIT", "conversationId": "c-1", **fields})
    assert read is not None
    return read


def incident_entries(name: str) -> list[TimelineEntry]:
    return [entry(each) for each in captured(name)]


def incident_audits(name: str) -> list[AuditEntry]:
    path = CAPTURED / name / "recorded-audit.ndjson"
    lines = path.read_bytes().splitlines() if path.exists() else []
    return [read for line in lines if (read := audit_entry_of(orjson.loads(line))) is not None]


def incident_timeline(name: str) -> Timeline:
    """The timeline of one of the two captured incidents, with its recorded audit lines."""
    return build_timeline(CONVERSATIONS[name], incident_entries(name), incident_audits(name))


class PairStory:
    """The writes of conversation c-1 and work-item w-1 in their order, each with the `changes` that a producer would
    announce. `at` is in seconds after `START`, and is the time of the write."""

    def __init__(self, *, first_conversation_rev: int = 1) -> None:
        self.events: list[Json] = []
        self._conversation: Json = {"status": "open", "assignedUsers": [], "ended": False, "queue": None}
        self._conversation_rev = first_conversation_rev - 1
        self._items: dict[str, Json] = {}

    def conversation(self, at: float, *, sync: bool = False, skip: int = 0, **fields: Any) -> "PairStory":
        """A write of the conversation. `fields`: `status`, `assignedUsers`, `ended`, `queue`; and the envelope's
        `client`, `routingReasons`, `id`. `skip`: so many revisions before it are not captured."""
        envelope = {name: fields.pop(name) for name in ("client", "routingReasons", "id", "dd") if name in fields}
        before, self._conversation = self._conversation, {**self._conversation, **fields}
        after = self._conversation
        self._conversation_rev += 1 + skip
        rev = self._conversation_rev
        data = conversation(
            rev,
            queue=after["queue"],
            users=tuple(after["assignedUsers"]),
            status=after["status"],
            ended=after["ended"],
            updatedAt=_time(at),
        )
        self._add(data, at, rev=rev, before=before, after=after, links=("queue",), sync=sync, envelope=envelope)
        return self

    def item(
        self, at: float, *, key: str = "w-1", sync: bool = False, knew: int | None = None, skip: int = 0, **fields: Any
    ) -> "PairStory":
        """A write of a work-item. `fields`: `status`, `assignedTo`, `queue`, `paused`, `queuedCount`; and the
        envelope's. `knew`: the conversation revision that it says it knew."""
        envelope = {name: fields.pop(name) for name in ("client", "routingReasons", "id", "dd") if name in fields}
        if knew is not None and key in self._items:
            reason = {"action": "QUEUE_WORK_ITEM", "code": "QUEUE_RULES_HIT", "meta": {"conversationRev": knew}}
            envelope["routingReasons"] = [*envelope.get("routingReasons", []), reason]
        start = {"status": "ivr", "assignedTo": None, "queue": None, "paused": False, "queuedCount": 0, "rev": 0}
        before = self._items.get(key, start)
        after = {**before, **fields, "rev": before["rev"] + 1 + skip}
        self._items[key] = after
        data = work_item(
            after["rev"],
            key=key,
            queue=after["queue"],
            user=after["assignedTo"],
            number=list(self._items).index(key) + 1,
            status=after["status"],
            paused=after["paused"],
            queuedCount=after["queuedCount"],
            updatedAt=_time(at),
        )
        if knew is not None:
            data["attributes"]["resourceRev"] = knew
        self._add(
            data,
            at,
            rev=after["rev"],
            before=before,
            after=after,
            links=("queue", "assignedTo"),
            sync=sync,
            envelope=envelope,
        )
        return self

    def _add(
        self, data: Json, at: float, *, rev: int, before: Json, after: Json, links: Iterable[str], **how: Any
    ) -> None:
        differs = {name for name in after if before[name] != after[name]} - {"rev"}
        said = changes(
            {"rev": (rev - 1, rev), **{name: (before[name], after[name]) for name in differs - set(links)}},
            {name: (before[name], after[name]) for name in differs & set(links)},
        )
        body = event(data, at=at, isSync=how["sync"])
        self.events.append({**body, **({} if rev == 1 else {"changes": said}), **how["envelope"]})

    def timeline(self, *audits: AuditEntry, until: float | None = None) -> Timeline:
        """The timeline of the pair; `until`: the end of the capture."""
        end = None if until is None else START + timedelta(seconds=until)
        return build_timeline("c-1", map(entry, self.events), audits, captured_until=end)


def _time(at: float) -> str:
    return format_instant(START + timedelta(seconds=at))
