"""Dropped log lines are counted at once, and told once the log takes lines again."""

import json
import os
from collections.abc import Iterator

import pytest

from tests.worker.stand_ins.fake_clock import FakeClock
from tests.worker.stand_ins.telemetry_recorder import TelemetryRecorder
from worker.telemetry.dropped_lines import DroppedLines
from worker.telemetry.logs import LogIdentity, open_log
from worker.telemetry.metrics import Metric, Telemetry
from worker.telemetry.output.line_writer import LineWriter

LINE = b"x" * 999 + b"\n"


@pytest.fixture
def still_pipe() -> Iterator[tuple[int, LineWriter]]:
    """A pipe whose reader stands still, and a writer whose queue takes 100 lines."""
    reader, end = os.pipe()
    writer = LineWriter(end, bytes_max=100_000)
    yield reader, writer
    writer.close()
    os.close(reader)
    os.close(end)


def test_row_1_drops_are_counted_at_once_and_told_when_there_is_room(still_pipe: tuple[int, LineWriter]) -> None:
    reader, writer = still_pipe
    recorder = TelemetryRecorder()
    log = open_log(level="error", identity=LogIdentity(), clock=FakeClock(), to=writer)
    drops = DroppedLines(writer, Telemetry(metrics=recorder, log=log))
    drops.report()
    assert recorder.total(Metric.LOG_DROPPED) == 0
    # More than the queue and the pipe's buffer take together.
    for _ in range(400):
        writer.write(LINE)
    dropped = writer.dropped_lines
    assert dropped > 200
    # A line that tells of the drops would be dropped, too, and counted each second.
    for _ in range(60):
        drops.report()
    assert recorder.total(Metric.LOG_DROPPED) == writer.dropped_lines == dropped
    read = bytearray()
    while read.count(b"\n") < 400 - dropped:
        read += os.read(reader, 65_536)
    assert writer.drain(20)
    drops.report()
    drops.report()
    assert writer.drain(20)
    (told,) = os.read(reader, 65_536).splitlines()
    line = json.loads(told)
    assert (line["msg"], line["lines"], line["level"]) == ("log lines dropped", dropped, 50)
    assert recorder.total(Metric.LOG_DROPPED) == dropped


def test_row_1_lines_that_the_end_of_the_process_leaves_unwritten_are_counted(
    still_pipe: tuple[int, LineWriter],
) -> None:
    _, writer = still_pipe
    recorder = TelemetryRecorder()
    drops = DroppedLines(writer, recorder.telemetry)
    for _ in range(90):
        writer.write(LINE)
    drops.close(drain_s=0)
    assert recorder.total(Metric.LOG_DROPPED) == writer.unwritten_lines > 0
