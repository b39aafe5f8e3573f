"""The exhaustive check and its table: `make exhaustive WRITES=2`.

It searches every interleaving of outside writes, deliveries and a world's other steps, on the worker's own handlers and
in-memory store, and checks the contract in each state without undelivered events. Exit status 1 where policy `causal`
breaks the contract.
"""

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct
from rich.console import Console
from rich.table import Table

from handlers.options import GAP_SECONDS, Options, PolicyInUse
from tests.causality.outside import CONVERSATION_WRITES, WORK_ITEM_WRITES, ChangesForm
from tests.causality.search.batches import Partitions, compare_partitions
from tests.causality.search.budget import Budget
from tests.causality.search.depth_first import Found, search
from tests.causality.search.starts import PAIRS, Age, SearchStart
from worker.store.memory.queue_rules import MemoryQueueRules

FEW_CONVERSATION_WRITES: Final = ("assign u2", "un-assign", "queue q2", "no queue", "done", "end", "snooze", "delete")
FEW_WORK_ITEM_WRITES: Final = ("assign u2", "un-assign", "queue q2", "no queue", "complete", "wrap up")


class SearchWorld(Struct, frozen=True, kw_only=True):
    """One row of the table. `known`: the start's revisions are observed. Kinds of writes: all where none is named.
    `routes`: the worker creates work-items, un-assigns and queues by a rule; no agent has a session."""

    name: str
    policy: PolicyInUse = PolicyInUse.CAUSAL
    known: bool = True
    age: Age = "young"
    services_ahead_s: float = 0.0
    form: ChangesForm = "those that changed"
    extras: tuple[tuple[str, Any], ...] = ()
    conversation_kinds: tuple[str, ...] = ()
    work_item_kinds: tuple[str, ...] = ()
    routes: bool = False

    def budget(self, writes: int) -> Budget:
        """The steps that the world may take. More than two writes are of fewer kinds: it bounds the states."""
        of_conversation = FEW_CONVERSATION_WRITES if writes > 2 else tuple(CONVERSATION_WRITES)
        of_item = FEW_WORK_ITEM_WRITES if writes > 2 else tuple(WORK_ITEM_WRITES)
        return Budget(
            writes=writes,
            conversation_kinds=self.conversation_kinds or of_conversation,
            work_item_kinds=self.work_item_kinds or of_item,
            **dict(self.extras),
        )

    @property
    def options(self) -> Options:
        """The worker's options."""
        routes = self.routes
        return Options(policy=self.policy, create_work_items=routes, unassign_on_unavailable=routes, queue_rules=routes)

    @property
    def may_wait(self) -> bool:
        """True where an event may never come or not tell enough, so that the gap poll ends the waiting."""
        return not self.known or self.form == "none" or "losses" in dict(self.extras)


_BEHIND_S: Final = -9 * GAP_SECONDS
"""The services' clocks may be so far behind (docs/rules.md, *The contract*)."""
_AHEAD_S: Final = 7_200.0

_DEFAULT_QUEUE: Final = MemoryQueueRules(queues=[{"_id": "q3", "org": "org", "default": True}])

WORLDS: Final = (
    SearchWorld(name="observed from the start"),
    SearchWorld(name="nothing observed, written lately", known=False),
    SearchWorld(name="nothing observed, written long ago", known=False, age="old"),
    SearchWorld(name="nothing observed, only C written long ago", known=False, age="old conversation"),
    SearchWorld(name="nothing observed, only W written long ago", known=False, age="old work-item"),
    SearchWorld(name="silent writes", extras=(("silent", True),)),
    SearchWorld(name="silent writes, nothing observed, lately", known=False, extras=(("silent", True),)),
    SearchWorld(name="silent writes, nothing observed, long ago", known=False, age="old", extras=(("silent", True),)),
    SearchWorld(name="one event delivered again", extras=(("repeats", 1),)),
    SearchWorld(name="two workers on one pair", extras=(("meetings", 1),)),
    SearchWorld(name="one event lost", extras=(("losses", 1),)),
    SearchWorld(name="nothing observed, delivered again", known=False, extras=(("repeats", 1),)),
    SearchWorld(name="nothing observed, two workers", known=False, extras=(("meetings", 1),)),
    SearchWorld(name="nothing observed, one event lost", known=False, extras=(("losses", 1),)),
    SearchWorld(name="services' clocks behind", known=False, age="old", services_ahead_s=_BEHIND_S),
    SearchWorld(name="services' clocks ahead", known=False, age="old", services_ahead_s=_AHEAD_S),
    SearchWorld(name="services' clocks an hour behind", services_ahead_s=-3_600.0),
    SearchWorld(name="a sync of another worker's", extras=(("foreign", 1),)),
    SearchWorld(name="updates without changes", form="none"),
    SearchWorld(name="updates without changes, nothing observed", known=False, form="none"),
    SearchWorld(name="unchanged relationships in changes", form="unchanged relationships too"),
    SearchWorld(name="two events in one batch", extras=(("batches", 1),)),
    SearchWorld(name="nothing observed, two in one batch", known=False, extras=(("batches", 1),)),
    SearchWorld(name="the conversation is removed", extras=(("removals", 1),)),
    SearchWorld(name="nothing observed, removed", known=False, extras=(("removals", 1),)),
    SearchWorld(name="routing", routes=True),
    SearchWorld(name="routing, nothing observed", known=False, routes=True),
    SearchWorld(name="routing, two workers", routes=True, extras=(("meetings", 1),)),
    SearchWorld(name="routing, delivered again", routes=True, extras=(("repeats", 1),)),
    SearchWorld(name="routing, one event lost", routes=True, extras=(("losses", 1),)),
    SearchWorld(name="observed from the start", policy=PolicyInUse.LEGACY),
)


def look(world: SearchWorld, pair: str, writes: int, *, to_the_first: bool = False) -> Found:
    """Search one world from one pair."""
    start = SearchStart(
        pair=pair,
        observed=world.known,
        age=world.age,
        services_ahead_s=world.services_ahead_s,
        form=world.form,
        queue_rules=_DEFAULT_QUEUE if world.routes else None,
    )
    first = start.node(options=world.options, budget=world.budget(writes))
    # Under `legacy` no field waits and no poll runs.
    may_wait = world.may_wait or world.policy is PolicyInUse.LEGACY
    return search([first], may_wait=may_wait, to_the_first=to_the_first)


def main(arguments: Sequence[str]) -> int:
    """Search all worlds; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--writes", type=int, default=2, help="outside writes at most (default 2)")
    parser.add_argument("--pairs", nargs="+", choices=PAIRS, default=list(PAIRS), help="starting pairs (default all)")
    parser.add_argument("--worlds", nargs="+", type=int, default=range(len(WORLDS)), help="rows by number, from 0")
    parser.add_argument("--batches", action="store_true", help="also compare batches of the events of two writes")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    asked = parser.parse_args(arguments)
    began = time.monotonic()
    tasks = [(number, pair, asked.writes) for number in asked.worlds for pair in asked.pairs]
    found = {number: Found() for number in asked.worlds}
    console, progress = Console(width=100), Console(stderr=True)
    in_batches = Partitions()
    with multiprocessing.get_context("spawn").Pool(asked.processes) as pool:
        for turn, (number, one) in enumerate(pool.imap_unordered(_task, tasks), start=1):
            found[number].add(one)
            if progress.is_terminal:
                progress.print(f"{turn} of {len(tasks)} searches, {time.monotonic() - began:.0f} s", end="\r")
        for each in pool.imap_unordered(_in_batches, asked.pairs if asked.batches else ()):
            in_batches.add(each)
    console.print(_table(found, asked.writes))
    for number, one in found.items():
        if one.bad and WORLDS[number].policy is PolicyInUse.CAUSAL:
            for steps, said in one.examples:
                console.print(f"\n[{number}] " + "\n    ".join((*steps, f"→ {said}")), markup=False)
    if asked.batches:
        console.print(f"{in_batches.partitions:,} partitions into batches, {in_batches.bad:,} with an end of their own")
        for told in in_batches.examples[:5]:
            console.print(f"\n{told}", markup=False)
    console.print(f"{sum(one.states for one in found.values()):,} states in {time.monotonic() - began:.0f} s")
    broken = any(one.bad for number, one in found.items() if WORLDS[number].policy is PolicyInUse.CAUSAL)
    return int(broken or in_batches.bad > 0)


def _task(task: tuple[int, str, int]) -> tuple[int, Found]:
    number, pair, writes = task
    return number, look(WORLDS[number], pair, writes)


def _in_batches(pair: str) -> Partitions:
    return compare_partitions(
        SearchStart(pair=pair).node(options=Options(), budget=SearchWorld(name="batches").budget(2))
    )


def _table(found: dict[int, Found], writes: int) -> Table:
    table = Table(title=f"up to {writes} outside writes, in every order, from {len(PAIRS)} pairs")
    for name in ("policy", "world", "writes", "states", "end states", "in violation"):
        table.add_column(name, justify="left" if name in ("policy", "world") else "right")
    for number, one in found.items():
        world = WORLDS[number]
        row = (world.policy.value, world.name, str(world.budget(writes).writes))
        table.add_row(*row, f"{one.states:,}", f"{one.ends:,}", f"{one.bad:,}")
    return table


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
