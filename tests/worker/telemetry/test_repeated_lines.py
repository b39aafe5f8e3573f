"""A library that writes the same line again and again does not bury the others."""

import logging
from io import BytesIO

import orjson

from tests.worker.fake_clock import FakeClock
from worker.telemetry.logs import LogIdentity, open_log, redirect_library_logs
from worker.telemetry.repeated_lines import RepeatedLines

OUT_OF_FILES = "socket.accept() out of system resource\nsocket: <socket>"


def _record(message: str, at: float, *, name: str = "asyncio") -> logging.LogRecord:
    return logging.makeLogRecord({"name": name, "levelno": logging.ERROR, "msg": message, "created": at})


def test_a_line_is_written_once_a_minute_with_the_number_left_out() -> None:
    lines = RepeatedLines()
    passed = [record for at in range(121) if lines.filter(record := _record(OUT_OF_FILES, at))]
    assert [(record.created, record.__dict__["repeated"]) for record in passed] == [(0, 0), (60, 59), (120, 59)]


def test_other_lines_and_other_loggers_are_not_held_back_and_a_clock_set_back_holds_none_back() -> None:
    lines = RepeatedLines()
    records = [
        _record(OUT_OF_FILES, 100),
        _record("another", 100),
        _record(OUT_OF_FILES, 100, name="pymongo"),
        _record(OUT_OF_FILES, 50),
    ]
    assert all(lines.filter(record) for record in records)


def test_memory_does_not_grow_with_the_kinds_of_lines() -> None:
    lines = RepeatedLines()
    assert all(lines.filter(_record(f"line {number}", 0)) for number in range(1_000))
    assert not lines.filter(_record("line 999", 1))
    assert lines.filter(_record("line 0", 1))


def test_the_log_of_the_worker_has_the_number() -> None:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    out = BytesIO()
    try:
        redirect_library_logs(open_log(level="info", identity=LogIdentity(), clock=FakeClock(), to=out))
        for at in (0, 1, 2, 61):
            root.handle(_record(OUT_OF_FILES, at))
    finally:
        root.handlers = handlers
        root.setLevel(level)
    first, second = map(orjson.loads, out.getvalue().splitlines())
    assert first["msg"] == second["msg"] == "socket.accept() out of system resource"
    assert ("repeated" in first, second["repeated"]) == (False, 2)
