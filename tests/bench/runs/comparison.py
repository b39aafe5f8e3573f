"""Variants measured in turn, each as ratio to the first variant of the same round.

Ratios are made within a round because the machine's speed varies from minute to minute; a row shows their median.
"""

from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from statistics import median

from msgspec import Struct

from tests.bench.runs.fleet import Figures
from tests.bench.runs.machine_speed import MachineSpeed


class Variant(Struct, frozen=True, kw_only=True):
    """A measured variant. `run` takes the number of the round."""

    name: str
    run: Callable[[int], Figures]


class VariantRow(Struct, frozen=True, kw_only=True):
    """The medians of a variant. `cpu`, `mongod_cpu` and `rate` are ratios to the first variant.

    `rate_per_s`: messages a second. `aborted_per_1000`: aborted transactions, and `pages_read_per_1000`: pages that
    mongod read into its cache, both per 1,000 messages. `calls_per_1000`: calls to SQS and SNS. `disturbed`: in so many
    of the `rounds` a core was slow beside the variant's run or the first variant's, however often repeated.
    """

    variant: str
    cpu_s_per_1000: float
    cpu: float
    mongod_cpu_s_per_1000: float
    mongod_cpu: float
    rate_per_s: float
    rate: float
    aborted_per_1000: float
    pages_read_per_1000: float
    calls_per_1000: float
    messages_a_transaction: float | None
    rounds: int
    disturbed: int


def compare(
    variants: Sequence[Variant],
    *,
    rounds: int,
    seed: int,
    speed: MachineSpeed,
    done: Callable[[], None] = lambda: None,
) -> list[VariantRow]:
    """Runs all rounds, each in a random order of the variants. Calls `done` after every run. Raises RunFailed.

    A disturbed run is repeated while the patience of `speed` lasts.
    """
    found: dict[str, list[tuple[Figures, Figures]]] = {variant.name: [] for variant in variants}
    for number in range(rounds):
        order = list(variants)
        Random(f"{seed}/{number}").shuffle(order)
        figures: dict[str, Figures] = {}
        for variant in order:
            figures[variant.name] = speed.undisturbed(partial(variant.run, number))
            done()
        for name, each in figures.items():
            found[name].append((each, figures[variants[0].name]))
    return [_row(name, pairs) for name, pairs in found.items()]


def _row(name: str, pairs: Sequence[tuple[Figures, Figures]]) -> VariantRow:
    committed = sum(each.store.committed for each, _ in pairs)
    return VariantRow(
        variant=name,
        cpu_s_per_1000=median(each.cpu_s_per_1000 for each, _ in pairs),
        cpu=median(each.cpu_s_per_1000 / first.cpu_s_per_1000 for each, first in pairs),
        mongod_cpu_s_per_1000=median(each.mongod_cpu_s_per_1000 for each, _ in pairs),
        mongod_cpu=median(each.mongod_cpu_s_per_1000 / first.mongod_cpu_s_per_1000 for each, first in pairs),
        rate_per_s=median(each.messages / each.wall_s for each, _ in pairs),
        rate=median(first.wall_s_per_1000 / each.wall_s_per_1000 for each, first in pairs),
        aborted_per_1000=sum(each.store.aborted / each.messages * 1_000 for each, _ in pairs) / len(pairs),
        pages_read_per_1000=sum(each.store.pages_read / each.messages * 1_000 for each, _ in pairs) / len(pairs),
        calls_per_1000=median(each.calls_per_1000 for each, _ in pairs),
        messages_a_transaction=sum(each.messages for each, _ in pairs) / committed if committed else None,
        rounds=len(pairs),
        disturbed=sum(each.disturbed or first.disturbed for each, first in pairs),
    )
