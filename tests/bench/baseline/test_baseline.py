"""`make bench BASE=<commit>` compares what it says: the right code, one ratio a round."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from pymongo import MongoClient

from mongod import Mongod
from server_process import ROOT
from tests.bench.baseline.checkout import Commit, UnknownCommit, find_commit, unpack_packages, worker_in
from tests.bench.baseline.command import BaselineReport, as_json, ratios_table
from tests.bench.baseline.paired_rounds import PairedOutcome, PairedPlan, PairedRound, measure_pairs, paired_row
from tests.bench.bench import main
from tests.bench.consumers.consumer import Consumer
from tests.bench.endpoint.process import BenchEndpoint
from tests.bench.loads.workload import LoadKind
from tests.bench.runs.machine_speed import ANY_SPEED
from tests.bench.runs.servers import BenchServers


def _round(base_cpu_s: float, base_wall_s: float, tree_cpu_s: float, tree_wall_s: float) -> PairedRound:
    return PairedRound(
        base_cpu_s_per_1000=base_cpu_s,
        tree_cpu_s_per_1000=tree_cpu_s,
        base_wall_s_per_1000=base_wall_s,
        tree_wall_s_per_1000=tree_wall_s,
        disturbed=False,
    )


def _plan(base: Consumer, tree: Consumer, *, kinds: str = "a", messages: int = 20, rounds: int = 1) -> PairedPlan:
    return PairedPlan(
        base=base,
        tree=tree,
        kinds=[kind for kind in LoadKind if kind.value[0] in kinds],
        messages=messages,
        rounds=rounds,
        seed=1,
        agents=None,
    )


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository of two commits: `worker.cli` is a module in the first, a package in the second."""
    folder = tmp_path / "repository"
    for package in ("worker", "handlers", "sync", "commands"):
        (folder / package).mkdir(parents=True)
        (folder / package / "__init__.py").touch()
    cli = folder / "worker" / "cli.py"
    cli.write_text("import sys\ndef main() -> None:\n    print('module', sys.argv[1:])\n")
    _git(folder, "init", "--quiet", "--initial-branch=main")
    _git(folder, "add", ".")
    _git(folder, "commit", "--quiet", "-m", "A module")
    cli.unlink()
    cli.with_suffix("").mkdir()
    (folder / "worker" / "cli" / "__init__.py").touch()
    (folder / "worker" / "cli" / "main.py").write_text("def main() -> None:\n    print('package')\n")
    _git(folder, "add", ".")
    _git(folder, "commit", "--quiet", "-m", "A package")
    return folder


def _git(repository: Path, *arguments: str) -> None:
    author = ("-c", "user.name=test", "-c", "user.email=test@example.com")
    subprocess.run(["git", "-C", str(repository), *author, *arguments], check=True)


def _started(consumer: Consumer) -> str:
    environment = {**os.environ, **consumer.variables}
    return subprocess.run(
        consumer.command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.parametrize(("revision", "printed"), [("HEAD~1", "module ['run']\n"), ("main", "package\n")])
def test_the_worker_of_a_commit_starts_from_its_own_packages(
    repository: Path, tmp_path: Path, revision: str, printed: str
) -> None:
    folder = tmp_path / "checkout"
    folder.mkdir()
    unpack_packages(find_commit(revision, repository), folder, repository)
    assert sorted(each.name for each in folder.iterdir()) == ["commands", "handlers", "sync", "worker"]
    assert _started(worker_in(folder, name="base")) == printed


def test_a_commit_is_named_by_its_hash_and_subject(repository: Path) -> None:
    commit = find_commit("main", repository)
    assert find_commit(commit.hash[:8], repository) == commit
    assert str(commit) == f"{commit.hash[:12]} (A package)"


@pytest.mark.parametrize("revision", ["0000000", "no-such-branch", "--help", ""])
def test_an_unknown_commit_is_refused_by_name(repository: Path, revision: str) -> None:
    with pytest.raises(UnknownCommit, match=f"BASE={revision} names no commit of this repository: give a hash"):
        find_commit(revision, repository)


def test_a_commit_without_the_worker_is_refused(repository: Path, tmp_path: Path) -> None:
    _git(repository, "rm", "-r", "--quiet", "sync")
    _git(repository, "commit", "--quiet", "-m", "No sync")
    with pytest.raises(UnknownCommit, match=r"No sync.*lacks one of the packages worker, handlers, sync, commands"):
        unpack_packages(find_commit("main", repository), tmp_path, repository)


def test_an_unknown_commit_ends_the_command_before_any_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--base", "no-such-branch"]) == 2
    assert capsys.readouterr().err.startswith("make bench: BASE=no-such-branch names no commit")


def test_a_base_and_chosen_consumers_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--base", "HEAD", "--only", "ours"])
    assert "leave --only" in capsys.readouterr().err


def test_a_ratio_is_made_within_a_round() -> None:
    # The second round is of a machine ten times as slow.
    rounds = [_round(1, 2, 1.1, 1), _round(10, 20, 9, 10), _round(1, 2, 2, 1)]
    row = paired_row(LoadKind.MIX, rounds)
    assert (row.cpu.minimum, row.cpu.median, row.cpu.maximum) == pytest.approx((0.9, 1.1, 2.0))
    assert row.cpu.rounds == pytest.approx([1.1, 0.9, 2.0])
    assert (row.wall.minimum, row.wall.median, row.wall.maximum) == (0.5, 0.5, 0.5)
    assert (row.base_cpu_s_per_1000, row.tree_cpu_s_per_1000) == (1, 2)
    assert (row.base_wall_s_per_1000, row.tree_wall_s_per_1000) == (2, 1)


def test_a_ratio_beside_a_slow_core_is_counted() -> None:
    rounds = [replace(_round(1, 1, 1, 1), disturbed=disturbed) for disturbed in (True, False, True)]
    assert paired_row(LoadKind.MIX, rounds).disturbed == 2


def test_the_report_holds_every_ratio() -> None:
    row = paired_row(LoadKind.OWN, [_round(1, 1, 1.5, 2)])
    report = BaselineReport(
        machine="a machine",
        base=Commit(hash="a" * 40, subject="A subject"),
        tree="a tree",
        messages=100,
        rounds=1,
        seed=1,
        outcome=PairedOutcome(rows=[row], failures=[]),
    )
    wire = as_json(report)
    assert wire["base"] == {"hash": "a" * 40, "subject": "A subject"}
    [ratios] = wire["ratios"]
    assert ratios["kind"] == "a  own syncs"
    assert ratios["cpu"] == {"minimum": 1.5, "median": 1.5, "maximum": 1.5, "rounds": [1.5]}
    assert ratios_table([row], messages=100, rounds=1).row_count == 1


@pytest.fixture
def servers(mongod: Mongod) -> Iterator[BenchServers]:
    mongo: MongoClient[dict[str, Any]] = MongoClient(mongod.uri)
    with mongo, BenchEndpoint() as endpoint:
        yield BenchServers(endpoint=endpoint, mongod=mongod, mongo=mongo, speed=ANY_SPEED)


@pytest.mark.e2e
def test_the_working_tree_is_measured_against_itself(servers: BenchServers, tmp_path: Path) -> None:
    unpack_packages(find_commit("HEAD"), tmp_path)
    plan = _plan(worker_in(tmp_path, name="base"), worker_in(ROOT, name="tree"), kinds="ac", rounds=2)
    outcome = measure_pairs(servers, plan)
    assert outcome.failures == []
    assert [(row.kind, len(row.cpu.rounds)) for row in outcome.rows] == [(LoadKind.OWN, 2), (LoadKind.SYNCS, 2)]
    assert all(row.cpu.minimum > 0 for row in outcome.rows)


@pytest.mark.e2e
def test_a_round_with_a_failed_run_has_no_ratio(servers: BenchServers, tmp_path: Path) -> None:
    (tmp_path / "worker").mkdir()
    (tmp_path / "worker" / "__init__.py").touch()
    (tmp_path / "worker" / "cli.py").write_text("def main() -> None:\n    raise SystemExit('no worker today')\n")
    plan = _plan(worker_in(tmp_path, name="base"), worker_in(ROOT, name="tree"))
    outcome = measure_pairs(servers, plan)
    assert outcome.rows == []
    [failure] = outcome.failures
    assert "base did not empty its queue" in failure
    assert "no worker today" in failure
