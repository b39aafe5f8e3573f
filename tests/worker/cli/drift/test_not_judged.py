"""What `routing-sync sweep` says of pairs that differ and that it left alone, and its exit status."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from commands.instant import format_instant
from mongod import Mongod
from tests.worker.cli.drift.swept_database import SweptDatabase, swept_database
from worker.cli.main import run


@pytest.fixture
def database(mongod: Mongod, monkeypatch: pytest.MonkeyPatch) -> Iterator[SweptDatabase]:
    with swept_database(mongod, monkeypatch) as database:
        yield database


@pytest.mark.parametrize("arguments", [["--all", "--dry-run"], ["--all"], ["--all", "--after", "conversations"]])
def test_a_pair_that_differs_and_was_written_since_the_watermark_is_said_to_be_not_judged(
    database: SweptDatabase, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """As after a restore: the worker has died, and its last watermark is older than the pair's last write."""
    database.live_worker(behind=timedelta(hours=3))
    database.put("c-1", users=("u-1",))
    database.put("c-2")
    assert run(["sweep", *arguments]) == 1
    out, errors = capsys.readouterr()
    [summary] = out.splitlines()
    assert summary.startswith("2 pairs in ")
    assert summary.partition(" s: ")[2] == (
        f"no drift in 1; 1 differs and was not judged (c-1): 1 written since {database.watermark} (the watermark); "
        "sweep again later, or with --quiet-queue if nothing is in the queue"
    )
    assert errors == ""
    assert database.assigned("c-1") is None
    assert run(["sweep", "--all", "--quiet-queue"]) == 0
    assert database.assigned("c-1") == "u-1"


def test_pairs_that_agree_are_judged_whenever_they_were_written(
    database: SweptDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a busy system there are always some."""
    database.live_worker(behind=timedelta(hours=3))
    database.put("c-1")
    assert run(["sweep", "--all"]) == 0
    assert capsys.readouterr().out.endswith(" s: no drift\n")


def test_json_counts_what_was_not_judged_and_why(database: SweptDatabase, capsys: pytest.CaptureFixture[str]) -> None:
    database.live_worker(behind=timedelta(hours=3))
    database.put("c-1", users=("u-1",))
    assert run(["sweep", "--all", "--json"]) == 1
    [line] = capsys.readouterr().out.splitlines()
    summary = json.loads(line)["summary"]
    assert (summary["pairs"], summary["drift"]) == (1, [])
    assert summary["watermark"] == database.watermark
    assert summary["notJudged"] == {
        "count": 1,
        "reasons": [{"reason": "written", "count": 1}],
        "conversationIds": ["c-1"],
    }


def test_a_pair_that_waits_and_differs_is_not_judged(
    database: SweptDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    """The sweep itself has let it wait: its writer's clock may be wrong."""
    database.live_worker()
    database.written_at = datetime.now(UTC) - timedelta(minutes=2)
    database.put("c-1", users=("u-1",))
    assert run(["sweep", "--all"]) == 0
    assert capsys.readouterr().out.endswith(": 1 OUT_OF_STEP waits\n")
    assert run(["sweep", "--all"]) == 1
    out = capsys.readouterr().out
    assert "no drift in 0; 1 differs and was not judged (c-1): 1 waits for an event; " in out


def test_what_was_written_since_is_left_to_the_next_sweep_by_time_of_writing(
    database: SweptDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    """It begins where this one ended, so a busy system does not make each sweep by the clock fail."""
    database.live_worker(behind=timedelta(minutes=90))
    assert run(["sweep"]) == 0
    database.live_worker(behind=timedelta(hours=1))
    database.written_at = datetime.now(UTC) - timedelta(minutes=80)
    database.put("c-1", users=("u-1",))
    item = {"$set": {"attributes.updatedAt": format_instant(datetime.now(UTC))}}
    database.documents["work_items"].update_one({"_id": "w-c-1"}, item)
    capsys.readouterr()
    assert run(["sweep"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"1 pairs written before {database.watermark} in ")
    assert "no drift in 0; 1 differs and was not judged (c-1): 1 written since " in out
    database.live_worker(behind=timedelta(seconds=-1))
    assert run(["sweep"]) == 0
    assert ": 1 OUT_OF_STEP " in capsys.readouterr().out
