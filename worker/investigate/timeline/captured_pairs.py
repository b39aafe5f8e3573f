"""The pairs of a capture: its events and audit lines, packed, and a timeline of each pair.

An event takes some 500 bytes while it is packed, so 100,000 events fit into 60 MB. One pair is unpacked at a time. What
is packed here has no cycles, so it is left to reference counts alone (`gc=False` of its classes).
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeVar

import msgspec
import orjson
from msgspec.structs import replace

from handlers.events.envelope import unwrap_text
from handlers.events.event import Malformed, RejectionCode, UnsupportedEvent
from handlers.events.parser import read_event
from sync.audit import AUDIT_MESSAGE
from worker.captures import STANDARD_INPUT, Capture, CaptureFault, UnreadParts, captures_of, read_captures
from worker.investigate.timeline.builder import build_timeline
from worker.investigate.timeline.captured import audit_entry_of, entry_of, is_audit
from worker.investigate.timeline.entry import AuditEntry, TimelineEntry
from worker.investigate.timeline.timeline import DEFAULT_TIMELINE_LIMITS, Timeline, TimelineLimits

_ENCODER: Final = msgspec.msgpack.Encoder()
_ENTRIES: Final = msgspec.msgpack.Decoder(TimelineEntry)
_REPEATED: Final = frozenset({
    "document_id", "name", "client", "file", "changed_fields", "other_changes", "conversation_id", "work_item_id",
    "trigger", "outcome", "direction", "policy",
})  # fmt: skip
"""The parts that many entries of a pair have alike."""
_REPEATED_LISTS: Final = frozenset({"state", "before", "changes", "reasons"})
"""The same, of values that may be lists, which have no hash: they are told apart as they are packed."""
_PARTS_MAX: Final = 10_000
"""How many parts are remembered: where every entry has its own, remembering them must not take more than it saves."""
OTHERS_MAX: Final = 11
"""How many of the conversations that are not kept are remembered: enough for a message that names ten, and `…`."""
_AUDITS: Final = msgspec.msgpack.Decoder(AuditEntry)
_Unpacked = TypeVar("_Unpacked", TimelineEntry, AuditEntry)


class CapturedPairs:
    """Takes the values of captures, in any order, and makes the timelines.

    `conversation`: keep this conversation alone. `events`, `audits`: how many were kept; `passed_over`: events of other
    kinds and other log lines; `faults`: how many values could not be read.
    """

    def __init__(self, conversation: str | None = None) -> None:
        self.events = 0
        self.audits = 0
        self.passed_over = 0
        self.faults = 0
        self.captured_until: datetime | None = None
        self._conversation = conversation
        self._entries: dict[str, list[bytes]] = {}
        self._audits: dict[str, list[bytes]] = {}
        self._files: dict[str, str] = {}
        self._owners: dict[str, str] = {}
        self._others: dict[str, None] = {}

    def read(
        self,
        files: Iterable[Path],
        *,
        print_error: Callable[[str], None],
        advance: Callable[[], None],
        stdin: BinaryIO | None = None,
    ) -> None:
        """Take every value of the files, `-` for standard input. The first values that cannot be read are error lines,
        the others are counted in the last one."""
        unread = UnreadParts(print_error)
        for file in files:
            if str(file) == "-":
                captures = captures_of(STANDARD_INPUT, stdin or sys.stdin.buffer)
            else:
                captures = read_captures(file)
            for capture in captures:
                advance()
                fault = capture if isinstance(capture, CaptureFault) else self.add(capture)
                if fault is not None:
                    unread.add(fault)
        self.faults = unread.count
        summary = unread.summary()
        if summary is not None:
            print_error(summary)

    def add(self, capture: Capture) -> CaptureFault | None:
        """Take one value. Returns the fault of a value from which neither an event nor an audit line can be read."""
        if AUDIT_MESSAGE in capture.text:
            audit = _audit_of(capture, self._file(capture.file))
            if audit is not None:
                self._add_audit(audit)
                return None
        unwrapped = unwrap_text(capture.text)
        if isinstance(unwrapped, Malformed):
            if unwrapped.code is RejectionCode.NOT_AN_EVENT and _is_log_line(capture.text):
                self.passed_over += 1
                return None
            return capture.rejection(unwrapped)
        event = read_event(unwrapped)
        if isinstance(event, Malformed):
            return capture.rejection(event)
        if isinstance(event, UnsupportedEvent):
            self.passed_over += 1
            return None
        entry = entry_of(event, unwrapped.event, file=self._file(capture.file), line=capture.line)
        self._saw(entry.at, entry.published_at)
        if self.is_kept(event.conversation_id, event.document_id):
            self.events += 1
            self._entries.setdefault(event.conversation_id, []).append(_ENCODER.encode(entry))
        return None

    def is_kept(self, conversation_id: object, document_id: object) -> bool:
        """Whether what is of this conversation is kept; else its id is remembered, and whose the work-item is."""
        if self._conversation is None or conversation_id == self._conversation:
            return True
        if isinstance(conversation_id, str):
            if document_id == self._conversation:
                self._owners[self._conversation] = conversation_id
            if len(self._others) < OTHERS_MAX:
                self._others[conversation_id] = None
        return False

    def _add_audit(self, audit: AuditEntry) -> None:
        self._saw(audit.at)
        if self.is_kept(audit.conversation_id, audit.work_item_id):
            self.audits += 1
            self._audits.setdefault(audit.conversation_id, []).append(_ENCODER.encode(audit))

    def _file(self, name: str) -> str:
        """The file's name, once for all its entries. A byte that is no UTF-8 is written as an escape."""
        known = self._files.get(name)
        if known is None:
            known = self._files[name] = name.encode("utf-8", "backslashreplace").decode()
        return known

    def _saw(self, *times: datetime | None) -> None:
        self.captured_until = max((each for each in (self.captured_until, *times) if each is not None), default=None)

    @property
    def conversations(self) -> Sequence[str]:
        """The ids of the kept conversations, in the order of their first event, then of their first audit line."""
        return list(dict.fromkeys((*self._entries, *self._audits)))

    @property
    def others(self) -> Sequence[str]:
        """The ids of the first conversations that were not kept, at most `OTHERS_MAX`."""
        return list(self._others)

    def owner_of(self, document_id: str) -> str | None:
        """The conversation of the work-item with this id, if it was given in place of a conversation's."""
        return self._owners.get(document_id)

    def timelines(self, limits: TimelineLimits = DEFAULT_TIMELINE_LIMITS) -> Iterator[Timeline]:
        """The timelines of the kept conversations, one after another. Each is built when it is asked for, and once: its
        packed events are given up meanwhile."""
        for conversation_id in self.conversations:
            yield build_timeline(
                conversation_id,
                _unpacked(self._entries.get(conversation_id, []), _ENTRIES),
                _unpacked(self._audits.get(conversation_id, []), _AUDITS),
                captured_until=self.captured_until,
                limits=limits,
            )


def _unpacked(packed: list[bytes], decoder: msgspec.msgpack.Decoder[_Unpacked]) -> Iterator[_Unpacked]:
    """The entries in their order. The packed ones go one by one, and equal parts are one object, so that a pair of
    100,000 revisions takes a third of the memory."""
    parts: dict[object, Any] = {}
    packed.reverse()
    while packed:
        entry = decoder.decode(packed.pop())
        if len(parts) > _PARTS_MAX:
            parts.clear()
        shared = {}
        for name in entry.__struct_fields__:
            part = getattr(entry, name)
            if name in _REPEATED and part:
                shared[name] = parts.setdefault(part, part)
            elif name in _REPEATED_LISTS and part:
                shared[name] = parts.setdefault(_ENCODER.encode(part), part)
        yield replace(entry, **shared)


class FindingCounts:
    """What the timelines of a capture come to."""

    def __init__(self) -> None:
        self.pairs = 0
        self.pairs_with_findings = 0
        self.questions = 0
        self.by_kind: Counter[str] = Counter()

    def add(self, timeline: Timeline) -> None:
        """Count a timeline."""
        self.pairs += 1
        self.pairs_with_findings += bool(timeline.findings)
        self.questions += len(timeline.questions)
        self.by_kind.update(each.kind.value for each in timeline.findings)


def _audit_of(capture: Capture, file: str) -> AuditEntry | None:
    try:
        value = orjson.loads(capture.text)
    except orjson.JSONDecodeError:
        return None
    return audit_entry_of(value, file=file, line=capture.line) if is_audit(value) else None


def _is_log_line(text: str) -> bool:
    """Whether a value that is no event is a line of a service's log, which stands beside the events in a log file."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return isinstance(value, dict) and isinstance(value.get("msg"), str) and "level" in value
