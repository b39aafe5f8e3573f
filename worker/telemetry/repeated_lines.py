"""Repeated lines of libraries: once a minute each, with the number left out.

asyncio writes hundreds of lines a second while the process has no free file descriptor for a connection
(https://github.com/python/cpython/issues/151615); they would bury the lines that matter.
"""

import logging
from typing import Final

_INTERVAL_S: Final = 60.0
_KINDS_MAX: Final = 256
"""More kinds of lines than any run has; all are forgotten beyond, so that memory does not grow."""

_Kind = tuple[str, int, str, tuple[str, str, int]]


class RepeatedLines(logging.Filter):
    """Lets a record pass if none of its kind passed within a minute. A kind is a logger, a level and a first line, and
    the exception with the line of code that raised it. `repeated` of a record that passes is the number of records of
    its kind left out before it. The number is lost if no further record of the kind comes."""

    def __init__(self) -> None:
        super().__init__()
        self._passed_at: dict[_Kind, float] = {}
        self._left_out: dict[_Kind, int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is written. Time is the record's own; a clock that was set back lets it pass."""
        kind = (record.name, record.levelno, str(record.msg).partition("\n")[0], _exception(record))
        passed_at = self._passed_at.get(kind)
        if passed_at is not None and 0 <= record.created - passed_at < _INTERVAL_S:
            self._left_out[kind] = self._left_out.get(kind, 0) + 1
            return False
        if len(self._passed_at) >= _KINDS_MAX:
            self._passed_at.clear()
            self._left_out.clear()
        self._passed_at[kind] = record.created
        record.repeated = self._left_out.pop(kind, 0)
        return True


def _exception(record: logging.LogRecord) -> tuple[str, str, int]:
    """The record's exception: the name of its class, and the file and line that raised it."""
    if record.exc_info is None or record.exc_info[0] is None:
        return ("", "", 0)
    kind, _, frame = record.exc_info
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    where = ("", 0) if frame is None else (frame.tb_frame.f_code.co_filename, frame.tb_lineno)
    return (kind.__qualname__, *where)
