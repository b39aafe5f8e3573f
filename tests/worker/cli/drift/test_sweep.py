"""`routing-sync sweep` on a real MongoDB: what it prints, what it writes, and its exit status."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from commands.instant import format_instant
from mongod import Mongod
from tests.worker.cli.drift.swept_database import SweptDatabase, swept_database
from worker.cli.drift.sweep import DriftPrinter
from worker.cli.main import run
from worker.ports.sweeps import SweepPosition
from worker.sweeps.drift.sweep_run import PAGE_SIZE

_COMMAND = (sys.executable, "-c", "from worker.cli.main import main; main()")


@pytest.fixture
def database(mongod: Mongod, monkeypatch: pytest.MonkeyPatch) -> Iterator[SweptDatabase]:
    with swept_database(mongod, monkeypatch) as database:
        yield database


def test_a_dry_run_prints_each_drift_with_its_plan_and_writes_nothing(
    database: SweptDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    database.live_worker()
    database.put("c-1", users=("u-1",))
    database.put("c-2")
    database.put("c-3", status="done")
    before = database.everything()
    assert run(["sweep", "--all", "--dry-run"]) == 1
    out, errors = capsys.readouterr()
    since = format_instant(database.written_at)
    *lines, summary = out.splitlines()
    changed = "the conversation wins: changed at 2, known 0"
    assigned = f'; assignee ["u-1"] / null, {changed}; work-item assignedTo="u-1": planned'
    completed = f'; status true / false, {changed}; work-item status="completed": planned'
    assert lines == [
        f"OUT_OF_STEP c-1 w-c-1, since {since}{assigned}",
        f"CLOSED_CONVERSATION c-3 w-c-3, since {since}{completed}",
    ]
    assert summary.startswith("3 pairs in ")
    assert errors == ""
    assert database.everything() == before


def test_a_dry_run_tells_the_work_item_that_would_be_created(
    database: SweptDatabase, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    database.live_worker()
    monkeypatch.setenv("CREATE_WORK_ITEMS", "true")
    database.put("c-1", users=("u-1",))
    database.documents["work_items"].delete_many({})
    assert run(["sweep", "--all", "--dry-run"]) == 1
    since = format_instant(database.written_at)
    told = f'NO_WORK_ITEM c-1, since {since}; new work-item status="assigned", assignedTo="u-1": planned'
    assert capsys.readouterr().out.splitlines()[0] == told
    assert run(["sweep", "--all"]) == 0
    [item] = database.documents["work_items"].find()
    assert capsys.readouterr().out.startswith(f"NO_WORK_ITEM c-1 {item['_id']}, since {since}; new work-item ")


@pytest.mark.parametrize("started", [True, False], ids=["a worker has started", "no worker yet"])
def test_a_work_item_completed_before_the_deployment_closes_nothing(
    database: SweptDatabase, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *, started: bool
) -> None:
    """No event of it was ever sent to this deployment, whose workers create a new one."""
    if started:
        database.live_worker()
        database.documents["fleet"].insert_one({"_id": "start", "at": datetime.now(UTC) - timedelta(hours=1)})
    monkeypatch.setenv("CREATE_WORK_ITEMS", "true")
    database.put("c-1", users=("u-1",))
    change = {"active": False, "attributes.status": "completed", "attributes.resourceRev": 2}
    database.documents["work_items"].update_one({"_id": "w-c-1"}, {"$set": change})
    before = database.everything()
    assert run(["sweep", "--all", "--quiet-queue", "--dry-run"]) == 1
    assert capsys.readouterr().out.startswith("NO_WORK_ITEM c-1, since")
    assert database.everything() == before


def test_it_repairs_tells_once_and_then_finds_nothing(
    database: SweptDatabase, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    database.live_worker()
    database.put("c-1", users=("u-1",))
    assert run(["sweep", "--all"]) == 0
    out, errors = capfdbinary.readouterr()
    lines = out.decode().splitlines()
    assert [line.rpartition(": ")[2] for line in lines[:1]] == ["repaired"]
    assert lines[1].endswith(": 1 OUT_OF_STEP repaired")
    [audit] = [json.loads(line) for line in errors.splitlines()]
    assert (audit["msg"], audit["trigger"], audit["outcome"]) == ("CONVERSATION_SYNC_AUDIT", "sweep", "applied")
    assert database.assigned("c-1") == "u-1"
    assert [entry["conversationId"] for entry in database.documents["outbox"].find()] == ["c-1"]
    # A worker has published the announcement.
    database.documents["outbox"].delete_many({})
    for arguments in (["sweep"], ["sweep", "--all"]):
        assert run(arguments) == 0
        assert capfdbinary.readouterr().out.decode().rstrip().endswith(": no drift")


def test_json_has_an_object_for_each_pair_with_its_audit_and_a_summary(
    database: SweptDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    database.live_worker()
    database.put("c-1", users=("u-1",))
    assert run(["sweep", "--all", "--json"]) == 0
    drift, summary = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (drift["drift"], drift["end"], drift["conversationId"]) == ("OUT_OF_STEP", "repaired", "c-1")
    [field] = drift["fields"]
    assert field == {
        "field": "assignee",
        "conversation": ["u-1"],
        "workItem": None,
        "winner": "CONVERSATION_IS_NEWER",
        "conversationRev": 2,
        "knownRev": 0,
    }
    assert drift["updatedWorkItem"] == {"assignedTo": "u-1"}
    assert drift["audit"]["updatedWorkItem"] == {"assignedTo": "u-1", "rev": 2}
    assert summary["summary"]["repairs"] is True
    assert summary["summary"]["drift"] == [{"drift": "OUT_OF_STEP", "end": "repaired", "count": 1}]


def test_without_a_live_worker_it_only_tells_unless_the_queue_is_said_to_be_quiet(
    database: SweptDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    database.put("c-1", users=("u-1",))
    assert run(["sweep", "--all"]) == 1
    out, errors = capsys.readouterr()
    assert out.splitlines()[0].endswith(": planned")
    assert errors == (
        "routing-sync sweep: no worker lives to say what is in flight: nothing is repaired; "
        "--quiet-queue says that nothing is in flight\n"
    )
    assert database.assigned("c-1") is None
    assert run(["sweep", "--all", "--quiet-queue"]) == 0
    assert database.assigned("c-1") == "u-1"


def test_under_the_policies_legacy_and_shadow_it_only_tells(
    database: SweptDatabase, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    database.live_worker()
    database.put("c-1", users=("u-1",))
    monkeypatch.setenv("SYNC_POLICY", "shadow")
    assert run(["sweep", "--all"]) == 1
    assert capsys.readouterr().err == "routing-sync sweep: SYNC_POLICY is shadow: nothing is repaired\n"
    assert database.assigned("c-1") is None


def test_the_sweep_since_the_last_one_leaves_alone_what_was_swept(
    database: SweptDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    database.live_worker(behind=timedelta(minutes=30))
    assert run(["sweep"]) == 0
    out, errors = capsys.readouterr()
    assert errors == "routing-sync sweep: no sweep has ended yet: everything is swept\n"
    database.put("c-old", users=("u-1",))
    database.written_at = datetime.now(UTC) - timedelta(minutes=20)
    database.put("c-new", users=("u-1",))
    database.live_worker()
    assert run(["sweep"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("OUT_OF_STEP c-new")
    assert (database.assigned("c-old"), database.assigned("c-new")) == (None, "u-1")


def test_a_sweep_goes_on_after_a_key(database: SweptDatabase, capsys: pytest.CaptureFixture[str]) -> None:
    database.live_worker()
    for key in ("c-1", "c-2", "c-3"):
        database.put(key, users=("u-1",))
    assert run(["sweep", "--all", "--after", "conversations:c-2", "--dry-run"]) == 1
    out = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in out[:-1]] == ["c-3"]
    assert run(["sweep", "--all", "--after", "sessions"]) == 0


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--after", "conversations:c-2"], "--after works only with --all: add it, or remove --after"),
        (
            ["--all", "--after", "queues:q"],
            "--after queues:q: the stage is one of conversations, work-items, sessions",
        ),
    ],
)
@pytest.mark.usefixtures("database")
def test_wrong_usage_is_one_line(arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sweep", *arguments]) == 2
    assert line in " ".join(capsys.readouterr().err.split())


@pytest.mark.thorough
@pytest.mark.usefixtures("database")
def test_a_store_that_is_away_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGODB_URI", "mongodb://127.0.0.1:1/?directConnection=true")
    monkeypatch.setenv("STORE_DEADLINE_SECONDS", "1")
    # In a process of its own: the driver leaks the socket of a connect that is cancelled.
    done = subprocess.run([*_COMMAND, "sweep"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith("routing-sync sweep: MongoDB cannot be reached")


def test_a_long_full_sweep_says_once_a_minute_where_it_goes_on_after_a_kill(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    printer = DriftPrinter(as_json=True, audit_log=None, monotonic=lambda: now)
    for page in range(10):
        printer.looked_at(200)
        now += 25
        printer.went_on(SweepPosition(after=f"c-{page}"))
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition("; ")[2] for line in lines] == [
        f"after a kill: --all --after conversations:c-{page}" for page in (2, 5, 8)
    ]
    assert lines[0].startswith("routing-sync sweep: 600 pairs so far")


@pytest.mark.thorough
def test_ctrl_c_ends_a_sweep_and_says_where_it_goes_on(database: SweptDatabase) -> None:
    database.live_worker()
    database.documents["conversations"].insert_many([{"_id": f"c-{n:05}"} for n in range(20 * PAGE_SIZE)])
    command = [*_COMMAND, "sweep", "--all", "--dry-run"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        # None of these conversations can be read, so each has a line: the second page prints now.
        lines = [process.stdout.readline() for _ in range(PAGE_SIZE + 1)]
        assert lines[-1].startswith(f"UNREADABLE c-{PAGE_SIZE:05}")
        process.send_signal(signal.SIGINT)
        errors = process.communicate()[1]
    assert process.returncode == 130
    assert re.search(r"interrupted: go on with --all --after conversations:c-0\d{4}$", errors.strip())
