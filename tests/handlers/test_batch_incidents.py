"""The captured incidents under policy `legacy`: in published order, shuffled, and late; its writes, right or wrong."""

from itertools import permutations

import orjson
import pytest

from handlers.events.event import Event
from handlers.options import PolicyInUse
from handlers.outcome import Done
from sync.state.revision_runs import contains
from tests.handlers.wire_events import CAPTURED, LOST_ASSIGNMENT, UNASSIGN_WITHOUT_QUEUE, Json, captured, read
from tests.handlers.world import World, code_of

CONVERSATION_2022, ITEM_2022 = "621fc1d36a39b4aa389cb72b", "621fc1d5cb4ca800935aa935"
AGENT_2022, QUEUE_2022 = "61a6a83fdf1e2d21501a77c1", "5dea5f45c6a646001a621475"
CONVERSATION_2021, ITEM_2021 = "60277f53d72347298d9446cb", "60277f56264a9600131673d4"
AGENT_2021, QUEUE_2021 = "5f7d064afcc10579957f9217", "5f43ed5c06d0c00019b37463"


def events(incident: str) -> list[Event]:
    return [read(line) for line in captured(incident)]


def outside(incident: str) -> list[Event]:
    """The incident's events without the predecessor's syncs."""
    return [event for event in events(incident) if not event.is_sync]


def recorded_audit() -> Json:
    audit: Json = orjson.loads((CAPTURED / LOST_ASSIGNMENT / "recorded-audit.ndjson").read_bytes())
    return audit


@pytest.mark.parametrize("together", [True, False], ids=["one-batch", "one-by-one"])
class TestInPublishedOrder:
    async def test_2021_the_un_assignment_queues_the_work_item_again(self, together: bool) -> None:
        world = World(policy=PolicyInUse.LEGACY)
        batch = events(UNASSIGN_WITHOUT_QUEUE)
        ends = await world.handle(batch) if together else [(await world.handle([each]))[0] for each in batch]
        assert [code_of(end) for end in ends] == [
            "NO_CONVERSATION", "NO_CONVERSATION", "NO_CONVERSATION", "IS_SYNC", "IS_SYNC", "APPLIED"
        ]  # fmt: skip
        assert ends[5].audit.updated_work_item == {"assignedTo": None, "queue": {"id": QUEUE_2021}, "rev": 5}
        assert [reason.meta["rule"] for reason in ends[5].audit.reasons] == ["B3", "B8"]
        item = world.w(ITEM_2021)
        assert (item.rev, item.status, item.queue, item.assigned_to, item.queued_count) == (
            6,
            "queued",
            QUEUE_2021,
            None,
            3,
        )
        assert world.c(CONVERSATION_2021).rev == 19
        [message] = world.announced()
        assert message["dd"]["trace_id"] == "5482557376363344829"

    async def test_2022_the_workflows_assignment_reaches_the_work_item(self, together: bool) -> None:
        world = World(policy=PolicyInUse.LEGACY)
        batch = outside(LOST_ASSIGNMENT)
        ends = await world.handle(batch) if together else [(await world.handle([each]))[0] for each in batch]
        assert [code_of(end) for end in ends] == ["NO_CONVERSATION", "NO_CONVERSATION", "APPLIED"]
        assert ends[2].audit.updated_work_item == {"assignedTo": AGENT_2022, "rev": 2}
        assert world.c(CONVERSATION_2022).assigned_users == (AGENT_2022,)
        assert (world.w(ITEM_2022).status, world.w(ITEM_2022).assigned_to) == ("assigned", AGENT_2022)

    async def test_2022_with_the_predecessors_sync_it_is_gone_from_the_conversation(self, together: bool) -> None:
        world = World(policy=PolicyInUse.LEGACY)
        batch = events(LOST_ASSIGNMENT)
        ends = await world.handle(batch) if together else [(await world.handle([each]))[0] for each in batch]
        assert code_of(ends[3]) == "IS_SYNC"
        assert world.c(CONVERSATION_2022).assigned_users == ()
        assert world.w(ITEM_2022).assigned_to == AGENT_2022


@pytest.mark.parametrize("stored", [True, False], ids=["stored-by-their-owners", "from-events-alone"])
async def test_2022_the_lost_update_when_the_work_items_event_comes_late(stored: bool) -> None:
    """The reason for policy `causal`. The router queued the work-item knowing revision 4 of the conversation. A
    workflow assigned the conversation at revision 6. Then the work-item's event is handled: `legacy` checks revision 6,
    which it has just read, so its write succeeds. The assignment is lost, and its own event is stale when it comes. The
    audit log of production holds this same write."""
    _, queued, assigned = outside(LOST_ASSIGNMENT)
    world = World(policy=PolicyInUse.LEGACY)
    if stored:
        world.put(dict(assigned.data), dict(queued.data))
    else:
        await world.handle([assigned])
    [end] = await world.handle([queued])
    assert queued.known_conversation_rev == 4
    assert end.audit.updated_conversation == recorded_audit()["updatedConversation"] == {"assignedUsers": [], "rev": 6}
    assert [reason.meta["rule"] for reason in end.audit.reasons] == ["A3"]
    [late] = await world.handle([assigned])
    assert code_of(late) == "STALE_REV"
    assert world.c(CONVERSATION_2022).assigned_users == ()
    assert world.w(ITEM_2022).assigned_to is None


async def test_2022_the_end_state_of_each_order_of_delivery() -> None:
    """The three outside events, one by one from an empty store: the end state depends on the order: the flaw."""
    ends: dict[tuple[int, ...], tuple[tuple[str, ...], str | None]] = {}
    for order in permutations(range(3)):
        world = World(policy=PolicyInUse.LEGACY)
        for number in order:
            await world.handle([outside(LOST_ASSIGNMENT)[number]])
        ends[order] = (world.c(CONVERSATION_2022).assigned_users, world.w(ITEM_2022).assigned_to)
    kept, lost = ((AGENT_2022,), AGENT_2022), ((), None)
    assert ends == {
        (0, 1, 2): kept,
        (1, 0, 2): kept,
        (1, 2, 0): kept,
        (0, 2, 1): kept,
        (2, 0, 1): lost,
        (2, 1, 0): lost,
    }


@pytest.mark.parametrize("incident", [LOST_ASSIGNMENT, UNASSIGN_WITHOUT_QUEUE])
async def test_shuffled_within_one_batch_nothing_changes(incident: str) -> None:
    batch = events(incident)
    straight = World(policy=PolicyInUse.LEGACY)
    await straight.handle(batch)
    orders = list(permutations(batch))
    for order in orders[:: max(len(orders) // 24, 1)]:
        world = World(policy=PolicyInUse.LEGACY)
        await world.handle(order)
        assert world.stored() == straight.stored()


@pytest.mark.parametrize("incident", [LOST_ASSIGNMENT, UNASSIGN_WITHOUT_QUEUE])
async def test_shuffled_one_by_one_every_event_ends_and_every_revision_is_observed(incident: str) -> None:
    orders = list(permutations(events(incident)))
    for order in orders[:: max(len(orders) // 24, 1)]:
        world = World(policy=PolicyInUse.LEGACY)
        for each in order:
            [end] = await world.handle([each])
            assert isinstance(end.outcome, Done)
        for each in order:
            state = world.store.state(each.conversation_id)
            runs = state.conversation_observed if each.side == "conversation" else state.work_item_observed
            assert contains(runs, each.rev)
        assert world.places() == world.places_said()
