"""More runs of observed revisions than a document keeps: the lowest gap is closed, and the ending counts it
(docs/rules.md, *The sync state*)."""

from typing import Final

from handlers.outcome import HandledEvent
from sync.state.revision_runs import RUNS_MAX, contains
from tests.handlers.owners import Owners, begun
from tests.handlers.wire_events import Json
from tests.worker.stand_ins.telemetry_recorder import TelemetryRecorder
from worker.telemetry.audit_log import log_handled
from worker.telemetry.metrics import Metric

_LAST: Final = 2 * RUNS_MAX


async def every_other(owners: Owners, last: int) -> tuple[list[Json], list[Json]]:
    """The conversation's writes up to revision `last`: those that arrive, and those that are held up."""
    made = [owners.c(preview=str(rev)) for rev in range(2, last + 1)]
    return made[1::2], made[::2]


def given_up(ends: list[HandledEvent]) -> int:
    return sum(end.gaps_given_up for end in ends)


async def test_below_the_limit_every_gap_stays_open_and_no_assignment_is_lost() -> None:
    """139 writes in three seconds with 64 gaps at once, and the assignment in one of them."""
    owners = await begun()
    made = [owners.c(preview=str(rev)) for rev in range(2, 70)]
    assigned = owners.c(users=["u-1"])
    made += [owners.c(preview=str(rev)) for rev in range(71, 140)]
    ends = await owners.world.take(*made[1::2])
    assert given_up(ends) == 0
    await owners.world.one(assigned)
    await owners.world.take(*made[::2])
    assert owners.world.store.state("c-1").conversation_observed == ((1, 139),)
    assert owners.world.w().assigned_to == "u-1"


async def test_at_the_limit_none_is_given_up_and_beyond_it_one_a_revision() -> None:
    owners = await begun()
    arrived, _ = await every_other(owners, _LAST + 3)
    ends = await owners.world.take(*arrived[: RUNS_MAX - 1])
    assert given_up(ends) == 0
    assert len(owners.world.store.state("c-1").conversation_observed) == RUNS_MAX
    for event in arrived[RUNS_MAX - 1 : RUNS_MAX + 1]:
        ends = await owners.world.take(event)
        assert given_up(ends) == 1
    state = owners.world.store.state("c-1")
    assert len(state.conversation_observed) == RUNS_MAX
    # The lowest gaps are closed: their revisions count as observed.
    assert contains(state.conversation_observed, 2)
    assert contains(state.conversation_observed, 4)
    assert not contains(state.conversation_observed, 6)


async def test_a_batch_counts_all_of_its_own_on_one_ending() -> None:
    owners = await begun()
    arrived, _ = await every_other(owners, _LAST + 5)
    ends = await owners.world.take(*arrived)
    assert given_up(ends) == len(arrived) - (RUNS_MAX - 1)
    recorder = TelemetryRecorder()
    log_handled(ends, recorder.telemetry)
    assert recorder.counts[Metric.GAP_GIVEN_UP.value] == given_up(ends)


async def test_a_late_event_of_a_gap_given_up_is_stale() -> None:
    owners = await begun()
    arrived, held_up = await every_other(owners, _LAST + 3)
    await owners.world.take(*arrived)
    before = owners.world.stored()
    await owners.world.one(held_up[0])
    assert owners.world.stored() == before
