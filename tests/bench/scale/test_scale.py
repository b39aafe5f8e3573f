"""`make scale` prints what `worker/sizing/` computes, for three rates."""

import pytest

from tests.bench.loads.workload import LoadKind
from tests.bench.scale.command import RATES, main
from worker.sizing.costs import LETTERS


def test_the_stored_figures_are_printed_for_every_rate(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    printed = capsys.readouterr().out
    assert all(f"{rate:,}/s" in printed for rate in RATES)


def test_a_load_that_was_not_measured_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--loads", "dx"])
    assert "no such loads: x; the loads are a, b, c, d" in capsys.readouterr().err


def test_the_letters_are_those_of_the_measured_loads() -> None:
    assert [kind.value[0] for kind in LoadKind] == list(LETTERS)
