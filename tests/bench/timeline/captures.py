"""Captures of any size for `make bench-timeline`, made from the captured incidents."""

import re
from collections.abc import Iterator
from typing import Final

from tests.handlers.wire_events import CAPTURED, LOST_ASSIGNMENT, UNASSIGN_WITHOUT_QUEUE
from tests.worker.replay.replays import CONVERSATION_2022, ITEM_2022

_ID: Final = re.compile(rb'"[0-9a-f]{24}"')
_STORED: Final = re.compile(rb'"rev":(\d+)')


def _lines(incident: str) -> list[bytes]:
    return (CAPTURED / incident / "events.ndjson").read_bytes().splitlines(keepends=True)


def many_pairs(events: int) -> Iterator[bytes]:
    """The two incidents over and over, each time with ids of its own."""
    lines = [*_lines(UNASSIGN_WITHOUT_QUEUE), *_lines(LOST_ASSIGNMENT)]
    for number in range(events):
        copy, line = divmod(number, len(lines))
        mark = b"%08x" % copy
        yield _ID.sub(lambda found, mark=mark: b'"' + mark + found[0][9:], lines[line])  # type: ignore[misc]


def one_pair(events: int) -> Iterator[bytes]:
    """The conversation of 2022, assigned and un-assigned over and over, and its work-item."""
    create, _, assigned, emptied = _lines(LOST_ASSIGNMENT)
    assert CONVERSATION_2022.encode() in assigned
    assert ITEM_2022.encode() in create
    yield create
    for number in range(1, events):
        line = assigned if number % 2 else emptied
        line = _ID.sub(lambda found, number=number: _own_id(found[0], number), line)  # type: ignore[misc]
        line = line.replace(b'"rev":{"op":"replace","before":5,"after":6}', b'"rev":{"op":"replace"}')
        yield _STORED.sub(b'"rev":%d' % (number + 5), line)


def _own_id(quoted: bytes, number: int) -> bytes:
    """The ids of the two events of the incident are new each time; those of the records stay."""
    is_event = quoted.startswith((b'"621fc1d671db', b'"621fc1d672ec', b'"621fc1d69ffa', b'"621fc1d631cd'))
    return b'"%024x"' % number if is_event else quoted
