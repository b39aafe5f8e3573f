"""Every pair at the end of the day: the contract (`sync.contract`), and the independent count of its writes.

Both are made from the committed revisions alone: who wrote what, and which revision of the conversation each writer of
a work-item knew. A sync of the worker is no outside write; its creations, un-assignments and queueings are, and so are
the updates over HTTP. The event of a write that the worker made itself cannot be lost to it: it observed the write.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from handlers.documents.document_mapping import conversation_of, work_item_of
from sync.contract import FieldHistory, sync_writes_max, violations
from sync.conversation import FIELDS, Field
from sync.gates import Side
from tests.causality.outside import with_unknown_knew_of_fields
from tests.faults.day.journal import Revision
from tests.faults.expected_ends import NotedWrite, possible_ends, values_of

OutsideEvent = Callable[[Revision], "OutsideFacts | None"]
"""The facts of a revision that no outbox entry announces; None: nobody announced it."""


class OutsideFacts(Struct, frozen=True, kw_only=True):
    """What the event of an outside write says, and whether it was lost."""

    changed_fields: frozenset[Field]
    known_rev: int | None
    lost: bool


class CountedPair(Struct, kw_only=True):
    """The writes of one conversation and of its latest work-item. `notes`: for the independent count."""

    key: str
    written: FieldHistory = field(default_factory=FieldHistory)
    lost: set[Field] = field(default_factory=set)
    notes: list[NotedWrite] = field(default_factory=list)
    item: str | None = None
    outside_writes: int = 0
    sync_writes: int = 0
    unannounced: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    @property
    def history(self) -> FieldHistory:
        """The writes as the contract reads them."""
        return with_unknown_knew_of_fields(self.written, self.lost)


def counted_pair_of(key: str, revisions: Sequence[Revision], outside_event: OutsideEvent) -> CountedPair:
    """The conversation `key`, by its revisions."""
    pair = CountedPair(key=key)
    plain: dict[str, Mapping[str, Any]] = {}
    for revision in revisions:
        announced = revision.announced
        if announced is not None and announced.is_sync:
            pair.sync_writes += 1
            what = f"sync {', '.join(sorted(announced.changed_fields))}"
        else:
            facts = outside_event(revision) if announced is None else _facts(revision)
            if facts is None:
                pair.unannounced.append(f"{revision.key} {revision.rev}")
                continue
            pair.outside_writes += 1
            _take(pair, revision, facts, plain.get(revision.key))
            who = "outside" if announced is None else "+".join(announced.actions)
            what = f"{who}, knew {facts.known_rev}{', LOST' * facts.lost}"
        changed = {
            name: value for name, value in revision.plain.items() if plain.get(revision.key, {}).get(name) != value
        }
        status = "" if revision.times is None else f" {revision.times.status}"
        pair.lines.append(f"{revision.key} {revision.rev}{status} {changed}: {what}")
        plain[revision.key] = revision.plain
    return pair


def _facts(revision: Revision) -> OutsideFacts:
    announced = revision.announced
    assert announced is not None
    return OutsideFacts(changed_fields=announced.changed_fields, known_rev=announced.known_rev, lost=False)


def _take(pair: CountedPair, revision: Revision, facts: OutsideFacts, before: Mapping[str, Any] | None) -> None:
    if revision.side == "conversation":
        fields = facts.changed_fields
        pair.written = pair.written.after_conversation(revision.rev, fields, revision.values)
        if facts.lost:
            pair.lost |= fields
        else:
            pair.lost -= fields
    else:
        fields = frozenset(FIELDS) if revision.created else facts.changed_fields
        if revision.created:
            # A new work-item starts a new history.
            pair.written = replace(pair.written, work_item={})
            pair.notes = [note for note in pair.notes if note.side == "conversation"]
            pair.item = revision.key
        if revision.key != pair.item:
            return
        known_rev = None if facts.lost else facts.known_rev
        pair.written = pair.written.after_work_item(
            revision.rev, fields, revision.values, known_conversation_rev=known_rev
        )
        if known_rev is None:
            pair.written = _maybe_superseded(pair.written, fields, revision.values)
    pair.notes.append(_note(revision.side, revision, facts, before))


def _maybe_superseded(written: FieldHistory, fields: frozenset[Field], values: Mapping[Field, Any]) -> FieldHistory:
    """A work-item's write that does not say what it knew may have known the conversation's: the conversation may have
    taken its value over, and a later write that knew less leaves it there."""
    last_writes = dict(written.conversation)
    for name in fields & last_writes.keys():
        value = values[name]
        if name == "assignee":
            value = [] if value is None else [value]
        last = last_writes[name]
        last_writes[name] = replace(last, superseding_values=(*last.superseding_values, value))
    return replace(written, conversation=last_writes)


def _note(side: Side, revision: Revision, facts: OutsideFacts, before: Mapping[str, Any] | None) -> NotedWrite:
    """What the write set. A creation sets what is not empty, and that of a work-item its agent and its queue."""
    if before is not None:
        sets = {name: value for name, value in revision.plain.items() if before[name] != value}
    else:
        sets = {name: value for name, value in revision.plain.items() if value}
        if side == "work-item":
            sets |= {name: revision.plain[name] for name in ("agent", "queue")}
    return NotedWrite(side=side, rev=revision.rev, sets=sets, known_rev=facts.known_rev, lost=facts.lost)


def pair_wrong(
    pair: CountedPair, conversation: Mapping[str, Any] | None, items: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    """What is wrong with a stored pair, a line each."""
    yield from _number_wrong(pair.key, conversation, sum(item["active"] for item in items))
    if pair.sync_writes > sync_writes_max(pair.outside_writes):
        yield f"{pair.key}: {pair.sync_writes} sync writes of {pair.outside_writes} outside writes"
    latest = max(items, key=lambda item: (item["active"], item["workItemNumber"]), default=None)
    if conversation is None or latest is None:
        return
    read = conversation_of(conversation)
    for each in violations(pair.history, read, work_item_of(latest)):
        yield f"{pair.key} {each.point} {each.field}: {each.expected!r} expected, {each.found!r} found"
    if not read.deleted:
        for difference in differences(pair.notes, conversation, latest):
            yield f"{pair.key} counted: {difference}"


def _number_wrong(key: str, conversation: Mapping[str, Any] | None, active: int) -> Iterator[str]:
    """An open conversation has one active work-item; a closed or removed one has none."""
    if active > 1:
        yield f"{key} has {active} active work-items"
    if conversation is None:
        if active:
            yield f"{key} is removed and has an active work-item"
        return
    attributes = conversation["attributes"]
    closed = attributes.get("deleted") is True or attributes["status"] == "done"
    if closed and active:
        yield f"{key} is closed and has an active work-item"
    if not closed and attributes["status"] == "open" and not attributes["ended"] and not active:
        yield f"{key} is open and has no active work-item"


def differences(notes: Sequence[NotedWrite], conversation: Mapping[str, Any], item: Mapping[str, Any]) -> Iterator[str]:
    """How a stored pair differs from the independent count, a line each."""
    found, items = values_of(conversation), values_of(item)
    status = item["attributes"]["status"]
    if status == "completed":
        yield from _completed_differences(notes, found, items)
        return
    for name in ("agent", "queue"):
        possible = possible_ends(notes, name)
        if items[name] not in possible:
            yield f"{name} of the work-item: {items[name]!r}, counted {possible!r}"
        if found[name] != items[name] and not _is_not_carried(name, items, item):
            yield f"{name}: {found[name]!r} and {items[name]!r}"
    if found["paused"] is not items["paused"]:
        yield f"paused: {found['paused']!r} and {items['paused']!r}"
    paused = [note.sets["paused"] for note in notes if note.side == "conversation" and "paused" in note.sets]
    if found["paused"] and not (paused and paused[-1]):
        yield "paused: nobody snoozed it last"
    if items["ended"] and not found["ended"]:
        yield "the work-item is in wrap-up, and the conversation has not ended"
    if found["ended"] and not found["paused"] and items["agent"] is not None and not items["ended"]:
        yield "the conversation has ended, and the work-item of an agent is not in wrap-up"


def _is_not_carried(name: str, items: Mapping[str, Any], item: Mapping[str, Any]) -> bool:
    """An un-assignment is carried over in `queued` and `routed` alone, and no queue is not from a work-item in ivr that
    was never queued."""
    status = item["attributes"]["status"]
    if items[name] is not None:
        return False
    if name == "agent":
        return status not in ("queued", "routed")
    return status == "ivr" and not item["attributes"].get("queuedCount")


def _completed_differences(
    notes: Sequence[NotedWrite], found: Mapping[str, Any], items: Mapping[str, Any]
) -> Iterator[str]:
    """A work-item that was completed because its conversation was done, once, has the agent and the queue of then."""
    if not found["closed"]:
        if not found["ended"] and not found["paused"]:
            yield "the work-item is completed, and the conversation is open"
        return
    created = next((number for number, note in enumerate(notes) if note.side == "work-item"), 0)
    closings = [n for n, note in enumerate(notes) if n > created and "closed" in note.sets]
    if len(closings) != 1 or notes[closings[0]].side == "work-item":
        return
    for name in ("agent", "queue"):
        # What was written between the closing and the completion by the sync is carried over, too.
        ends = range(closings[0] + 1, len(notes) + 1)
        possible = {value for end in ends for value in possible_ends(notes[:end], name)}
        if items[name] not in possible:
            yield f"{name} of the completed work-item: {items[name]!r}, counted {possible!r}"
