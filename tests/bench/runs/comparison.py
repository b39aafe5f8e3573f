"""Cases measured in turn, each against the first within one round: machines are shared, and seconds are those of a day.

What is shown is the median of the rounds, and every ratio is made within a round.
"""

from collections.abc import Callable, Sequence
from random import Random
from statistics import median

from msgspec import Struct

from tests.bench.runs.fleet import Figures


class Variant(Struct, frozen=True, kw_only=True):
    """What is measured under a name; `run` takes the round's number."""

    name: str
    run: Callable[[int], Figures]


class Row(Struct, frozen=True, kw_only=True):
    """A case's medians; `cpu`, `mongod_cpu` and `rate` are ratios to the first case's.

    `rate_per_s`: messages a second. Per 1,000 messages `aborted_per_1000`: transactions that did not commit, and
    `pages_read_per_1000`: pages that mongod had to read into its cache.
    """

    case: str
    cpu_s_per_1000: float
    cpu: float
    mongod_cpu_s_per_1000: float
    mongod_cpu: float
    rate_per_s: float
    rate: float
    aborted_per_1000: float
    pages_read_per_1000: float
    messages_a_transaction: float | None


def compare(cases: Sequence[Variant], *, rounds: int, seed: int, done: Callable[[], None] = lambda: None) -> list[Row]:
    """All rounds, the cases in another order each; `done` is called after every run. Raises RunFailed."""
    found: dict[str, list[tuple[Figures, Figures]]] = {case.name: [] for case in cases}
    for number in range(rounds):
        order = list(cases)
        Random(f"{seed}/{number}").shuffle(order)
        figures: dict[str, Figures] = {}
        for case in order:
            figures[case.name] = case.run(number)
            done()
        for name, each in figures.items():
            found[name].append((each, figures[cases[0].name]))
    return [_row(name, pairs) for name, pairs in found.items()]


def _row(name: str, pairs: Sequence[tuple[Figures, Figures]]) -> Row:
    committed = sum(each.store.committed for each, _ in pairs)
    return Row(
        case=name,
        cpu_s_per_1000=median(each.cpu_s_per_1000 for each, _ in pairs),
        cpu=median(each.cpu_s_per_1000 / first.cpu_s_per_1000 for each, first in pairs),
        mongod_cpu_s_per_1000=median(each.mongod_cpu_s_per_1000 for each, _ in pairs),
        mongod_cpu=median(each.mongod_cpu_s_per_1000 / first.mongod_cpu_s_per_1000 for each, first in pairs),
        rate_per_s=median(each.messages / each.wall_s for each, _ in pairs),
        rate=median(first.wall_s_per_1000 / each.wall_s_per_1000 for each, first in pairs),
        aborted_per_1000=sum(each.store.aborted / each.messages * 1_000 for each, _ in pairs) / len(pairs),
        pages_read_per_1000=sum(each.store.pages_read / each.messages * 1_000 for each, _ in pairs) / len(pairs),
        messages_a_transaction=sum(each.messages for each, _ in pairs) / committed if committed else None,
    )
