"""A run of numbered inputs over one target or all, cut into the chunks that a process takes at a time.

The inputs of all targets have one numbering: of the inputs before a number each target has had its share. So a run from
FROM goes on where a run of FROM inputs ended, and two such runs make the inputs of one long run.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from msgspec import Struct

from tests.fuzz.targets import TARGETS

CHUNK: Final = 500


class Chunk(Struct, frozen=True, kw_only=True):
    """Inputs of one target. `whole_from`: a whole run that begins there has this chunk and all that follow it."""

    target: str
    seed: int
    first: int
    count: int
    whole_from: int


def chunks(inputs: int, seed: int, first: int, target: str | None) -> Iterator[Chunk]:
    """The inputs of the run, in the order of their numbers: a round of each target's share, then the next round."""
    shares = {name: one.share for name, one in TARGETS.items()} if target is None else {target: 1}
    end, size = first + inputs, CHUNK * sum(shares.values())
    for start in range(first, end, size):
        yield from _round(shares, seed, start, min(start + size, end))


def _round(shares: Mapping[str, int], seed: int, start: int, end: int) -> Iterator[Chunk]:
    total, before = sum(shares.values()), 0
    for name, share in shares.items():
        first, to = (_inputs_before(number, total, share, before) for number in (start, end))
        before += share
        for at in range(first, to, CHUNK):
            yield Chunk(target=name, seed=seed, first=at, count=min(CHUNK, to - at), whole_from=start)


def _inputs_before(number: int, total: int, share: int, before: int) -> int:
    """How many of the first `number` inputs are the target's: `share` of every `total`, after `before` of others."""
    return number // total * share + min(max(number % total - before, 0), share)
