"""A few thousand of the inputs of `make fuzz`, and the detection of violations."""

from collections import Counter
from collections.abc import Iterable
from random import Random

import pytest

from handlers.events.event import RejectionCode
from tests.fuzz.chunks import CHUNK, Chunk, chunks
from tests.fuzz.fuzz import Progress
from tests.fuzz.runs import TargetTally, run
from tests.fuzz.targets import TARGETS, envelope_bytes, shows_nothing

QUICK_INPUTS_A_SHARE = 20


@pytest.mark.parametrize("target", TARGETS)
def test_none_raises_hangs_or_shows_content(target: str) -> None:
    inputs = TARGETS[target].share * QUICK_INPUTS_A_SHARE
    tally = run(target, 7, range(inputs))
    assert [str(one) for one in tally.violations] == []
    assert tally.inputs == inputs


def test_every_end_is_met() -> None:
    """Otherwise the inputs would be all of one kind."""
    ends = run("envelope", 7, range(1_000)).ends
    assert set(ends) == {"event", "unsupported", *(code.value for code in RejectionCode)}


def test_an_input_can_be_repeated() -> None:
    assert envelope_bytes(Random("1/envelope/5")) == envelope_bytes(Random("1/envelope/5"))
    assert envelope_bytes(Random("1/envelope/5")) != envelope_bytes(Random("1/envelope/6"))


def inputs_of(todo: Iterable[Chunk]) -> list[tuple[str, int]]:
    return [(chunk.target, number) for chunk in todo for number in range(chunk.first, chunk.first + chunk.count)]


def test_the_chunks_cover_all_inputs() -> None:
    covered = inputs_of(chunks(100_000, 1, 0, None))
    assert len(covered) == len(set(covered)) == 100_000
    shares = Counter(target for target, _ in covered)
    total = sum(target.share for target in TARGETS.values())
    assert all(abs(shares[name] - 100_000 * target.share / total) <= target.share for name, target in TARGETS.items())
    assert inputs_of(chunks(1, 1, 41, "decide")) == [("decide", 41)]


@pytest.mark.parametrize("until", [1, 7, 9_999, 20_000, 31_234])
def test_a_run_goes_on_where_another_ended(until: int) -> None:
    both = [*chunks(until, 1, 0, None), *chunks(40_000 - until, 1, until, None)]
    assert Counter(inputs_of(both)) == Counter(inputs_of(chunks(40_000, 1, 0, None)))


def test_a_run_says_how_to_go_on() -> None:
    a_round = CHUNK * sum(target.share for target in TARGETS.values())
    todo = list(chunks(3 * a_round, 1, 20_000, None))
    progress = Progress(3 * a_round, 20_000)
    second_round = next(number for number, chunk in enumerate(todo) if chunk.whole_from > 20_000)
    for chunk in todo[: second_round + 1]:
        progress.add(chunk, TargetTally(ends=Counter(event=chunk.count)))
    assert progress.line().endswith(f"FROM={20_000 + a_round} INPUTS={2 * a_round} goes on here")


def test_content_in_a_reason_is_a_violation() -> None:
    with pytest.raises(AssertionError):
        shows_nothing("data.status: must not be 'qZ7x'")
