"""Logs: one JSON object per line on standard output, with the keys that existing log searches use (docs/events.md).

No line holds a message body or a customer's content. An exception is logged by its type and its stack and never by its
message, which may quote the input. In the worker a thread writes the lines (output/line_writer.py), so that a log call
never waits.
"""

import json
import logging
import os
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from types import TracebackType
from typing import Any, Final, Protocol

import orjson
import structlog
from msgspec import Struct
from structlog.typing import FilteringBoundLogger, Processor

from commands.instant import format_instant
from handlers.ports import Clock
from sync.audit import AUDIT_MESSAGE
from worker.telemetry.repeated_lines import RepeatedLines

Log = FilteringBoundLogger

NAME: Final = "routing-worker"
LEVELS: Final = {"debug": 20, "info": 30, "warning": 40, "error": 50, "critical": 60}
"""Level numbers of the bunyan log format, which existing log searches use."""

_AUDITS: Final = "audits"
_THRESHOLDS: Final = {
    "debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR,
}  # fmt: skip


class LogIdentity(Struct, frozen=True, kw_only=True):
    """The process that writes the lines."""

    service: str = NAME
    version: str = "unknown"
    env: str | None = None
    hostname: str = socket.gethostname()
    pid: int = os.getpid()


class LineSink(Protocol):
    """Takes whole lines: a line writer, or a binary file."""

    def write(self, lines: bytes, /) -> object:
        """Take the lines, each with its line feed."""
        ...

    def flush(self) -> object:
        """Called after every write."""
        ...


def open_log(*, level: str, identity: LogIdentity, clock: Clock, to: LineSink | None = None) -> Log:
    """A log that writes lines of `level` and above to `to`, or to standard output."""
    # Bound here, once: the proxy that `wrap_logger` returns would bind at every line.
    log: Log = structlog.wrap_logger(
        _SinkLogger(to if to is not None else sys.stdout.buffer),
        processors=[_renderer(identity, clock)],
        wrapper_class=structlog.make_filtering_bound_logger(_THRESHOLDS[level]),
        context_class=dict,
    ).bind()
    return log


def redirect_library_logs(log: Log) -> None:
    """Write the warnings and errors of libraries as lines of `log` instead of text on standard error."""
    root = logging.getLogger()
    root.handlers = [_LibraryHandler(log)]
    root.setLevel(logging.WARNING)


def log_uncaught_errors(log: Log, *, before_exit: Callable[[], object]) -> None:
    """Write warnings, and exceptions that nothing catches, as lines of `log`: in a thread, in a finalizer, or in the
    main thread, which ends the process after `before_exit`. Python would print them to standard error, with the
    exception's message, and wait for its reader."""
    interrupted = sys.excepthook

    def in_main_thread(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not isinstance(error, Exception):
            interrupted(kind, error, trace)
            return
        log.error("stopped by a fault in our code", **error_fields(error))
        before_exit()

    def in_thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None:
            name = args.thread.name if args.thread is not None else None
            log.error("a thread ended with an exception", thread=name, **error_fields(args.exc_value))

    def in_finalizer(args: Any) -> None:
        error = {} if args.exc_value is None else error_fields(args.exc_value)
        log.error("an exception was ignored", object=type(args.object).__qualname__, **error)

    logging.captureWarnings(True)
    sys.excepthook, threading.excepthook, sys.unraisablehook = in_main_thread, in_thread, in_finalizer


def write_audit_lines(log: Log, wires: Iterable[Mapping[str, Any]]) -> None:
    """Write a line for each audit record, given as `AuditRecord.as_wire()`.

    All lines are written in one call, because nearly all lines of the log are audit lines.
    """
    log.info(AUDIT_MESSAGE, **{_AUDITS: wires})


def error_fields(error: BaseException) -> dict[str, Any]:
    """The keys `error` and `stack` of a log line about an exception: its type and its last eight stack frames."""
    frames = traceback.extract_tb(error.__traceback__)[-8:]
    return {
        "error": type(error).__qualname__,
        "stack": [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames],
    }


def _renderer(identity: LogIdentity, clock: Clock) -> Processor:
    """Renders the lines of one log call as bytes, without the final line feed, which the logger adds."""
    head = {"name": NAME, "hostname": identity.hostname, "pid": identity.pid}
    service = {"service": identity.service, "version": identity.version}
    if identity.env is not None:
        service["env"] = identity.env

    def process(_: object, method: str, fields: MutableMapping[str, Any]) -> bytes:
        before = {**head, "level": LEVELS.get(method, LEVELS["error"])}
        after = {"msg": fields.pop("event"), "time": format_instant(clock.now()), "v": 0}

        def render(own_fields: Mapping[str, Any]) -> bytes:
            line = {**before, **own_fields}
            dd = line.pop("dd", None)
            line.update(after, dd={**service, **_trace(dd)} if dd else service)
            return _dumps(line)

        audits = fields.pop(_AUDITS, None)
        return render(fields) if audits is None else b"\n".join(map(render, audits))

    return process


def _trace(dd: Mapping[str, Any]) -> dict[str, Any]:
    return {key: dd[key] for key in ("trace_id", "span_id") if key in dd}


def _dumps(line: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(line, default=str)
    except TypeError:
        # orjson refuses a number beyond 64 bits, a lone surrogate and a key that is not a string. The standard library
        # writes them.
        return json.dumps(line, default=str).encode()


class _SinkLogger:
    """The logger under structlog's. It has no lock, unlike structlog's own: a finalizer that logs may run inside of a
    log call."""

    def __init__(self, sink: LineSink) -> None:
        self._write = sink.write
        self._flush = sink.flush

    def msg(self, lines: bytes) -> None:
        """Write the lines of one log call; the last has no line feed yet."""
        self._write(lines + b"\n")
        self._flush()

    debug = info = warning = error = critical = msg


class _LibraryHandler(logging.Handler):
    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log
        self.addFilter(RepeatedLines())

    def emit(self, record: logging.LogRecord) -> None:
        method = record.levelname.lower()
        write = getattr(self._log, method if method in LEVELS else "error")
        error = error_fields(record.exc_info[1]) if record.exc_info and record.exc_info[1] else {}
        repeated = {"repeated": count} if (count := getattr(record, "repeated", 0)) else {}
        write(record.getMessage().partition("\n")[0], logger=record.name, **repeated, **error)
