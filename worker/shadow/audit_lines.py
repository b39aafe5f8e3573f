"""Audit lines out of log files (docs/events.md, *The audit line*): NDJSON, gzip or not, behind a runtime's prefix or in
its wrapper.

A line is cut at `BYTES_MAX`, so memory does not grow with the input.
"""

import gzip
import io
import re
import sys
import zlib
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import IO, Annotated, Any, Final, Literal

import msgspec
from msgspec import Struct

from commands.reason import ReasonAction
from sync.audit import AUDIT_MESSAGE
from sync.conversation import Field

BYTES_MAX: Final = 1_048_576
"""The length of one line; an audit line has a few thousand bytes."""
_STARTED: Final = "worker started"
_MARKS: Final = (AUDIT_MESSAGE.encode(), _STARTED.encode())
_BUFFER_BYTES: Final = 1_048_576
_GZIP_MAGIC: Final = b"\x1f\x8b"
_WRAPPERS: Final = ("log", "message")
"""Where Docker's json-file driver, and services that collect logs, keep a line as text."""
_JSON_START: Final = re.compile(rb'\{\s*"')

SuppressionCode = Literal["CONVERSATION_IS_NEWER", "WORK_ITEM_IS_NEWER", "FIELD_WAITS"]


class LoggedReason(Struct, frozen=True):
    """A reason of the line. `meta.rule` names the rule of a write."""

    action: str
    code: str
    meta: dict[str, Any] = {}

    @property
    def rule(self) -> str | None:
        """The id of the rule, of a sync's write; else None."""
        is_sync = self.action in {ReasonAction.SYNC_CONVERSATION, ReasonAction.SYNC_WORK_ITEM}
        rule = self.meta.get("rule")
        return rule if is_sync and isinstance(rule, str) else None


class LoggedSuppression(Struct, frozen=True, rename="camel"):
    """A field that policy `causal` withheld."""

    field: Field
    code: SuppressionCode
    conversation_rev: int
    known_rev: int


class LoggedDecision(Struct, frozen=True, rename="camel"):
    """The line's `shadow`: the decision of policy `causal`."""

    outcome: Literal["applied", "skipped"]
    updated_conversation: dict[str, Any] | None
    updated_work_item: dict[str, Any] | None
    reasons: list[LoggedReason]
    suppressed: list[LoggedSuppression]


class LoggedEvent(Struct, frozen=True, rename="camel"):
    """The event of the line."""

    id: str | None = None
    name: str | None = None
    rev: int | None = None
    client: str | None = None


class LoggedService(Struct, frozen=True):
    """The line's `dd`."""

    version: str = "unknown"


class AuditLine(Struct, frozen=True, rename="camel"):
    """What the report needs of an audit line."""

    msg: Literal["CONVERSATION_SYNC_AUDIT"]
    time: Annotated[datetime, msgspec.Meta(tz=True)]
    policy: Literal["causal", "legacy"]
    outcome: Literal["applied", "skipped", "refused", "failed"]
    trigger: Literal["conversation", "work-item", "gap", "sweep", "api"] | None
    conversation_id: str | None
    updated_conversation: dict[str, Any] | None
    updated_work_item: dict[str, Any] | None
    reasons: list[LoggedReason]
    shadow: LoggedDecision | None
    work_item_id: str | None = None
    before: dict[str, Any] | None = None
    event: LoggedEvent | None = None
    dd: LoggedService = LoggedService()
    hostname: str = ""
    pid: int = 0


class StartLine(Struct, frozen=True):
    """The log line `worker started`: the only one that names the policy in use."""

    msg: Literal["worker started"]
    policy: Literal["causal", "legacy", "shadow"]
    hostname: str = ""
    pid: int = 0


class OtherLine(Struct, frozen=True):
    """No audit line; passed over."""


class UnreadableLine(Struct, frozen=True, kw_only=True):
    """An audit line that is cut, or of another version. `file` and `line` are its place."""

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"


class UnreadableFile(Struct, frozen=True, kw_only=True):
    """A file that cannot be read, or not to its end."""

    file: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file}: {self.reason}"


LogLine = AuditLine | StartLine | OtherLine | UnreadableLine

_OTHER: Final = OtherLine()
_FAULTS: Final = (msgspec.DecodeError, UnicodeError, RecursionError)
_AUDITS: Final = msgspec.json.Decoder(AuditLine)
_STARTS: Final = msgspec.json.Decoder(StartLine)


def read_log(path: Path) -> Iterator[LogLine | UnreadableFile]:
    """The lines of a log; `-` is standard input. A file that cannot be read ends with an UnreadableFile."""
    file = "standard input" if str(path) == "-" else str(path)
    try:
        if str(path) == "-":
            yield from _lines(file, sys.stdin.buffer)
        else:
            with path.open("rb") as raw:
                yield from _lines(file, raw)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        yield UnreadableFile(file=file, reason=f"the gzip file is damaged: {error}: fetch it again")
    except OSError as error:
        yield UnreadableFile(file=file, reason=f"cannot be read: {error.strerror}: name an existing log file")


def _lines(file: str, raw: IO[bytes]) -> Iterator[LogLine]:
    buffered = io.BufferedReader(raw, _BUFFER_BYTES) if isinstance(raw, io.RawIOBase) else raw
    peek = getattr(buffered, "peek", None)
    zipped = peek is not None and peek(2)[:2] == _GZIP_MAGIC
    lines: IO[bytes] = io.BufferedReader(gzip.GzipFile(fileobj=buffered), _BUFFER_BYTES) if zipped else buffered
    number, is_rest = 0, False
    while chunk := lines.readline(BYTES_MAX):
        # The rest of a line that is longer than the limit belongs to no line of its own.
        if not is_rest:
            number += 1
            yield read_line(chunk, file=file, number=number)
        is_rest = not chunk.endswith(b"\n")


def read_line(text: bytes, *, file: str = "", number: int = 0) -> LogLine:
    """One line of a log, with or without a prefix or a wrapper."""
    if not any(mark in text for mark in _MARKS):
        return _OTHER
    start = _JSON_START.search(text)
    if start is None:
        return _OTHER
    body = text[start.start() :].strip()
    # Nearly always the line is an audit line of this form.
    with suppress(*_FAULTS):
        return _AUDITS.decode(body)
    try:
        keys = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        for wrapper in _WRAPPERS:
            if "msg" not in keys and wrapper in keys:
                return read_line(msgspec.json.decode(keys[wrapper], type=str).encode(), file=file, number=number)
        msg = msgspec.json.decode(keys["msg"]) if "msg" in keys else None
        if msg == AUDIT_MESSAGE:
            return _AUDITS.decode(body)
        return _STARTS.decode(body) if msg == _STARTED else _OTHER
    except _FAULTS as error:
        return UnreadableLine(file=file, line=number, reason=str(error))
