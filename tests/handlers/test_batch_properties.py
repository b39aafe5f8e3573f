"""Properties of random events of several conversations, in random batches, with duplicates."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.events.event import Event
from handlers.events.parser import read_message
from handlers.options import PolicyInUse
from handlers.outcome import Done, HandledEvent, Retry
from sync.conversation import ConversationStatus
from tests.handlers.events.test_parser_properties import mutated
from tests.handlers.wire_events import Json, conversation, event, read, text, work_item
from tests.handlers.world import USERS, World
from worker.store.documents import Collection

PAIRS: Final = 3
WRITES_MAX: Final = 12
HOW: Final = settings(max_examples=30, deadline=None)

users = st.sampled_from([(), ("u-1",), ("u-2",), ("u-2", "u-1"), ("u-9",)])
queues = st.sampled_from([None, "q-1", "q-2"])
policies = st.sampled_from(PolicyInUse)
sync_of_theirs = st.sampled_from([False, False, False, True])


@st.composite
def conversation_events(draw: st.DrawFn, pair: int, at: int) -> Json:
    rev = draw(st.integers(min_value=1, max_value=9))
    data = conversation(
        rev,
        key=f"c-{pair}",
        users=draw(users),
        queue=draw(queues),
        status=draw(st.sampled_from([*ConversationStatus])).value,
        ended=draw(st.booleans()),
        deleted=draw(st.sampled_from([False, False, False, False, True])),
    )
    return event(data, draw(st.sampled_from([None, None, None, "delete"])), at=at, isSync=draw(sync_of_theirs))


@st.composite
def work_item_events(draw: st.DrawFn, pair: int, at: int) -> Json:
    number = draw(st.sampled_from([1, 1, 1, 2]))
    status = draw(st.sampled_from(["ivr", "queued", "routed", "assigned", "wrap-up", "completed"]))
    user = draw(st.sampled_from([None, *USERS]))
    # A session has room for one pending item, so each pair is offered on a session of its own.
    offered_on = f"s-{pair}" if pair <= len(USERS) else "s-gone"
    data = work_item(
        draw(st.integers(min_value=1, max_value=9)),
        key=f"w-{pair}-{number}",
        of=f"c-{pair}",
        number=number,
        status=status,
        user=user,
        queue=draw(queues),
        session=offered_on if status == "routed" else draw(st.sampled_from([None, "s-1", "s-2", "s-gone"])),
        paused=draw(st.booleans()),
        itemSize=draw(st.sampled_from([None, 1, 3])),
    )
    return event(data, at=at, isSync=draw(sync_of_theirs))


@st.composite
def batches(draw: st.DrawFn) -> list[list[Json]]:
    events: list[Json] = []
    for at in range(draw(st.integers(min_value=1, max_value=WRITES_MAX))):
        pair = draw(st.integers(min_value=1, max_value=PAIRS))
        events.append(draw(st.one_of(conversation_events(pair, at), work_item_events(pair, at))))
    events += draw(st.lists(st.sampled_from(events), max_size=5))
    events = draw(st.permutations(events))
    cuts = sorted(draw(st.sets(st.integers(min_value=1, max_value=len(events)), max_size=4)))
    return [
        batch
        for batch in (events[low:high] for low, high in zip([0, *cuts], [*cuts, len(events)], strict=True))
        if batch
    ]


def revisions(world: World) -> dict[str, int]:
    documents = (*world.store.documents(Collection.CONVERSATIONS), *world.store.documents(Collection.WORK_ITEMS))
    return {document["_id"]: document["rev"] for document in documents}


def never_down(before: Mapping[str, int], after: Mapping[str, int]) -> bool:
    return all(after.get(key, 0) >= rev for key, rev in before.items())


async def run(world: World, taken: list[list[Json]]) -> list[HandledEvent]:
    """Handle all batches, and check the world after each."""
    ends: list[HandledEvent] = []
    for batch in taken:
        before = revisions(world)
        ends += await world.take(*batch)
        assert never_down(before, revisions(world))
        assert world.places() == {place for place in world.places_said() if place[1].session != "s-gone"}
    return ends


def documents_announced(world: World) -> Counter[tuple[str, int]]:
    bodies = [message["body"] for message in world.announced()]
    return Counter((body["data"]["id"], body["data"]["attributes"]["rev"]) for body in bodies)


@given(taken=batches(), policy=policies)
@HOW
def test_any_events_in_any_batches(taken: list[list[Json]], policy: PolicyInUse) -> None:
    world = World(policy=policy)
    ends = asyncio.run(run(world, taken))

    messages = world.announced()
    ids = [message["id"] for message in messages] + [message["body"]["id"] for message in messages]
    assert len(set(ids)) == len(ids)
    assert set(documents_announced(world).values()) <= {1}

    # Each write in the audit records is announced once.
    said: Counter[tuple[str, int]] = Counter()
    for end in ends:
        audit = end.audit
        assert isinstance(end.outcome, Done | Retry)
        for key, written in (
            (audit.conversation_id, audit.updated_conversation),
            (audit.work_item_id, audit.updated_work_item),
        ):
            if written is not None:
                assert key is not None
                said[key, written["rev"] + 1] += 1
    assert said == documents_announced(world)

    # A conversation has at most one active work-item, and the sync state is written with the documents.
    active = Counter(each["conversationId"] for each in world.store.documents(Collection.WORK_ITEMS) if each["active"])
    assert set(active.values()) <= {1}
    for document in world.store.documents(Collection.CONVERSATIONS):
        assert world.store.state(document["_id"]).version > 0
    # A deleted conversation stays deleted, unless a later revision comes.
    for document in world.store.documents(Collection.CONVERSATIONS):
        assert document["rev"] >= (world.store.state(document["_id"]).deleted_rev or 0)


@given(taken=batches(), policy=policies)
@settings(HOW, max_examples=12)
def test_repeated_deliveries_settle(taken: list[list[Json]], policy: PolicyInUse) -> None:
    """The same events delivered repeatedly cause no more writes: each write raises a revision, so they become stale."""
    world = World(policy=policy)

    async def until_quiet() -> int:
        for again in range(12):
            before = world.stored()
            await run(world, taken)
            if world.stored() == before:
                return again
        return 99

    assert asyncio.run(until_quiet()) < 99


@given(line=mutated(), policy=policies)
@settings(max_examples=30, deadline=None)
def test_every_event_that_can_be_read_can_be_handled(line: Json, policy: PolicyInUse) -> None:
    """An event from outside never raises: other events share its batch."""
    result = read_message(text(line))
    if not isinstance(result, Event):
        return
    beside = read(event(conversation(2, key="beside")))

    async def handled() -> list[HandledEvent]:
        world = World(policy=policy, own_syncs_stored=False)
        ends = await world.handle([result, beside])
        key = result.conversation_id
        other: list[Any] = [
            event(conversation(2**40, key=key, users=("u-1",), queue="q-7", status="snoozed")),
            event(work_item(2**40, key="other", of=key, user="u-2", status="assigned", number=2**20)),
        ]
        return [*ends, *(await world.take(*other)), *(await world.handle([result]))]

    ends = asyncio.run(handled())
    assert isinstance(ends[1].outcome, Done)
