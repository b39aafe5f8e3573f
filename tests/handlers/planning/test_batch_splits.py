"""The events of a conversation are decided together or one by one to the same end (docs/rules.md, *Policy `causal`*).

Wrap-up and the removal of a conversation's queue are left out: table A is asked about the work-item as table B leaves
it, and a rule of A that a single event would have fired is then not asked.
"""

import asyncio
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from sync.state.agreement import agreed_fields
from tests.handlers.owners import Owners, begun
from tests.handlers.wire_events import Json
from tests.handlers.world import World

Write = tuple[str, dict[str, Any]]
"""The side and the values of an outside write; `knew` for how many revisions back a work-item's write knew."""
Batches = list[list[int]]

_USERS: Final = st.sampled_from(["u-1", "u-2"])
_QUEUES: Final = st.sampled_from(["q-1", "q-2"])
conversation_writes = st.one_of(
    st.fixed_dictionaries({"users": st.lists(_USERS, max_size=1)}),
    st.fixed_dictionaries({"queue": _QUEUES}),
    st.fixed_dictionaries({"status": st.sampled_from(["open", "snoozed", "done"])}),
    st.fixed_dictionaries({"ended": st.booleans()}),
    st.fixed_dictionaries({"preview": st.sampled_from(["a", "b"])}),
)
work_item_writes = st.one_of(
    st.fixed_dictionaries({"user": _USERS, "status": st.just("assigned")}),
    st.fixed_dictionaries({"user": st.none(), "queue": _QUEUES, "status": st.just("queued")}),
    st.fixed_dictionaries({"status": st.just("completed")}),
    st.fixed_dictionaries({"priority": st.integers(min_value=1, max_value=3)}),
)
back = st.fixed_dictionaries({"back": st.none() | st.integers(min_value=0, max_value=2)})
writes = st.lists(
    st.one_of(
        conversation_writes.map(lambda values: ("conversation", values)),
        st.tuples(work_item_writes, back).map(lambda both: ("work-item", {**both[0], **both[1]})),
    ),
    min_size=1,
    max_size=4,
)


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[list[Write], Batches, Batches]:
    """The writes, and their events in one order, cut into batches in two ways."""
    made: list[Write] = draw(writes)
    order = draw(st.permutations(range(len(made))))
    cuts = [sorted(draw(st.sets(st.integers(min_value=1, max_value=len(made))))) for _ in range(2)]
    one, other = ([order[low:high] for low, high in zip([0, *cut], [*cut, len(made)], strict=True)] for cut in cuts)
    return made, one, other


def written(owners: Owners, made: list[Write]) -> list[Json]:
    """The events of the writes, each stored by its owner."""
    events = []
    for side, values in made:
        if side == "conversation":
            events.append(owners.c(**values))
            continue
        given = dict(values)
        steps = given.pop("back")
        knew = None if steps is None else max(owners.world.c().rev - steps, 1)
        events.append(owners.w(knew=knew, **given))
    return events


async def end_of(made: list[Write], batches: Batches) -> tuple[object, ...]:
    owners = await begun({"users": ["u-1"], "queue": "q-1"}, {"user": "u-1", "queue": "q-1", "status": "assigned"})
    events = written(owners, made)
    for batch in batches:
        await owners.world.take(*(events[number] for number in batch))
    while owners.world.store.state("c-1").waiting is not None:
        await owners.poll()
    return end(owners.world)


def end(world: World) -> tuple[object, ...]:
    c, w = world.c(), world.w()
    return (
        (c.status, c.assigned_users, c.queue, c.ended),
        (w.status, w.assigned_to, w.queue, w.paused),
        sorted(agreed_fields(c, w)),
    )


@given(delivery=deliveries())
@settings(max_examples=60, deadline=None)
def test_the_end_is_the_same_however_the_deliveries_are_cut_into_batches(
    delivery: tuple[list[Write], Batches, Batches],
) -> None:
    made, one, other = delivery
    assert asyncio.run(end_of(made, one)) == asyncio.run(end_of(made, other))
