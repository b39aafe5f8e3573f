"""The line writer: a bounded queue of lines before a standard stream, and the one thread that writes to the stream.

A standard stream may be full, broken, closed or non-blocking, and its reader may stand still. Neither may end the
worker or delay its event loop, so `write` only queues, and only the thread meets the stream.

- A line is queued whole or dropped whole. The queue holds `bytes_max`; a line that finds no room is dropped and
  counted.
- A failed write is repeated: a disk may be freed, a named pipe may get another reader. A line written in part goes on
  where it stopped.
- A pipe gets whole lines that it takes without waiting. The process may end while the reader stands still, and the
  reader finds no broken line later. Only a line longer than PIPE_BUF, 4096 bytes, may be cut then.
"""

import contextlib
import errno
import fcntl
import os
import select
import stat
import termios
import threading
from array import array
from collections import deque
from typing import Final

from worker.errors import thread_limit_named

QUEUE_BYTES: Final = 8_388_608
_PIECE_BYTES: Final = 65_536
_RETRY_S: Final = 0.2
_POLL_MS: Final = 1_000


class LineWriter:
    """Writes lines to a descriptor in a thread of its own. `descriptor` None is a stream that is closed: every line is
    dropped. Raises Misconfigured if the system refuses the thread."""

    def __init__(self, descriptor: int | None, *, bytes_max: int = QUEUE_BYTES) -> None:
        self.bytes_max = bytes_max
        self._descriptor = -1 if descriptor is None else descriptor
        self._queue: deque[bytes] = deque()
        self._unwritten_bytes = 0
        self._unwritten_lines = 0
        self._dropped_lines = 0
        self._fault = "closed" if descriptor is None else None
        self._closing = threading.Event()
        # Reentrant, as conditions are: a finalizer that logs may run inside of `write`.
        self._changed = threading.Condition()
        if descriptor is not None:
            with thread_limit_named():
                threading.Thread(target=self._write_queue, name="line writer", daemon=True).start()

    @property
    def dropped_lines(self) -> int:
        """The number of lines dropped so far."""
        return self._dropped_lines

    @property
    def unwritten_lines(self) -> int:
        """The number of lines that wait to be written."""
        return self._unwritten_lines

    @property
    def has_room(self) -> bool:
        """Whether a line of usual length, PIPE_BUF bytes, would be queued."""
        unwritten = self._unwritten_bytes
        return self._descriptor >= 0 and (not unwritten or unwritten + select.PIPE_BUF <= self.bytes_max)

    @property
    def fault(self) -> str | None:
        """Why the last write failed, as a name of `errno`, or `closed`; None where it did not fail."""
        return self._fault

    def write(self, lines: bytes) -> None:
        """Queue whole lines, each with its line feed, or drop those that find no room."""
        with self._changed:
            if not self._queued(lines):
                for line in lines.splitlines(keepends=True):
                    self._dropped_lines += not self._queued(line)

    def flush(self) -> None:
        """Do nothing: the thread writes as soon as it can."""

    def drain(self, within_s: float) -> bool:
        """Wait until every line is written, at most `within_s`, and not for a stream that fails. Returns whether every
        line is written."""
        with self._changed:
            self._changed.wait_for(lambda: self._unwritten_bytes == 0 or self._fault is not None, within_s)
            return self._unwritten_bytes == 0

    def close(self) -> None:
        """End the thread, without waiting for it. Lines that wait are lost."""
        self._closing.set()
        with self._changed:
            self._changed.notify_all()

    def _queued(self, lines: bytes) -> bool:
        """Whether the lines were queued. An empty queue takes a line of any length."""
        if self._descriptor < 0 or (self._unwritten_bytes and self._unwritten_bytes + len(lines) > self.bytes_max):
            return False
        if not self._unwritten_bytes and len(lines) > self.bytes_max and lines.find(b"\n") + 1 < len(lines):
            return False
        self._queue.append(lines)
        self._unwritten_bytes += len(lines)
        self._unwritten_lines += lines.count(b"\n")
        self._changed.notify_all()
        return True

    def _write_queue(self) -> None:
        stream = _Stream(self._descriptor)
        while not self._closing.is_set():
            with self._changed:
                self._changed.wait_for(lambda: bool(self._queue) or self._closing.is_set())
            lines, start = self._next_lines(), 0
            while start < len(lines) and not self._closing.is_set():
                start += self._write_some(stream, lines, start)

    def _next_lines(self) -> bytes:
        """The first lines of the queue, about a piece. A copy of the whole queue would hold up the event loop."""
        taken: list[bytes] = []
        size = 0
        while self._queue and size < _PIECE_BYTES:
            # Without the lock: this thread alone takes lines out.
            taken.append(self._queue.popleft())
            size += len(taken[-1])
        return b"".join(taken)

    def _write_some(self, stream: "_Stream", lines: bytes, start: int) -> int:
        """The number of bytes written: 0 after a failure, and while the stream takes none."""
        try:
            room = stream.room()
            written = stream.write(lines[start : _end_of_piece(lines, start, room)]) if room else 0
        except OSError as error:
            self._set_fault(errno.errorcode.get(error.errno or 0, type(error).__name__))
            self._closing.wait(_RETRY_S)
            return 0
        if written:
            with self._changed:
                self._fault = None
                self._unwritten_bytes -= written
                self._unwritten_lines -= lines.count(b"\n", start, start + written)
                self._changed.notify_all()
        return written

    def _set_fault(self, name: str) -> None:
        with self._changed:
            self._fault = name
            self._changed.notify_all()


class _Stream:
    """The descriptor. Its flags stay as they are: other processes share them."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)
        self._capacity = _pipe_capacity(descriptor)

    def room(self) -> int:
        """How many bytes it takes without waiting, 0 if it takes none after a second. PIPE_BUF bytes are the least that
        a pipe takes once it can be written to at all."""
        if self._capacity is None:
            return _PIECE_BYTES
        if self._unread() == 0:
            return self._capacity
        return select.PIPE_BUF if self._poll.poll(_POLL_MS) else 0

    def write(self, piece: bytes) -> int:
        """The number of bytes written, 0 if it is non-blocking and takes none within a second."""
        try:
            return os.write(self._descriptor, piece)
        except BlockingIOError:
            self._poll.poll(_POLL_MS)
            return 0

    def _unread(self) -> int:
        unread = array("i", [0])
        fcntl.ioctl(self._descriptor, termios.FIONREAD, unread)
        return unread[0]


def _pipe_capacity(descriptor: int) -> int | None:
    """The size of a pipe's buffer; None where the descriptor is no pipe."""
    with contextlib.suppress(OSError):
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            # Linux alone tells the size; every pipe takes PIPE_BUF bytes.
            return fcntl.fcntl(descriptor, fcntl.F_GETPIPE_SZ) if hasattr(fcntl, "F_GETPIPE_SZ") else select.PIPE_BUF
    return None


def _end_of_piece(lines: bytes, start: int, room: int) -> int:
    """The end of the piece from `start`: as many whole lines as the room holds, and at least one."""
    return lines.rfind(b"\n", start, start + room) + 1 or lines.find(b"\n", start) + 1
