"""Repeated lines of libraries: once a minute each, with the number left out.

asyncio writes hundreds of lines a second while the process has no free file descriptor for a connection
(https://github.com/python/cpython/issues/151615); they would bury the lines that matter.
"""

import logging
from typing import Final

_INTERVAL_S: Final = 60.0
_KINDS_MAX: Final = 256
"""More kinds of lines than any run has; all are forgotten beyond, so that memory does not grow."""


class RepeatedLines(logging.Filter):
    """Lets a record pass if none of its logger, level and first line passed within a minute. `repeated` of a record
    that passes is the number of records left out before it."""

    def __init__(self) -> None:
        super().__init__()
        self._passed_at: dict[tuple[str, int, str], float] = {}
        self._left_out: dict[tuple[str, int, str], int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is written. Time is the record's own; a clock that was set back lets it pass."""
        kind = (record.name, record.levelno, str(record.msg).partition("\n")[0])
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
