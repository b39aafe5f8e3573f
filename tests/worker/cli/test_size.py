"""`routing-sync size`: its options, what it prints, and what it refuses."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from worker.cli.verbs import run_verb
from worker.sizing.costs import read_costs

Printed = Callable[..., tuple[int, str, str]]


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Printed:
    """Runs the verb: its exit status, its output and its errors."""

    def run(*options: str) -> tuple[int, str, str]:
        status = run_verb(["size", *options])
        output, errors = capsys.readouterr()
        return status, output, errors

    return run


def test_it_prints_both_rates_the_lag_the_price_and_the_measurement(printed: Printed) -> None:
    status, output, errors = printed("--average", "1000", "--peak", "20000", "--peak-minutes", "10", "--workers", "2")
    assert (status, errors) == (0, "")
    lines = output.splitlines()
    assert any(line.split() == ["events/s", "1,000", "20,000"] for line in lines)
    carried = 2 / read_costs().mixed({"a": 0.8, "b": 0.15, "c": 0.05}).worker_cpu_s
    minutes = round((20_000 / carried - 1) * 10)
    assert any(line.startswith(f"Lag at the peak: {minutes} min after 10 min") for line in lines)
    assert any(line.startswith("Over a quota at the peak: Fargate") for line in lines)
    assert any(line.strip().startswith("total ") for line in lines)
    assert any(line.startswith("Measured (costs): 20") and "commit" in line for line in lines)
    assert lines[-1].startswith("Your machine differs")


def test_the_peak_is_three_times_the_average_unless_it_is_named(printed: Printed) -> None:
    _, output, _ = printed("--average", "70", "--json")
    load = json.loads(output)["load"]
    assert (load["averagePerSecond"], load["peakPerSecond"]) == (70, 210)


def test_json_has_the_figures_as_one_object(printed: Printed) -> None:
    status, output, _ = printed("--json", "--fifo", "--price-sqs-million", "2", "--workers", "3")
    assert status == 0
    assert output.count("\n") == 1
    found = json.loads(output)
    assert found["load"]["fifo"] is True
    assert found["workers"]["running"] == 3
    assert found["month"]["dollars"]["SQS calls"] == pytest.approx(found["month"]["sqsCalls"] / 1e6 * 2)
    assert found["month"]["totalDollars"] == pytest.approx(sum(found["month"]["dollars"].values()))
    assert found["measured"].keys() == {"costs", "footprint"}


def test_an_average_that_is_too_much_says_what_to_raise(printed: Printed) -> None:
    carried = 2 / read_costs().mixed({"a": 0.8, "b": 0.15, "c": 0.05}).worker_cpu_s
    _, output, _ = printed("--average", str(2 * carried), "--workers", "2")
    (line,) = [line for line in output.splitlines() if line.startswith("Lag ")]
    assert line.endswith(": raise --workers")
    assert "never ends" in line


@pytest.mark.parametrize(
    ("options", "named", "wrong"),
    [
        (["--own-syncs", "50"], "--own-syncs, --unshared, --syncs", "they add up to 70 percent: make them 100"),
        (["--peak", "1"], "--peak", "1 is less than --average 100: raise it, or lower --average"),
        (["--average", "0"], "--average", "greater than or equal to 0.001"),
        (["--average", "nan"], "--average", "less than or equal to 10000000"),
        (["--average", "inf"], "--average", "less than or equal to 10000000"),
        (["--price-log-gb", "-1"], "--price-log-gb", "greater than or equal to 0"),
        (["--workers", "0"], "--workers", "greater than or equal to 1"),
        (["--conversations", "many"], "--conversations", "should be a valid integer"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_an_option_that_cannot_be_taken_is_named(printed: Printed, options: list[str], named: str, wrong: str) -> None:
    status, output, errors = printed(*options)
    assert (status, output) == (2, "")
    (line,) = errors.splitlines()
    assert line.startswith("routing-sync size: ")
    assert named in line
    assert wrong in line


def test_figures_that_are_not_there_are_an_error(printed: Printed, tmp_path: Path) -> None:
    status, output, errors = printed("--figures", str(tmp_path / "none.json"))
    assert (status, output) == (1, "")
    assert errors == f"routing-sync size: cannot read --figures {tmp_path / 'none.json'}: No such file or directory\n"


def test_figures_that_are_none_say_how_to_make_them(printed: Printed, tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    path.write_text("{}")
    status, _, errors = printed("--figures", str(path))
    assert status == 1
    assert f"--figures {path} holds no measured costs: " in errors
    assert "make bench-growth PARTS=costs,footprint" in errors
