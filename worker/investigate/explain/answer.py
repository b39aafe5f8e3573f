"""The answer to "who un-assigned this, and why": the last un-assignment of a timeline, its rule, its event, its writer.

Where nobody was un-assigned the answer is who was assigned last, else the last change.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from commands.instant import format_instant
from commands.reason import ReasonAction
from worker.investigate.explain.assignees import assigned_by, unassigned_by
from worker.investigate.explain.lost_update import LostUpdate, lost_update
from worker.investigate.explain.record_source import TellingRecord
from worker.investigate.timeline.entry import TimelineEntry
from worker.investigate.timeline.timeline import EntryKey, SyncAnswer, Timeline, key_of

_ACTIONS: Final = {"conversation": ReasonAction.SYNC_CONVERSATION, "work-item": ReasonAction.SYNC_WORK_ITEM}
_ASSIGNEE_RULES: Final = frozenset({"A2", "A3", "B1", "B2", "B3"})


class AnswerKind(StrEnum):
    """What the answer speaks of."""

    UNASSIGNED = "unassigned"
    ASSIGNED = "assigned"
    CHANGED = "changed"
    UNKNOWN = "unknown"
    """Nothing that could answer was found."""


class Answer(Struct, frozen=True, kw_only=True):
    """The answer, in a sentence and in its parts.

    `entry`: the revision that it speaks of. `rule`, `policy`: of the sync that wrote it; None for another's write.
    `event_id`, `client`: the event that caused it, or that announced it where no sync made it, and who wrote that.
    `api_client`: the name of the API's client, where the write came over HTTP.
    `lost`: what the write overwrote, where a finding says that it should not have.
    """

    kind: AnswerKind
    text: str
    agents: tuple[str, ...] = ()
    at: datetime | None = None
    entry: EntryKey | None = None
    rule: str | None = None
    policy: str | None = None
    trigger: str | None = None
    event_id: str | None = None
    client: str | None = None
    api_client: str | None = None
    trace_id: str | None = None
    lost: LostUpdate | None = None


def answer_of(timeline: Timeline, records: Sequence[TellingRecord], *, at: datetime | None = None) -> Answer:
    """The answer for the time `at`; None: now."""
    return _Answers(timeline, records, at).answer()


class _Answers:
    def __init__(self, timeline: Timeline, records: Sequence[TellingRecord], at: datetime | None) -> None:
        self._timeline = timeline
        self._entries = [each for each in timeline.entries if at is None or each.at is None or each.at <= at]
        self._by_write: dict[tuple[object, object, object], TellingRecord] = {
            (write.get("side"), write.get("id"), write.get("rev")): record
            for record in records
            for write in record.written
        }
        self._by_event = {event_id: each for each in timeline.entries if (event_id := each.event_id) is not None}
        self._answers: Mapping[EntryKey, SyncAnswer] = {each.sync: each for each in timeline.answers}
        self._by_key = {key_of(each): each for each in timeline.entries}

    def answer(self) -> Answer:
        for kind, who in ((AnswerKind.UNASSIGNED, unassigned_by), (AnswerKind.ASSIGNED, assigned_by)):
            for entry in reversed(self._entries):
                agents = who(entry)
                if agents:
                    return self._told(kind, entry, agents)
        changed = next((each for each in reversed(self._entries) if each.changes), None)
        if changed is not None:
            return self._told(AnswerKind.CHANGED, changed, ())
        text = f"it is not known who changed conversation {self._timeline.conversation_id} last, or why"
        return Answer(kind=AnswerKind.UNKNOWN, text=text)

    def _told(self, kind: AnswerKind, entry: TimelineEntry, agents: tuple[str, ...]) -> Answer:
        record = self._by_write.get((entry.side, entry.document_id, entry.rev))
        answer = self._by(kind, entry, agents, record)
        lost = lost_update(self._timeline, entry, record, is_of_assignee=kind is not AnswerKind.CHANGED)
        if lost is not None:
            answer = replace(answer, text=f"{answer.text}; {lost.text}", lost=lost)
        return self._with_others(answer, entry) if kind is AnswerKind.UNASSIGNED else answer

    def _with_others(self, answer: Answer, entry: TimelineEntry) -> Answer:
        """The answer, with how often this record's agent was un-assigned before, and who was assigned since."""
        place = self._entries.index(entry)
        text = answer.text
        before = sum(each.side == entry.side and bool(unassigned_by(each)) for each in self._entries[:place])
        if before:
            text = f"{text}; it was the last of {before + 1:,} un-assignments of {_side(entry)}"
        since = next((each for each in reversed(self._entries[place + 1 :]) if assigned_by(each)), None)
        if since is not None:
            text = f"{text}; {', '.join(assigned_by(since))} was assigned {_at(since)} ({since.label})"
        return replace(answer, text=text)

    def _by(
        self, kind: AnswerKind, entry: TimelineEntry, agents: tuple[str, ...], record: TellingRecord | None
    ) -> Answer:
        done = f"{_subject(kind, entry, agents)} {_at(entry)} by "
        parts: dict[str, Any] = {
            "kind": kind, "agents": agents, "at": entry.at, "entry": key_of(entry), "trace_id": entry.trace_id,
        }  # fmt: skip
        if record is not None:
            return self._decided(done, entry, record, parts)
        if entry.is_sync:
            cause = self._cause(entry)
            by = f"a sync of client {entry.client or 'unknown'}, whose rule is not recorded"
            because = "" if cause is None else f", because {_event(cause)}"
            event_id = None if cause is None else cause.event_id
            return Answer(text=f"{done}{by} ({entry.label}{_named_event(entry)}){because}", event_id=event_id, **parts)
        text = f"{done}client {entry.client or 'unknown'}: {_event(entry)}"
        return Answer(text=text, event_id=entry.event_id, client=entry.client, **parts)

    def _decided(self, done: str, entry: TimelineEntry, record: TellingRecord, parts: dict[str, Any]) -> Answer:
        """The answer for a write of this worker, which its audit record explains."""
        wire = record.record
        trigger, policy = _text(wire.get("trigger")), _text(wire.get("policy"))
        event_id = _text(record.event.get("id"))
        cause = self._by_event.get(event_id or "")
        parts = {**parts, "trigger": trigger, "event_id": event_id, "client": _text(record.event.get("client"))}
        if trigger == "api":
            name = _text(wire.get("client"))
            who = f"the API's client {name}" if name else "a client of the API on loopback"
            text = f"{done}{who} over HTTP ({entry.label}{_named_event(entry)})"
            return Answer(text=text, api_client=name, **parts)
        because = self._because(trigger, record, cause)
        if not entry.is_sync:
            codes = ", ".join(reason.code or "?" for reason in entry.reasons) or "no recorded reason"
            return Answer(text=f"{done}routing ({codes}, {entry.label}){because}", **parts)
        rule = _rule(entry, record)
        named = f"rule {rule}" if rule is not None else "a sync"
        text = f"{done}{named} (policy {policy or 'unknown'}){because}; written as {entry.label}"
        api = self._by_api(cause)
        return Answer(text=f"{text}{api[0]}", rule=rule, policy=policy, api_client=api[1], **parts)

    def _because(self, trigger: str | None, record: TellingRecord, cause: TimelineEntry | None) -> str:
        if trigger in ("gap", "sweep"):
            whose = "the gap poll gave up waiting for an event" if trigger == "gap" else "the sweep found the pair so"
            return f", because {whose}: no event caused it"
        if cause is not None:
            return f", because {_event(cause)}"
        event = record.event
        if not event:
            return ""
        side = "conversation" if ".conversation." in str(event.get("name")) else "work-item"
        client = f" by client {event['client']}" if event.get("client") else ""
        return f", because event {event.get('id')} ({event.get('name')}, {side} {event.get('rev')}{client})"

    def _by_api(self, cause: TimelineEntry | None) -> tuple[str, str | None]:
        """What is known of a cause that this worker wrote for a client of the API."""
        record = None if cause is None else self._by_write.get((cause.side, cause.document_id, cause.rev))
        if record is None or record.record.get("trigger") != "api":
            return "", None
        name = _text(record.record.get("client"))
        return f"; {'the API client ' + name if name else 'a client of the API'} had sent that update over HTTP", name

    def _cause(self, entry: TimelineEntry) -> TimelineEntry | None:
        answer = self._answers.get(key_of(entry))
        return None if answer is None or answer.cause is None else self._by_key.get(answer.cause)


def _subject(kind: AnswerKind, entry: TimelineEntry, agents: Iterable[str]) -> str:
    many = list(agents)
    who = f"agent {many[0]} was" if len(many) == 1 else f"agents {', '.join(many)} were"
    match kind:
        case AnswerKind.UNASSIGNED:
            return f"{who} un-assigned from {_record(entry)}"
        case AnswerKind.ASSIGNED:
            return f"nobody was un-assigned; {who} assigned to {_record(entry)}"
        case AnswerKind.CHANGED | AnswerKind.UNKNOWN:
            names = ", ".join(change.name for change in entry.changes or ())
            return f"nobody was assigned or un-assigned; {names} of {_record(entry)} was changed last"


def _record(entry: TimelineEntry) -> str:
    return f"the {entry.side}" if entry.side == "conversation" else f"work-item {entry.document_id}"


def _side(entry: TimelineEntry) -> str:
    return "the conversation" if entry.side == "conversation" else "its work-items"


def _event(entry: TimelineEntry) -> str:
    """An outside write by its event."""
    what = entry.name or "an update of this worker"
    by = f" by client {entry.client}" if entry.client else ""
    return f"event {entry.event_id or 'without an id'} ({what}, {entry.label}{by})"


def _named_event(entry: TimelineEntry) -> str:
    return "" if entry.event_id is None else f", event {entry.event_id}"


def _at(entry: TimelineEntry) -> str:
    return "at an unknown time" if entry.at is None else f"at {format_instant(entry.at)}"


def _rule(entry: TimelineEntry, record: TellingRecord) -> str | None:
    """The rule that wrote the assignee, else the first that wrote this side."""
    action = _ACTIONS[entry.side].value
    metas = [each.get("meta") for each in record.reasons if each.get("action") == action]
    rules = [meta["rule"] for meta in metas if isinstance(meta, Mapping) and isinstance(meta.get("rule"), str)]
    return next((rule for rule in rules if rule in _ASSIGNEE_RULES), rules[0] if rules else None)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
