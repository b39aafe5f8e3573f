"""One JSON object a line on standard output, with the keys that existing log searches use (domain.md).

Left out, always: bodies and customers' content. A fault is told by its type and the lines of our code it went
through, for its message may quote what it choked on.
"""

import json
import logging
import os
import socket
import sys
import traceback
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, BinaryIO, Final

import orjson
import structlog
from msgspec import Struct
from structlog.typing import FilteringBoundLogger, Processor

from commands.instant import format_instant
from handlers.ports import Clock
from sync.audit import AUDIT_MESSAGE

Log = FilteringBoundLogger

NAME: Final = "routing-worker"
LEVELS: Final = {"debug": 20, "info": 30, "warning": 40, "error": 50, "critical": 60}
"""Bunyan's numbers."""

_AUDITS: Final = "audits"
_THRESHOLDS: Final = {
    "debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR,
}  # fmt: skip


class LogIdentity(Struct, frozen=True, kw_only=True):
    """Who writes the lines."""

    service: str = NAME
    version: str = "unknown"
    hostname: str = socket.gethostname()
    pid: int = os.getpid()


def open_log(*, level: str, origin: LogIdentity, clock: Clock, to: BinaryIO | None = None) -> Log:
    """A log that writes to `to` (standard output if not given); libraries' warnings go there too."""
    # Bound once: what `wrap_logger` gives binds anew at every line.
    log: Log = structlog.wrap_logger(
        structlog.BytesLogger(to if to is not None else sys.stdout.buffer),
        processors=[_rendered(origin, clock)],
        wrapper_class=structlog.make_filtering_bound_logger(_THRESHOLDS[level]),
        context_class=dict,
    ).bind()
    return log


def redirect_library_logs(log: Log) -> None:
    """Warnings of libraries become lines of `log`, instead of text on standard error."""
    root = logging.getLogger()
    root.handlers = [_Libraries(log)]
    root.setLevel(logging.WARNING)


def write_audits(log: Log, wires: Iterable[Mapping[str, Any]]) -> None:
    """The audit records of handled events, as `Audit.as_wire()` has them: a line each, and all in one go, for they are
    most of what is logged."""
    log.info(AUDIT_MESSAGE, **{_AUDITS: wires})


def error_fields(error: BaseException) -> dict[str, Any]:
    """What a log line says of a fault in our code."""
    frames = traceback.extract_tb(error.__traceback__)[-8:]
    return {
        "error": type(error).__qualname__,
        "stack": [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames],
    }


def _rendered(origin: LogIdentity, clock: Clock) -> Processor:
    """Lines as bytes, without the last one's end, which the logger adds."""
    head = {"name": NAME, "hostname": origin.hostname, "pid": origin.pid}
    service = {"service": origin.service, "version": origin.version}

    def process(_: object, method: str, fields: MutableMapping[str, Any]) -> bytes:
        before = {**head, "level": LEVELS.get(method, LEVELS["error"])}
        after = {"msg": fields.pop("event"), "time": format_instant(clock.now()), "v": 0}

        def line(said: Mapping[str, Any]) -> bytes:
            whole = {**before, **said}
            dd = whole.pop("dd", None)
            whole.update(after, dd={**service, **_trace(dd)} if dd else service)
            return _dumps(whole)

        audits = fields.pop(_AUDITS, None)
        return line(fields) if audits is None else b"\n".join(map(line, audits))

    return process


def _trace(dd: Mapping[str, Any]) -> dict[str, Any]:
    return {key: dd[key] for key in ("trace_id", "span_id") if key in dd}


def _dumps(line: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(line, default=str)
    except TypeError:
        # A number beyond 64 bits, half a surrogate pair, a key that is no text: rare, and no reason to lose the line or
        # the worker.
        return json.dumps(line, default=str).encode()


class _Libraries(logging.Handler):
    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        method = record.levelname.lower()
        say = getattr(self._log, method if method in LEVELS else "error")
        fault = error_fields(record.exc_info[1]) if record.exc_info and record.exc_info[1] else {}
        say(record.getMessage().partition("\n")[0], logger=record.name, **fault)
