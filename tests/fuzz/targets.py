"""The fuzz targets: each place where bytes from outside enter, with the conditions that hold for any input.

A target makes an input, runs it and returns the name of its end. Any exception, an AssertionError included, is a
violation.
"""

import json
from collections.abc import Callable, Coroutine, Mapping, Sequence
from random import Random
from typing import Any, Final

import bson
import orjson
from msgspec import Struct

from commands.reason import Refusal
from commands.update import Update, parse_update
from handlers.documents.document import document_from_snapshot
from handlers.documents.document_mapping import conversation_of, work_item_of
from handlers.events.event import Event, Malformed, RejectionCode, UnsupportedEvent
from handlers.events.parser import read_message
from handlers.outcome import Done, Retry
from handlers.ports import LoadRequest, Pair
from tests.fuzz.import_input import imported
from tests.fuzz.mutation import MARK, Mutator, dumped
from tests.fuzz.service_answers import answers as service_answers
from tests.fuzz.settings_input import settings
from tests.fuzz.stored_pairs import stored_documents
from tests.fuzz.timelines import timelines
from tests.handlers.dry_run.questions import COMMAND, SYNC
from tests.handlers.events.malformed.kind import CONTENT, good
from tests.handlers.events.malformed.messages import MALFORMED
from tests.handlers.events.own_syncs.comparison import compared, own_sync
from tests.handlers.wire_events import (
    LOST_ASSIGNMENT,
    UNASSIGN_WITHOUT_QUEUE,
    captured,
    conversation,
    event,
    notification,
    queued,
    read,
    work_item,
)
from tests.handlers.world import World, WrappedStore
from worker.captures import Capture, CaptureFault, captures_of
from worker.cli.input_files.decide import answers

REASON_CHARACTERS_MAX: Final = 2_000

_PAIR: Final = (
    event(conversation(1, queue="q-1")),
    event(work_item(1, queue="q-1", status="queued")),
    event(conversation(2, queue="q-1", users=("u-1",))),
    event(work_item(2, queue="q-1", user="u-1", session="s-1", status="assigned")),
)
_IN_ORDER: Final = (
    *captured(LOST_ASSIGNMENT), *captured(UNASSIGN_WITHOUT_QUEUE), good("conversation"), good("work-item"), *_PAIR,
)  # fmt: skip
_EVENTS: Final = tuple(dumped(one) for one in _IN_ORDER)
_NEIGHBOURS: Final = tuple(read(one) for one in _IN_ORDER)
_BAD: Final = tuple(kind.body.encode("utf-8", "surrogatepass") for kind in MALFORMED)
_QUESTIONS: Final = tuple(
    dumped(question)
    for question in (
        SYNC,
        {**SYNC, "policy": "causal"},
        {**SYNC, "policy": "causal", "state": {"changed": {"assignee": 2}, "known": {"queue": 3}}},
        {
            **SYNC,
            "policy": "causal",
            "state": {"knownAt": {"queue": 2}, "observed": {"conversation": [[1, 2], [4, 4]], "workItem": [[1, 5]]}},
        },
        COMMAND,
        {**COMMAND, "engine": "legacy"},
    )
)
_UPDATES: Final = tuple(
    dumped(update)
    for update in (
        {"queue": {"id": "q-1", "rule": "r", "enteredAt": "2024-05-06T07:08:09.250Z"}, "assignedTo": None, "rev": 3},
        {"queue.key": "k", "status": "wrap-up", "paused": True},
        {"routed": {"to": "u-1", "workSession": "s-1"}},
        {"routed.timedOut": "u-1"},
        {"accepted": {"by": "u-1", "workSession": "s-1"}, "paused": False},
        {"resume": True, "resource": {"rev": 4}},
    )
)


def envelope_bytes(random: Random) -> bytes:
    """A message's body: a mutated event or malformed message in any of the five shapes."""
    mutator = Mutator(random)
    if random.randrange(8) == 0:
        return mutator.text(random.choice(_BAD))
    tree = orjson.loads(random.choice(_EVENTS))
    if random.randrange(10):
        tree = mutator.tree(tree)
    tree = _wrapped(tree, random, mutator)
    raw = dumped(tree)
    return mutator.text(raw) if random.randrange(4) == 0 else raw


def _wrapped(tree: Any, random: Random, mutator: Mutator) -> Any:
    carrier = {"_datadog": {"Type": "String", "Value": mutator.atom()}}
    match random.randrange(6):
        case 0:
            return notification(_text(tree), MessageAttributes=carrier)
        case 1:
            return queued(_text(tree), MessageAttributes=carrier)
        case 2:
            return queued(_text(notification(_text(tree))))
        case 3:
            return mutator.tree(queued(_text(mutator.tree(notification(_text(tree))))))
        case _:
            return tree


def _text(tree: Any) -> str:
    return dumped(tree).decode()


def envelope(random: Random) -> str:
    """A message's body becomes an event, an unsupported event or a dead letter."""
    end = _read(random)
    if isinstance(end, Event):
        orjson.dumps([end.as_audit(), dict(end.data)])
        assert end.rev >= 1
        for key in (end.id, end.conversation_id, end.document_id):
            assert isinstance(key, str), "a query needs a text as id"
            assert key
        document = document_from_snapshot(end.data, org=end.org, rev=end.rev, deletion=end.deletion)
        read_stored = conversation_of if end.side == "conversation" else work_item_of
        assert read_stored(document).rev == end.rev, "what an event brings is as readable where it is stored"
    return _told(end)


_OWN_SYNCS: Final = tuple(dumped(own_sync(side)) for side in ("conversation", "work-item"))


def own_syncs(random: Random) -> str:
    """A message that is taken for an own sync, and read in part, ends as with the full reader."""
    mutator = Mutator(random)
    tree = orjson.loads(random.choice(_OWN_SYNCS))
    if random.randrange(4):
        tree = mutator.tree(tree)
    raw = dumped(tree)
    if random.randrange(3) == 0:
        raw = mutator.text(raw)
    if random.randrange(2):
        wrapped = notification(raw.decode("utf-8", "surrogateescape"))
        raw = dumped(mutator.tree(wrapped) if random.randrange(3) == 0 else wrapped)
    return compared(raw.decode("utf-8", "surrogateescape"), {"_datadog": mutator.atom()})


def _read(random: Random) -> Event | UnsupportedEvent | Malformed:
    return read_message(envelope_bytes(random).decode("utf-8", "surrogateescape"))


def _told(end: Event | UnsupportedEvent | Malformed) -> str:
    match end:
        case Malformed(code=code, reason=reason):
            assert isinstance(code, RejectionCode)
            shows_nothing(reason)
            return code.value
        case UnsupportedEvent():
            return "unsupported"
        case Event():
            return "event"
    raise AssertionError(f"it ended as {end!r}")


def shows_nothing(reason: str) -> None:
    """Assert that a rejection's reason has none of the customer's words."""
    assert MARK not in reason
    assert CONTENT[:6] not in reason
    assert 0 < len(reason) < REASON_CHARACTERS_MAX


def events(random: Random) -> str:
    """Every readable event is handled under causal. Its writes can be stored, its announcements and audits written."""
    end = _read(random)
    if isinstance(end, Event):
        batch = [*random.sample(_NEIGHBOURS, random.randrange(4)), end]
        random.shuffle(batch)
        _at_once(_handled(batch))
    return _told(end)


def _at_once(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that never waits, without an event loop."""
    try:
        work.send(None)
    except StopIteration:
        return
    raise AssertionError("the coroutine waits")


class _Asked(WrappedStore):
    """A store that checks the ids of each query."""

    async def load(self, wants: Sequence[LoadRequest]) -> Mapping[str, Pair]:
        for want in wants:
            for asked in (want.conversation_id, *want.work_item_ids, *want.queues, *want.users):
                assert isinstance(asked, str), "a query needs a text as id"
        return await super().load(wants)


async def _handled(batch: list[Event]) -> None:
    world = World(_Asked)
    for one in await world.handle(batch):
        assert isinstance(one.outcome, Done | Retry)
        orjson.dumps(one.audit.as_wire())
    for documents in world.stored().values():
        for document in documents:
            bson.encode(document)
            # Queries use these two fields.
            assert isinstance(document["_id"], str)
            assert isinstance(document.get("conversationId", ""), str)
    orjson.dumps(world.announced())


def updates(random: Random) -> str:
    """An update from JSON is parsed, or refused with every fault. A parsed update survives a round trip."""
    raw = dumped(Mutator(random).tree(orjson.loads(random.choice(_UPDATES))))
    update = parse_update(json.loads(raw), from_sync=random.random() < 0.5)
    if isinstance(update, Refusal):
        assert update.message
        return f"refused {update.code.value}"
    assert isinstance(update, Update)
    again = parse_update(update.as_wire(), from_sync=True)
    assert isinstance(again, Update), "a parsed update can be parsed again"
    assert again.as_wire() == update.as_wire()
    return "update"


def decide(random: Random) -> str:
    """A line of `decide` becomes a decision or an error."""
    mutator = Mutator(random)
    raw = dumped(mutator.tree(orjson.loads(random.choice(_QUESTIONS))))
    if random.randrange(4) == 0:
        raw = mutator.text(raw)
    told = list(answers([raw.replace(b"\n", b" ")]))
    orjson.dumps(told)
    assert len(told) <= 1
    return "error" if told and "error" in told[0] else "decision"


def captures(random: Random) -> str:
    """A file of captures becomes values and faults."""
    mutator = Mutator(random)
    lines = [envelope_bytes(random) if random.randrange(3) == 0 else random.choice(_EVENTS) for _ in range(3)]
    between = random.choice((b"\n", b",\n", b"", b"\n\n", b"]\n[", b"\xff\n"))
    raw = between.join(lines)
    if random.randrange(2) == 0:
        raw = mutator.text(raw)
    found = list(captures_of("file", raw.splitlines(keepends=True)))
    for one in found:
        if isinstance(one, CaptureFault):
            shows_nothing(one.message)
        else:
            assert isinstance(one, Capture)
    return "captures with faults" if any(isinstance(one, CaptureFault) for one in found) else "captures"


def reader(random: Random) -> str:
    """A message's body and a capture of one line, with the same text, get the same verdict."""
    raw = envelope_bytes(random).replace(b"\n", b" ").replace(b"\r", b" ")
    found = list(captures_of("file", [raw]))
    try:
        body = raw.decode()
    except UnicodeDecodeError:
        assert [str(one).partition(" ")[0] for one in found] == ["file:1:"]
        return "not UTF-8"
    straight = read_message(body)
    match found:
        case [Capture(text=captured_text)] if captured_text == body.strip():
            assert read_message(captured_text) == straight
            return _told(straight)
        case [CaptureFault(message=message)] if body.startswith("{"):
            assert isinstance(straight, Malformed)
            code = message.partition(":")[0]
            # The size is the last that a capture's text is checked for.
            assert straight.code in {code, RejectionCode.TOO_LARGE}
            return f"fault {code}"
        case _:
            # A line may hold several values, or a list of them. A message's body holds one.
            assert isinstance(straight, Malformed), f"the worker reads {straight!r}, the capture is {found!r}"
            return "several values, or none"


class Target(Struct, frozen=True, kw_only=True):
    """A place where bytes enter. Of all targets' inputs it gets its share: `share` of the sum of the shares."""

    feed: Callable[[Random], str]
    share: int


TARGETS: Final[Mapping[str, Target]] = {
    "envelope": Target(feed=envelope, share=50),
    "own-syncs": Target(feed=own_syncs, share=15),
    "events": Target(feed=events, share=15),
    "updates": Target(feed=updates, share=15),
    "decide": Target(feed=decide, share=10),
    "captures": Target(feed=captures, share=10),
    "answers": Target(feed=service_answers, share=10),
    "settings": Target(feed=settings, share=1),
    "reader": Target(feed=reader, share=10),
    "documents": Target(feed=stored_documents, share=15),
    "timelines": Target(feed=timelines, share=5),
    "import": Target(feed=imported, share=2),
}
