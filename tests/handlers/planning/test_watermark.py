"""The watermark ends a wait: the gap poll decides pairs whose events are lost (docs/rules.md, *Waiting, and the gap
poll*)."""

from datetime import timedelta
from typing import Any, Final

import pytest
from msgspec.structs import replace

from handlers.ports import CommitResult, Plan, Store
from sync.audit import AuditOutcome
from tests.handlers.owners import Owners, begun
from tests.handlers.small_ports import START
from tests.handlers.wire_events import conversation
from tests.handlers.world import LosingStore, World, code_of

LATER: Final = START + timedelta(days=30)


class TestThePoll:
    """The poll decides the pairs that wait since before the watermark: their events will not come any more."""

    async def lost(self, **options: Any) -> Owners:
        """The conversation's assignment had no event; the work-item's queue waits for revision 2."""
        owners = await begun(**options)
        owners.c(users=["u-1"])
        end = await owners.world.one(owners.w(knew=1, queue="q-1", status="queued"))
        assert code_of(end) == "AWAITING_EARLIER_EVENT"
        return owners

    async def test_a_pair_that_waits_since_before_the_watermark_is_decided_and_audited(self) -> None:
        owners = await self.lost()
        world = owners.world
        [polled] = await owners.poll()
        audit = polled.audit
        assert (audit.trigger, audit.event, audit.outcome) == ("gap", None, AuditOutcome.APPLIED)
        assert (audit.conversation_id, audit.work_item_id, audit.direction) == ("c-1", "w-1", "both")
        assert [reason.meta["rule"] for reason in audit.reasons] == ["B1", "A5"]
        assert (audit.conversation_rev, audit.work_item_rev) == (2, 2)
        assert audit.before == {"conversation": {"queue": {"id": None}}, "workItem": {"assignedTo": None}}
        assert (world.w().assigned_to, world.c().queue) == ("u-1", "q-1")
        assert [message["id"] for message in world.announced()] == [each.id for each in polled.announcements]
        state = world.store.state("c-1")
        assert (state.changed["assignee"], state.waiting) == (2, None)

    async def test_one_that_waits_since_the_watermark_or_later_is_left_alone(self) -> None:
        owners = await self.lost()
        world, before = owners.world, owners.world.stored()
        waiting = world.store.state("c-1").waiting
        assert waiting is not None
        # The clock does not matter: however long the wait, the queue may still hold its event.
        world.clock.at += timedelta(days=3)
        for early in (timedelta(), timedelta(milliseconds=1), timedelta(days=1)):
            assert (await world.handler.close_gaps(["c-1"], waiting.since - early)).pairs == ()
        assert world.stored() == before
        assert len((await world.handler.close_gaps(["c-1"], waiting.since + timedelta(milliseconds=1))).pairs) == 1

    async def test_one_that_does_not_wait_is_left_alone(self) -> None:
        owners = await begun()
        owners.c(users=["u-1"])
        before = owners.world.stored()
        assert await owners.poll() == []
        assert owners.world.stored() == before

    async def test_handling_an_event_closes_nothing_however_old_it_is(self) -> None:
        owners = await self.lost()
        owners.world.clock.at += timedelta(days=15)
        end = await owners.world.one(owners.c(preview="a"))
        assert code_of(end) == "AWAITING_EARLIER_EVENT"
        assert owners.world.announced() == []

    async def test_a_wait_that_ends_in_agreement_is_audited(self) -> None:
        owners = await self.lost()
        owners.c(queue="q-1", users=[])
        [polled] = await owners.poll()
        assert [reason.code for reason in polled.audit.reasons] == ["IN_SYNC"]
        assert polled.announcements == ()
        assert owners.world.store.state("c-1").waiting is None

    async def test_one_that_waits_anew_is_audited_too(self) -> None:
        """Its noted revisions were given up."""
        owners = await self.lost()
        owners.w(queue="q-2")
        [polled] = await owners.poll()
        assert (polled.audit.trigger, polled.audit.outcome) == ("gap", AuditOutcome.SKIPPED)
        assert [reason.code for reason in polled.audit.reasons] == ["AWAITING_EARLIER_EVENT"]
        waiting = owners.world.store.state("c-1").waiting
        assert waiting is not None
        assert waiting.work_item_rev == 3

    async def test_where_no_pair_is_left_nothing_waits_and_nothing_is_audited(self) -> None:
        owners = await self.lost()
        owners.c(status="done")
        owners.w(status="completed")
        assert await owners.poll() == []
        assert owners.world.store.state("c-1").waiting is None

    async def test_a_missing_conversation_is_not_audited(self) -> None:
        assert (await World().handler.close_gaps(["c-1"], LATER)).pairs == ()
        assert (await World().handler.close_gaps([], LATER)).pairs == ()

    async def test_one_that_meets_another_writer_is_left_to_the_next_time(self) -> None:
        def losing(inner: Store) -> Store:
            return LosingStore(inner, "c-1", times=0)

        owners = await self.lost(wrapped=losing)
        store = owners.world.outer
        assert isinstance(store, LosingStore)
        store.times = 1
        assert await owners.poll() == []
        assert owners.world.announced() == []
        assert len(await owners.poll()) == 1

    async def test_an_unreadable_one_is_audited_and_the_others_go_on(self) -> None:
        owners = await self.lost()
        world = owners.world
        spoilt = conversation(4, key="c-2")
        spoilt["attributes"]["status"] = "ajar"
        world.put(spoilt)
        # Only a pair that waits is read as far as its status.
        [plan] = [Plan(conversation_id="c-2", state=replace(world.store.state("c-1"), version=1, work_item=None))]
        assert await world.store.commit([plan]) == [CommitResult.COMMITTED]
        ends = (await world.handler.close_gaps(["c-2", "c-1"], LATER)).pairs
        assert {end.audit.conversation_id: end.audit.outcome for end in ends} == {
            "c-1": AuditOutcome.APPLIED,
            "c-2": AuditOutcome.FAILED,
        }


@pytest.mark.parametrize("late", [True, False], ids=["late", "never"])
async def test_an_event_of_a_write_that_the_poll_found_changes_nothing_more(late: bool) -> None:
    owners = await begun()
    world = owners.world
    unheard = owners.c(users=["u-1"])
    await world.one(owners.w(knew=1, queue="q-1", status="queued"))
    await owners.poll()
    written = world.c(), world.w()
    if late:
        assert code_of(await world.one(unheard)) in ("STALE_REV", "IN_SYNC")
    await owners.poll()
    assert (world.c(), world.w()) == written
