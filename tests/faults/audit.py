"""The audit at the end of every fault run: what must hold whatever faults were injected.

| point | evidence |
|---|---|
| every message is settled or a dead letter | empty queue; an audit line for each event; a reason on each dead letter |
| every pair has converged, no write is lost | `sync.contract` on the history of outside writes; no field waits |
| every write is announced | once, in its own transaction (change stream); published under the same id |
| every place on a session is right, nothing is half-written | the sessions' lists match the work-items |
| no message is handled after its settlement | one `message done` a message, unless its delete may have failed |
"""

from collections import Counter
from collections.abc import Collection as AnyOf
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from handlers.documents.document_mapping import conversation_of, work_item_of
from sync.contract import sync_writes_max, violations
from tests.e2e.ledger import Ledger, half_written, misplaced
from tests.e2e.stage import Stage
from tests.faults.load.load import WriteLoad
from tests.faults.load.written_pair import WrittenPair

_SHOWN = 12


class WorkerLog(Struct, frozen=True, kw_only=True):
    """The log lines of all workers of a run. They log at level `debug`."""

    lines: Sequence[dict[str, Any]]

    def events(self) -> Iterator[str]:
        """The event ids of the audit lines that events caused."""
        for line in self.lines:
            if line["msg"] == "CONVERSATION_SYNC_AUDIT" and line["event"] is not None:
                yield line["event"]["id"]

    def with_message(self, *messages: str) -> Iterator[dict[str, Any]]:
        """The lines with one of these messages."""
        return (line for line in self.lines if line["msg"] in messages)


class RunFigures(Struct, frozen=True, kw_only=True):
    """The numbers of a run."""

    messages: int
    outside_writes: int
    syncs: int
    dead_letters: int
    redeliveries: int


def audit(
    stage: Stage,
    load: WriteLoad,
    ledger: Ledger,
    lines: WorkerLog,
    *,
    delete_may_have_failed: AnyOf[str] = frozenset(),
    announced: Sequence[Mapping[str, Any]] | None = None,
    lines_dropped_max: int = 0,
) -> RunFigures:
    """Audits a run that is quiet: no message, no worker at work. Raises AssertionError with the faults found.

    `delete_may_have_failed`: ids of messages whose delete SQS did not confirm; only these may be handled again.
    `lines_dropped_max`: so many events may lack their audit line; other points hold for the lines that are there.
    `announced`: the published events, where the subscriber of the stage did not receive them all.
    """
    ledger.read()
    announced = stage.announced() if announced is None else announced
    letters = stage.dead_letters()
    wrong = [
        *_unsettled(stage, load, lines, lines_dropped_max),
        *_letters_wrong(load, letters),
        *_pairs_wrong(stage, load, ledger),
        *_unannounced(ledger, announced),
        *(f"half-written: {each}" for each in half_written(stage.database)),
        *(f"session {key}: stored, due: {pair}" for key, pair in misplaced(stage.database).items()),
        *_settled_again(lines, delete_may_have_failed),
        *(f"an unexpected error: {line}" for line in lines.with_message(*_CODE_FAULTS)),
    ]
    assert not wrong, "\n".join([f"{len(wrong)} things are wrong", *wrong[:_SHOWN]])
    return RunFigures(
        messages=load.published + load.delivery.poisoned.total() + len(announced),
        outside_writes=load.services.writes,
        syncs=len(ledger.announcement_ids()),
        dead_letters=len(letters),
        redeliveries=sum(line["receiveCount"] > 1 for line in lines.with_message(*_SETTLED)),
    )


_CODE_FAULTS = (
    "a batch met a fault in our code",
    "a message met a fault in our code",
    "the poll met a fault in our code",
    "stopped by a fault in our code",
)
_SETTLED = ("message done", "message dead-lettered")


def _unsettled(stage: Stage, load: WriteLoad, lines: WorkerLog, lines_dropped_max: int) -> Iterator[str]:
    if not stage.drained():
        yield f"{stage.depth()} messages and {stage.database['outbox'].count_documents({})} announcements are left"
    missing = load.delivery.event_ids - set(lines.events())
    if len(missing) > lines_dropped_max:
        yield from (f"event {each} is in no audit line" for each in sorted(missing))


def _letters_wrong(load: WriteLoad, letters: Iterable[dict[str, Any]]) -> Iterator[str]:
    sources: dict[str, set[str]] = {}
    for letter in letters:
        attributes = letter.get("MessageAttributes", {})
        with_message = {name: value.get("StringValue") for name, value in attributes.items()}
        if not with_message.get("error_code") or not with_message.get("error_reason"):
            yield f"a dead letter without its reason: {letter['Body'][:200]}"
        # A kill between letter and delete makes a second letter of the same message.
        sources.setdefault(letter["Body"], set()).add(str(with_message.get("source_message_id")))
    found = {body: len(ids) for body, ids in sources.items()}
    poisoned = load.delivery.poisoned
    if found != dict(poisoned):
        yield f"dead letters are not the poison that was sent: {sum(found.values())} of {poisoned.total()}"


def _pairs_wrong(stage: Stage, load: WriteLoad, ledger: Ledger) -> Iterator[str]:
    database = stage.database
    conversations = {document["_id"]: document for document in database["conversations"].find()}
    items = {document["_id"]: document for document in database["work_items"].find()}
    states = {document["_id"]: document for document in database["sync_states"].find()}
    syncs = Counter(_conversation_of(document) for document, _ in ledger.announced_revisions())
    for case in load.services.cases.values():
        if case.writes == 0:
            continue
        yield from broken_promises(case, conversations[case.key], items.get(case.item_key))
        if isinstance(states[case.key].get("waitingSince"), str):
            yield f"{case.key}: a field waits although every event was delivered"
        if syncs[case.key] > sync_writes_max(case.writes):
            yield f"{case.key}: {syncs[case.key]} sync writes of {case.writes} outside writes"


def broken_promises(case: WrittenPair, conversation: dict[str, Any], item: dict[str, Any] | None) -> Iterator[str]:
    """The contract's promises that a pair does not keep."""
    pair = conversation_of(conversation), None if item is None else work_item_of(item)
    for each in violations(case.history, *pair):
        yield f"{case.key} {each.point} {each.field}: {each.expected!r} expected, {each.found!r} found"


def _conversation_of(document: str) -> str:
    return document.partition("-")[0]


def _unannounced(ledger: Ledger, announced: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    yield from (f"written and not announced: {each}" for each in sorted(ledger.unannounced()))
    times = Counter(ledger.announced_revisions())
    yield from (f"announced {count} times: {each}" for each, count in times.items() if count > 1)
    seen = {message["id"] for message in announced}
    stored = set(ledger.announcement_ids())
    yield from (f"announcement {each} was not published" for each in sorted(stored - seen))
    yield from (f"announcement {each} was published and is not stored" for each in sorted(seen - stored))


def _settled_again(lines: WorkerLog, delete_may_have_failed: AnyOf[str]) -> Iterator[str]:
    """The log line of a settlement follows the answer to the delete."""
    done = Counter(line["messageId"] for line in lines.with_message(*_SETTLED))
    for message_id, times in done.items():
        if times > 1 and message_id not in delete_may_have_failed:
            yield f"message {message_id} was handled {times} times, and settled each time"
