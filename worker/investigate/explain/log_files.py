"""What log files and captures say of a conversation: this worker's audit lines whole, and captured events."""

import heapq
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final

import orjson
from msgspec import Struct

from commands.instant import format_instant
from sync.audit import AUDIT_MESSAGE
from worker.captures import STANDARD_INPUT, Capture, CaptureFault, UnreadParts, captures_of, read_captures
from worker.investigate.explain.record_source import TellingRecord, telling_record_of_line
from worker.investigate.timeline.captured_pairs import CapturedPairs
from worker.investigate.timeline.entry import AuditEntry, TimelineEntry

RECORDS_MAX: Final = 20_000
"""Audit lines of one pair that are kept, some 60 MB."""


class LoggedPast(Struct, frozen=True, kw_only=True):
    """What was read. `faults`: how many values could not be read. `missing`: what was not kept of it, a sentence each.

    `others`: the first few other conversations that the files hold. `owner`: the conversation of the work-item whose id
    was given in place of a conversation's.
    """

    records: tuple[TellingRecord, ...] = ()
    entries: tuple[TimelineEntry, ...] = ()
    audits: tuple[AuditEntry, ...] = ()
    faults: int = 0
    missing: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    owner: str | None = None


def read_logs(
    files: Iterable[Path],
    conversation_id: str,
    *,
    print_error: Callable[[str], None],
    advance: Callable[[], None],
    stdin: BinaryIO,
) -> LoggedPast:
    """The conversation's lines and events of these files, `-` for standard input. The first values that
    cannot be read are error lines, the others are counted in the last one."""
    pairs, latest, unread = CapturedPairs(conversation_id), _LatestRecords(), UnreadParts(print_error)
    for file in files:
        captures = captures_of(STANDARD_INPUT, stdin) if str(file) == "-" else read_captures(file)
        for capture in captures:
            advance()
            fault: CaptureFault | None
            if isinstance(capture, CaptureFault):
                fault = capture
            else:
                record = _own_record(capture)
                if record is not None:
                    if pairs.is_kept(record.record.get("conversationId"), record.record.get("workItemId")):
                        latest.add(record)
                    continue
                fault = pairs.add(capture)
            if fault is not None:
                unread.add(fault)
    summary = unread.summary()
    if summary is not None:
        print_error(summary)
    timeline = next(iter(pairs.timelines()), None)
    return LoggedPast(
        records=latest.records,
        entries=() if timeline is None else timeline.entries,
        audits=() if timeline is None else timeline.audits,
        faults=unread.count,
        missing=latest.missing,
        others=tuple(pairs.others),
        owner=pairs.owner_of(conversation_id),
    )


class _LatestRecords:
    """The latest records of the pair, by time: a pair that a defect wrote again and again takes no more memory."""

    def __init__(self) -> None:
        self._kept: list[tuple[datetime, int, TellingRecord]] = []
        self._seen = 0

    def add(self, record: TellingRecord) -> None:
        self._seen += 1
        one = (record.at, self._seen, record)
        if len(self._kept) < RECORDS_MAX:
            heapq.heappush(self._kept, one)
        else:
            heapq.heappushpop(self._kept, one)

    @property
    def records(self) -> tuple[TellingRecord, ...]:
        return tuple(record for _, _, record in sorted(self._kept, key=lambda one: one[:2]))

    @property
    def missing(self) -> tuple[str, ...]:
        if self._seen <= RECORDS_MAX:
            return ()
        since = format_instant(self._kept[0][0])
        return (f"the files hold {self._seen:,} audit lines of it: those before {since} are left out",)


def _own_record(capture: Capture) -> TellingRecord | None:
    """The record of this worker's audit line; None for anything else."""
    if AUDIT_MESSAGE not in capture.text:
        return None
    try:
        value = orjson.loads(capture.text)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(value, dict) or value.get("msg") != AUDIT_MESSAGE:
        return None
    return telling_record_of_line(value, file=capture.file, line=capture.line)
