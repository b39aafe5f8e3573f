"""The line writer: whole lines, a queue of bounded size, and a caller that never waits, whatever the stream does."""

import fcntl
import os
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from worker.telemetry.output.line_writer import LineWriter

SOON_S = 20.0


@contextmanager
def writer_to(descriptor: int | None, *, bytes_max: int = 1_000_000) -> Iterator[LineWriter]:
    writer = LineWriter(descriptor, bytes_max=bytes_max)
    try:
        yield writer
    finally:
        writer.close()


class Pipe:
    """A pipe whose reader stands still until it is asked."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()

    def close(self) -> None:
        for descriptor in (self.reader, self.writer):
            os.close(descriptor)

    def read_lines(self, count: int) -> list[bytes]:
        """The next lines, in pieces of odd sizes."""
        read, feeds = bytearray(), 0
        while feeds < count:
            piece = os.read(self.reader, 1_021)
            feeds += piece.count(b"\n")
            read += piece
        assert read.endswith(b"\n")
        return bytes(read).splitlines()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    made.close()


def wait_until(holds: Callable[[], bool]) -> None:
    changed = threading.Event()
    for _ in range(int(SOON_S / 0.01)):
        if holds():
            return
        changed.wait(0.01)
    raise AssertionError("not in time")


def numbered(number: int, *, size: int = 200) -> bytes:
    return f"{number:06d} ".encode().ljust(size - 1, b"x") + b"\n"


@pytest.mark.parametrize("blocking", [True, False])
@pytest.mark.parametrize("size", [200, 4_000, 9_001, 90_000])
def test_row_1_a_reader_that_stands_still_gets_every_line_whole_once_it_reads(
    pipe: Pipe, blocking: bool, size: int
) -> None:
    os.set_blocking(pipe.writer, blocking)
    lines = [numbered(number, size=size) for number in range(600_000 // size)]
    with writer_to(pipe.writer, bytes_max=4_000_000) as writer:
        for start in range(0, len(lines), 7):
            writer.write(b"".join(lines[start : start + 7]))
        assert not writer.drain(0)
        assert [line + b"\n" for line in pipe.read_lines(len(lines))] == lines
        assert writer.drain(SOON_S)
        assert (writer.dropped_lines, writer.unwritten_lines) == (0, 0)


def test_row_1_lines_that_find_no_room_are_dropped_whole_and_counted(pipe: Pipe) -> None:
    lines = [numbered(number) for number in range(3_000)]
    with writer_to(pipe.writer, bytes_max=200_000) as writer:
        for start in range(0, len(lines), 10):
            writer.write(b"".join(lines[start : start + 10]))
        dropped = writer.dropped_lines
        assert dropped > 1_000
        read = pipe.read_lines(len(lines) - dropped)
        assert len(read) == len(lines) - dropped
        assert {line + b"\n" for line in read} <= set(lines)
        assert writer.drain(SOON_S)
        writer.write(lines[0])
        assert pipe.read_lines(1) == [lines[0].rstrip(b"\n")]
        assert writer.dropped_lines == dropped


def test_row_1_a_queue_that_is_long_is_never_copied_whole(pipe: Pipe) -> None:
    """The copy would be made under the lock for which the event loop waits."""
    size, count = 60_000, 200
    lines = [numbered(number, size=size) for number in range(count)]
    tracemalloc.start()
    try:
        with writer_to(pipe.writer, bytes_max=2 * size * count) as writer:
            for line in lines:
                writer.write(line)
            # Until the thread has come back to the queue, if it took less than the half at first.
            left = size * (count // 2 + 1)
            while left > 0:
                left -= len(os.read(pipe.reader, 65_536))
            _, peak = tracemalloc.get_traced_memory()
            assert writer.dropped_lines == 0
    finally:
        tracemalloc.stop()
    assert peak < size * count // 4


def test_row_1_a_process_that_ends_while_the_reader_stands_still_leaves_whole_lines(pipe: Pipe) -> None:
    with writer_to(pipe.writer) as writer:
        for number in range(2_000):
            writer.write(numbered(number, size=313))
        assert not writer.drain(0.3)
    os.set_blocking(pipe.reader, False)
    left = bytearray()
    while len(piece := _read(pipe.reader)) > 0:
        left += piece
    assert len(left) > 40_000
    assert left.endswith(b"\n")
    assert {len(line) for line in left.splitlines()} == {312}


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65_536)
    except BlockingIOError:
        return b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has /dev/full")
def test_row_1_a_full_disk_costs_lines_and_no_error() -> None:
    with Path("/dev/full").open("wb", buffering=0) as full, writer_to(full.fileno(), bytes_max=10_000) as writer:
        for number in range(100):
            writer.write(numbered(number))
        assert writer.dropped_lines >= 50
        wait_until(lambda: writer.fault == "ENOSPC")
        # Does not wait for what fails.
        assert not writer.drain(SOON_S * 100)
        assert writer.unwritten_lines + writer.dropped_lines == 100


def test_row_1_a_pipe_that_breaks_is_written_to_again_once_it_has_a_reader(tmp_path: Path) -> None:
    path = tmp_path / "log"
    os.mkfifo(path)
    first = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    out = os.open(path, os.O_WRONLY)
    try:
        with writer_to(out) as writer:
            writer.write(numbered(1))
            assert writer.drain(SOON_S)
            os.close(first)
            writer.write(numbered(2))
            wait_until(lambda: writer.fault == "EPIPE")
            writer.write(numbered(3))
            with path.open("rb") as second:
                assert second.read(600) == b"".join(map(numbered, (1, 2, 3)))
                assert writer.drain(SOON_S)
            assert writer.fault is None
    finally:
        os.close(out)


def test_row_1_a_closed_stream_drops_every_line() -> None:
    with writer_to(None) as writer:
        writer.write(numbered(1) + numbered(2))
        assert (writer.dropped_lines, writer.fault) == (2, "closed")
        assert writer.drain(SOON_S)


def test_row_1_a_line_longer_than_the_queue_is_written_when_the_queue_is_empty(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as file, writer_to(file.fileno(), bytes_max=1_000) as writer:
        writer.write(numbered(1, size=5_000))
        assert writer.drain(SOON_S)
        assert writer.dropped_lines == 0
    assert (tmp_path / "log").read_bytes() == numbered(1, size=5_000)


def test_row_1_the_streams_flags_are_left_alone(pipe: Pipe) -> None:
    """Other processes share them."""
    before = fcntl.fcntl(pipe.writer, fcntl.F_GETFL)
    with writer_to(pipe.writer) as writer:
        writer.write(numbered(1))
        assert writer.drain(SOON_S)
        assert fcntl.fcntl(pipe.writer, fcntl.F_GETFL) == before


def test_a_write_inside_of_a_write_does_not_wait_for_itself(tmp_path: Path) -> None:
    """As a finalizer does that logs while a line is queued."""

    class Lines(bytes):
        def count(self, *args: object) -> int:
            writer.write(b"inner\n")
            return 1

    with (tmp_path / "log").open("wb") as file, writer_to(file.fileno()) as writer:
        writer.write(Lines(b"outer\n"))
        assert writer.drain(SOON_S)
    assert sorted((tmp_path / "log").read_bytes().split()) == [b"inner", b"outer"]
