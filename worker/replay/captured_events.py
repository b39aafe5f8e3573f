"""The input of a replay: captured events, each with its place in a file; and the order of their writes.

`simulate` reads its input twice, the first time for the documents before the first event. For it, input that can be
read only once, standard input or a pipe, is copied: a small one into memory, a large one to a temporary file.
"""

import heapq
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, BinaryIO, Final, assert_never

from msgspec import Struct
from msgspec.structs import replace

from handlers.events.envelope import unwrap_text
from handlers.events.event import Event, Malformed, UnsupportedEvent
from handlers.events.parser import read_event
from worker.captures import (
    STANDARD_INPUT,
    Capture,
    CaptureFault,
    captures_of,
    is_audit_line,
    is_question,
    read_captures,
)
from worker.errors import InputNotKept

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""The time of a replay before the first event with a `publishedAt`."""

HELD_MAX: Final = 1_000
"""The number of events that `in_order` and `RecordedSyncs` hold, whatever the size of the input."""

COPY_IN_MEMORY_MAX: Final = 8_388_608
"""The size, in bytes, above which the copy of an input is a temporary file."""

_QUESTION: Final = (
    "a pair or a question of decide, and no event: give questions to `routing-sync decide`, one a line; "
    "replay takes the events that brought a pair there"
)
_Slot = tuple[datetime, int, str]


class CapturedEvent(Struct, frozen=True, kw_only=True):
    """An event and its place in the capture. `raw`: the event's own JSON object, without its wrappers."""

    event: Event
    raw: Mapping[str, Any]
    file: str
    line: int


ReplayInputEntry = CapturedEvent | UnsupportedEvent | CaptureFault


class ReplayInput:
    """The files of a replay in their order, `-` for standard input. A context manager: it closes its copies.

    `once`: `entries` is called once, so nothing is copied.
    """

    def __init__(self, files: Sequence[Path], stdin: BinaryIO | None = None, *, once: bool = False) -> None:
        self._files = files
        self._once = once
        self._stdin = stdin
        self._copies: dict[Path, IO[bytes]] = {}

    def __enter__(self) -> "ReplayInput":
        return self

    def __exit__(self, *_: object) -> None:
        for copy in self._copies.values():
            copy.close()

    @property
    def name(self) -> str:
        """The files' names for a message."""
        return ", ".join(map(_name, self._files))

    def entries(self, conversation: str | None = None) -> Iterator[ReplayInputEntry]:
        """Every entry, or the events of one conversation and every fault. Read it to the end before the next call.

        Raises InputNotKept.
        """
        for file in self._files:
            for capture in self._captures(file):
                entry = capture if isinstance(capture, CaptureFault) else _entry(capture)
                if entry is None:
                    continue
                about = entry.event.conversation_id if isinstance(entry, CapturedEvent) else None
                if conversation is None or about == conversation or isinstance(entry, CaptureFault):
                    yield entry

    def _captures(self, file: Path) -> Iterator[Capture | CaptureFault]:
        name = _name(file)
        if file in self._copies:
            self._copies[file].seek(0)
            yield from captures_of(name, self._copies[file])
        elif str(file) == "-":
            yield from captures_of(name, self._copying(file, self._stdin or sys.stdin.buffer))
        elif file.is_file() or not file.exists():
            yield from read_captures(file)
        else:
            yield from self._pipe_captures(file, name)

    def _pipe_captures(self, file: Path, name: str) -> Iterator[Capture | CaptureFault]:
        try:
            with file.open("rb") as lines:
                yield from captures_of(name, self._copying(file, lines))
        except OSError as error:
            yield CaptureFault(file=name, line=0, message=f"cannot be read: {error.strerror}")

    def _copying(self, file: Path, lines: BinaryIO) -> Iterator[bytes]:
        if self._once:
            yield from lines
            return
        copy = self._copies[file] = tempfile.SpooledTemporaryFile(COPY_IN_MEMORY_MAX)  # noqa: SIM115 - closed with the input
        for line in lines:
            try:
                copy.write(line)
            except OSError as error:
                raise InputNotKept(
                    f"{_name(file)} cannot be copied for its second reading: {error.strerror}: set TMPDIR to a folder "
                    "with room for the copy, or name a file"
                ) from error
            yield line


def _name(file: Path) -> str:
    return STANDARD_INPUT if str(file) == "-" else str(file)


def _entry(capture: Capture) -> ReplayInputEntry | None:
    """None for an audit line, which `import` leaves among the events for `timeline`: it is no input of a replay."""
    unwrapped = unwrap_text(capture.text)
    if isinstance(unwrapped, Malformed):
        if is_audit_line(capture.text):
            return None
        if is_question(capture.text):
            return replace(capture.fault(_QUESTION), is_damage=False)
        return capture.rejection(unwrapped)
    event = read_event(unwrapped)
    match event:
        case Event():
            return CapturedEvent(event=event, raw=unwrapped.event, file=capture.file, line=capture.line)
        case Malformed():
            return capture.rejection(event)
        case UnsupportedEvent():
            return event
        case _:
            assert_never(event)


def in_order(captured: Iterable[CapturedEvent], held_max: int | None) -> Iterator[CapturedEvent]:
    """The same events in the order in which their writes are re-enacted, each once.

    That is the order of publication, corrected by two facts: a document's writes go by revision, and a work-item's
    write goes after the conversation's writes that it knew. Producers publish after they write, with different delays,
    so a capture may have both the wrong way round. At most `held_max` events are held, so an event is put in order
    among that many. None: all are held, so the order is right over any distance.
    """
    order = _Order()
    for each in captured:
        order.add(each)
        if held_max is not None and order.held > held_max:
            yield from order.next()
    while order.held:
        yield from order.next()


class _Order:
    """The held events. Each has a slot of its document, and the slots are in the order of publication; the slots of a
    document are filled with its events in the order of their revisions."""

    def __init__(self) -> None:
        self.held = 0
        self._slots: list[_Slot] = []
        self._waiting: dict[str, list[tuple[int, int, CapturedEvent]]] = {}
        self._number = 0
        self._at = EPOCH

    def add(self, captured: CapturedEvent) -> None:
        event = captured.event
        # An event without `publishedAt` keeps its place after the one before it.
        self._at = event.published_at or self._at
        self._number += 1
        self.held += 1
        heapq.heappush(self._slots, (self._at, self._number, event.document_id))
        heapq.heappush(self._waiting.setdefault(event.document_id, []), (event.rev, self._number, captured))

    def next(self) -> Iterator[CapturedEvent]:
        """Empty the next slot: its event, and before it the conversation's events that its writer knew.

        Nothing where the slot's event was already yielded before another one.
        """
        _, _, document = heapq.heappop(self._slots)
        if document not in self._waiting:
            return
        captured = self._take(document)
        knew, conversation = captured.event.known_conversation_rev, captured.event.conversation_id
        while knew is not None and conversation in self._waiting and self._waiting[conversation][0][0] <= knew:
            yield self._take(conversation)
        yield captured

    def _take(self, document: str) -> CapturedEvent:
        waiting = self._waiting[document]
        _, _, captured = heapq.heappop(waiting)
        if not waiting:
            del self._waiting[document]
        self.held -= 1
        return captured
