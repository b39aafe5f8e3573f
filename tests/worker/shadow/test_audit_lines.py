"""Lines as runtimes write and wrap them, and what is no audit line."""

import gzip
from collections import Counter
from pathlib import Path
from typing import Final

import orjson
import pytest

from tests.worker.shadow.lines import fleet_log
from worker.shadow.audit_lines import (
    BYTES_MAX,
    AuditLine,
    OtherLine,
    StartLine,
    UnreadableFile,
    UnreadableLine,
    read_line,
    read_log,
)

STARTED, LINE, *_ = fleet_log(1).splitlines()


@pytest.mark.parametrize(
    "line",
    [
        LINE,
        b"2024-05-06T07:08:09.123456789Z stdout F " + LINE,
        b"[pod/routing-sync-5f/worker] " + LINE,
        b"worker-1  | " + LINE,
        orjson.dumps({"log": LINE.decode() + "\n", "stream": "stdout", "time": "2024-05-06T07:08:09Z"}),
        orjson.dumps({"timestamp": 1, "message": LINE.decode()}),
    ],
    ids=["plain", "cri", "kubectl", "compose", "docker", "cloudwatch"],
)
def test_an_audit_line_is_read_behind_a_prefix_and_in_a_wrapper(line: bytes) -> None:
    read = read_line(line)
    assert isinstance(read, AuditLine)
    assert read == read_line(LINE)
    assert read.dd.version == "1.2"


OTHERS: Final = [
    b"", b"\n", b"Traceback", b'{"msg": "heartbeat not published"}', b"grep CONVERSATION_SYNC_AUDIT worker.log",
    b'{"msg": "it says CONVERSATION_SYNC_AUDIT"}', b'{"msg": 1, "a": "CONVERSATION_SYNC_AUDIT"}', b"\xff\xfe",
]  # fmt: skip


@pytest.mark.parametrize("line", OTHERS)
def test_other_lines_are_passed_over(line: bytes) -> None:
    assert isinstance(read_line(line), OtherLine)


def changed(**fields: object) -> bytes:
    return orjson.dumps({**orjson.loads(LINE), **fields})


@pytest.mark.parametrize(
    "line",
    [
        LINE[:-20],
        changed(policy="new"),
        changed(shadow={}),
        changed(time="yesterday"),
        changed(time="2024-05-06T07:08:09"),
        changed(outcome=None),
        LINE.replace(b"kustomer", b"\xff"),
        b'{"msg": "CONVERSATION_SYNC_AUDIT", "a": ' + b"[" * 100_000,
    ],
)
def test_an_audit_line_that_is_cut_or_of_another_form_is_unreadable(line: bytes) -> None:
    read = read_line(line, file="worker.log", number=7)
    assert isinstance(read, UnreadableLine)
    assert str(read).startswith("worker.log:7: ")


def test_the_start_of_a_worker_names_its_policy() -> None:
    read = read_line(STARTED)
    assert isinstance(read, StartLine)
    assert (read.policy, read.hostname, read.pid) == ("shadow", "worker-0", 1)


def test_gzip_reads_as_plain_and_a_cut_file_says_so(tmp_path: Path) -> None:
    plain, zipped, cut = tmp_path / "a.log", tmp_path / "a.log.gz", tmp_path / "cut.gz"
    plain.write_bytes(fleet_log(1))
    zipped.write_bytes(gzip.compress(fleet_log(1)))
    cut.write_bytes(zipped.read_bytes()[:-2_000])
    lines = list(read_log(plain))
    assert list(read_log(zipped)) == lines
    assert Counter(map(type, lines))[AuditLine] == len(lines) - 1
    *some, last = read_log(cut)
    assert some == lines[: len(some)]
    assert isinstance(last, UnreadableFile)
    (missing,) = read_log(tmp_path / "none.log")
    assert "No such file" in str(missing)


def test_a_line_without_an_end_takes_bounded_memory(tmp_path: Path) -> None:
    log = tmp_path / "long.log"
    log.write_bytes(LINE + b"\n" + LINE[:-1] + b"x" * (2 * BYTES_MAX) + b"\n" + LINE + b"\n")
    first, long, last = read_log(log)
    assert isinstance(first, AuditLine)
    assert isinstance(long, UnreadableLine)
    assert (first, long.line) == (last, 2)
