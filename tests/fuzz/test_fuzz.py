"""A few thousand of the inputs of `make fuzz`, and the detection of violations."""

from random import Random

import pytest

from handlers.events.event import RejectionCode
from tests.fuzz.fuzz import SHARES, chunks
from tests.fuzz.runs import run
from tests.fuzz.targets import TARGETS, envelope_bytes, shows_nothing

INPUTS = {"envelope": 1_000, "events": 250, "updates": 300, "decide": 200, "captures": 200}


@pytest.mark.parametrize("target", TARGETS)
def test_none_raises_hangs_or_shows_content(target: str) -> None:
    tally = run(target, 7, range(INPUTS[target]))
    assert [str(one) for one in tally.violations] == []
    assert tally.inputs == INPUTS[target]


def test_every_end_is_met() -> None:
    """Otherwise the inputs would be all of one kind."""
    ends = run("envelope", 7, range(1_000)).ends
    assert set(ends) == {"event", "unsupported", *(code.value for code in RejectionCode)}


def test_an_input_can_be_repeated() -> None:
    assert envelope_bytes(Random("1/envelope/5")) == envelope_bytes(Random("1/envelope/5"))
    assert envelope_bytes(Random("1/envelope/5")) != envelope_bytes(Random("1/envelope/6"))


def test_the_chunks_cover_all_inputs() -> None:
    assert set(SHARES) == set(TARGETS)
    assert sum(chunk.count for chunk in chunks(100_000, 1, 0, None)) == 100_000
    (one,) = chunks(1, 1, 41, "decide")
    assert (one.first, one.count) == (41, 1)


def test_content_in_a_reason_is_a_violation() -> None:
    with pytest.raises(AssertionError):
        shows_nothing("data.status: must not be 'qZ7x'")
