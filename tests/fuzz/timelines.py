"""The fuzz target of timelines: a capture of mutated events and audit lines, and every form of its timelines."""

import json
from collections.abc import Sequence
from io import StringIO
from random import Random
from typing import Final

from tests.fuzz.mutation import Mutator, dumped
from tests.handlers.wire_events import LOST_ASSIGNMENT, UNASSIGN_WITHOUT_QUEUE, captured
from tests.worker.investigate.timeline.pair_story import PairStory
from worker.captures import CaptureFault, captures_of
from worker.cli.history.text import TimelineText
from worker.investigate.timeline.captured_pairs import CapturedPairs
from worker.investigate.timeline.markdown import markdown_lines
from worker.investigate.timeline.wire import timeline_wire

_MADE: Final = (
    PairStory()
    .conversation(0, queue="q-1")
    .item(1, knew=1, queue="q-1", status="queued")
    .conversation(2, assignedUsers=["u-1"])
    .item(3, queue="q-2", knew=1)
    .conversation(4, assignedUsers=[], queue="q-2", sync=True)
    .item(5, queue=None, status="assigned", assignedTo="u-2", sync=True)
    .item(6, status="completed", assignedTo=None)
    .conversation(7, status="done", skip=2)
    .events
)
_AUDIT: Final = {
    "msg": "CONVERSATION_SYNC_AUDIT",
    "time": "2024-05-06T07:08:13.250Z",
    "conversationId": "c-1",
    "workItemId": "w-1",
    "outcome": "applied",
    "direction": "reverse",
    "updatedConversation": {"assignedUsers": [], "rev": 2},
    "updatedWorkItem": {"queue": {"id": "q-2"}, "rev": 4},
    "event": {"id": "event-w-1-2-update", "rev": 2},
    "reasons": [{"action": "SYNC_CONVERSATION", "code": "WORK_ITEM_QUEUED_UNASSIGNED", "meta": {"rule": "A3"}}],
    "suppressed": [{"field": "queue", "code": "FIELD_WAITS", "conversationRev": 1, "knownRev": 0}],
    "conversationRev": 2,
    "workItemRev": 2,
    "dd": {"trace_id": "77"},
}
_COMMAND: Final = {
    "action": "UPDATE_COMMAND",
    "code": "WORK_ITEM_UPDATE_CMD",
    "meta": {"data": {"queue": {"id": "q-9"}, "assignedTo": "u-9", "rev": 2}, "commandName": "queueCommandParams"},
}
_CAPTURES: Final[Sequence[Sequence[bytes]]] = tuple(
    [dumped(each) for each in [*events, *more]]
    for events, more in (
        (captured(LOST_ASSIGNMENT), ()),
        (captured(UNASSIGN_WITHOUT_QUEUE), ()),
        ([{**each, "routingReasons": [_COMMAND]} for each in _MADE], (_AUDIT,)),
    )
)


def timelines(random: Random) -> str:
    """A capture becomes timelines that JSON holds, and texts that steer neither a terminal nor a ticket."""
    mutator = Mutator(random)
    lines = list(random.choice(_CAPTURES))
    for _ in range(random.randrange(1, 5)):
        lines.append(dumped(mutator.tree(json.loads(random.choice(lines)))))
    random.shuffle(lines)
    pairs = CapturedPairs()
    faults = 0
    for found in captures_of("file", [line.replace(b"\n", b" ") + b"\n" for line in lines]):
        faults += isinstance(found, CaptureFault) or pairs.add(found) is not None
    told = False
    for timeline in pairs.timelines():
        told = told or bool(timeline.findings)
        wire = timeline_wire(timeline)
        assert json.loads(json.dumps(wire)) == wire
        text = StringIO()
        TimelineText(text).timeline(timeline)
        for line in (*text.getvalue().splitlines(), *markdown_lines(timeline)):
            assert line.isprintable()
    return f"timelines{' with findings' if told else ''}{' and faults' if faults else ''}"
