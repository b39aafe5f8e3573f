"""A library that writes the same line again and again does not bury the others."""

import logging
from collections.abc import Callable
from io import BytesIO

import orjson

from tests.worker.stand_ins.fake_clock import FakeClock
from worker.telemetry.logs import LogIdentity, open_log, redirect_library_logs
from worker.telemetry.repeated_lines import RepeatedLines

OUT_OF_FILES = "socket.accept() out of system resource\nsocket: <socket>"


def _record(message: str, at: float, *, name: str = "asyncio", error: BaseException | None = None) -> logging.LogRecord:
    fields = {"name": name, "levelno": logging.ERROR, "msg": message, "created": at}
    return logging.makeLogRecord(
        fields | ({} if error is None else {"exc_info": (type(error), error, error.__traceback__)})
    )


def _raised(work: Callable[[], object]) -> Exception:
    try:
        work()
    except Exception as error:  # noqa: BLE001 - the test logs it
        return error
    raise AssertionError


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


def test_another_exception_or_the_same_from_another_line_is_not_held_back() -> None:
    def first() -> None:
        raise ValueError

    def second() -> None:
        raise ValueError

    lines = RepeatedLines()
    raised = [_raised(first), _raised(second), _raised(dict[str, str]().popitem), KeyError(), ValueError()]
    records = [_record("Task exception was never retrieved\nfuture: <Task>", 0, error=error) for error in raised]
    assert all(lines.filter(record) for record in records)
    assert not any(lines.filter(record) for record in records)
    assert not lines.filter(_record("Task exception was never retrieved", 1, error=_raised(first)))


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
