"""The round trips of policy `causal` on MongoDB: one read and one write of sync states a batch, of any size.

A round of the gap poll costs as much as a batch.
"""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from commands.context import RoutingQueue
from commands.session import Session
from handlers.batch_handler import BatchHandler
from handlers.documents.document import document_from_snapshot
from handlers.events.event import Event
from handlers.options import Options
from sync.audit import AuditOutcome
from tests.handlers.small_ports import FixedChance, HandClock
from tests.handlers.wire_events import ORG, Json, changes, conversation, event, read, work_item
from tests.worker.store.store_bench import MongoBench
from worker.mongo.adapters.sync_states_by_age import MongoSyncStatesByAge
from worker.runtime.clock import ObjectIds

KEYS = pytest.mark.parametrize("pairs", [1, 40])


def _assigned(key: str, rev: int, user: str, **attributes: str) -> Json:
    said = changes({"assignedUsers": ([], [user])})
    return event(conversation(rev, key=key, users=(user,), queue="q-1", **attributes), changes=said)


async def _stored(mongo: MongoBench, keys: Sequence[str]) -> None:
    """Pairs without a sync state, as their owners have written them."""
    items = [work_item(1, key=f"w-{key}", of=key, queue="q-1", status="queued") for key in keys]
    await mongo.put(
        conversations=[document_from_snapshot(conversation(1, key=key, queue="q-1"), org=ORG, rev=1) for key in keys],
        work_items=[document_from_snapshot(item, org=ORG, rev=1) for item in items],
        queues=[RoutingQueue(id="q-1")],
        sessions=[Session(id=f"s-{n}", user=f"u-{n}", capacity=1_000) for n in (1, 2)],
    )
    mongo.commands.take()


def _handler(mongo: MongoBench, clock: HandClock) -> BatchHandler:
    return BatchHandler(store=mongo.store, clock=clock, ids=ObjectIds(), chance=FixedChance(), options=Options())


async def _applied(handler: BatchHandler, events: Sequence[Event]) -> None:
    ends = await handler.handle(events)
    assert {end.audit.outcome for end in ends} == {AuditOutcome.APPLIED}


@KEYS
async def test_a_batch_costs_the_same_for_any_number_of_conversations(mongo: MongoBench, pairs: int) -> None:
    keys = [f"c-{number}" for number in range(pairs)]
    await _stored(mongo, keys)
    handler = _handler(mongo, HandClock())

    await _applied(handler, [read(_assigned(key, 2, "u-1")) for key in keys])
    # Conversations, states, work-items; then queues, sessions.
    reads = ["find"] * 5
    # Outbox, revisions, new states; work-items, conversations, sessions; commit.
    assert mongo.commands.take() == [*reads, *["insert"] * 3, *["update"] * 3, "commitTransaction"]

    await _applied(handler, [read(_assigned(key, 3, "u-2")) for key in keys])
    # Now the states are changed and not inserted; the timings of the pass stay.
    assert mongo.commands.take() == [*reads, "insert", *["update"] * 4, "commitTransaction"]
    assert mongo.watch.aborts == []


@KEYS
async def test_queues_and_sessions_are_not_read_if_queue_and_agent_stay(mongo: MongoBench, pairs: int) -> None:
    keys = [f"c-{number}" for number in range(pairs)]
    await _stored(mongo, keys)
    handler = _handler(mongo, HandClock())
    said = changes({"preview": ("before", "after")})
    await handler.handle([read(event(conversation(2, key=key, queue="q-1"), changes=said)) for key in keys])
    # Then the new states, and the conversations' snapshots.
    assert mongo.commands.take() == [*["find"] * 3, "insert", "update", "commitTransaction"]


@pytest.mark.thorough
@KEYS
async def test_a_round_of_the_poll_costs_the_same_for_any_number_of_waiting_pairs(
    mongo: MongoBench, pairs: int
) -> None:
    keys = [f"c-{number}" for number in range(pairs)]
    await _stored(mongo, keys)
    clock = HandClock()
    handler, waiting = _handler(mongo, clock), MongoSyncStatesByAge(mongo.client, mongo.database.name, deadline_s=5)
    now = clock.now().isoformat()
    for key in keys:
        # The event of the work-item's second revision never comes.
        said = changes({"priority": (1, 2)})
        item = work_item(3, key=f"w-{key}", of=key, queue="q-1", status="queued", updatedAt=now)
        await handler.handle([read(event(item, changes=said)), read(_assigned(key, 2, "u-1", updatedAt=now))])
    clock.at += timedelta(seconds=61)
    mongo.commands.take()

    assert (await waiting.waiting_backlog()).count == pairs
    found = await waiting.waiting_since_before(clock.now() - timedelta(seconds=60), 100)
    assert sorted(found) == sorted(keys)
    assert mongo.commands.take() == ["aggregate", "find"]
    decided = (await handler.close_gaps(found, clock.now() - timedelta(seconds=60))).pairs
    assert {polled.audit.outcome for polled in decided} == {AuditOutcome.APPLIED}
    # The conversations stay as they are.
    assert mongo.commands.take() == [*["find"] * 5, *["insert"] * 2, *["update"] * 3, "commitTransaction"]
    assert (await waiting.waiting_backlog()).count == 0
