"""Policy `causal` where a field waits for an event, and the events that release it (docs/rules.md, *Waiting,
and the gap poll*)."""

from datetime import timedelta
from typing import Any

import pytest

from handlers.outcome import HandledEvent
from handlers.ports import Store
from sync.audit import AuditOutcome
from tests.handlers.owners import Owners, begun
from tests.handlers.wire_events import Json, conversation
from tests.handlers.world import LosingStore, World, code_of


def rules(end: HandledEvent) -> list[Any]:
    return [reason.meta.get("rule") for reason in end.audit.reasons]


def suppressed(end: HandledEvent) -> dict[str, str]:
    return {str(each.field): each.code for each in end.audit.suppressed}


class TestAwaitingAnEarlierEvent:
    """Queue rules queue the work-item knowing revision 1; the event of the conversation's revision 2 is on its way."""

    async def waiting(self, **earlier: Any) -> tuple[Owners, Json]:
        """The event on its way, and the pair whose queue waits for it."""
        owners = await begun()
        on_its_way = owners.c(**earlier)
        end = await owners.world.one(owners.w(knew=1, queue="q-1", status="queued"))
        assert code_of(end) == "AWAITING_EARLIER_EVENT"
        assert (end.audit.outcome, suppressed(end)) == (AuditOutcome.SKIPPED, {"queue": "FIELD_WAITS"})
        assert owners.world.announced() == []
        assert owners.world.store.state("c-1").waiting_since == owners.world.clock.now()
        return owners, on_its_way

    async def test_the_earlier_event_decides_for_the_conversation_where_it_changed_the_field(self) -> None:
        owners, earlier = await self.waiting(queue="q-2")
        end = await owners.world.one(earlier)
        assert rules(end) == ["B8"]
        assert (owners.world.w().queue, owners.world.c().queue) == ("q-2", "q-2")
        assert owners.world.store.state("c-1").waiting_since is None

    async def test_and_for_the_work_item_where_it_did_not(self) -> None:
        owners, earlier = await self.waiting(preview="a")
        end = await owners.world.one(earlier)
        assert rules(end) == ["A5"]
        assert (owners.world.w().queue, owners.world.c().queue) == ("q-1", "q-1")
        assert owners.world.store.state("c-1").waiting_since is None

    async def test_it_waits_since_the_first_time(self) -> None:
        owners, _ = await self.waiting(preview="a")
        since = owners.world.store.state("c-1").waiting_since
        end = await owners.world.one(owners.w(knew=1, priority=3))
        assert code_of(end) == "AWAITING_EARLIER_EVENT"
        assert owners.world.store.state("c-1").waiting_since == since

    async def test_a_syncs_event_releases_it(self) -> None:
        owners, sync = await self.waiting(sync=True, preview="a")
        end = await owners.world.one(sync)
        assert (code_of(end), rules(end), end.audit.direction) == ("APPLIED", ["A5"], "reverse")
        assert owners.world.c().queue == "q-1"

    async def test_an_event_of_an_unsupported_name_does_too(self) -> None:
        owners, stray = await self.waiting(preview="a")
        end = await owners.world.one({**stray, "name": "kustomer.conversation.merge"})
        assert (code_of(end), owners.world.c().queue) == ("APPLIED", "q-1")

    async def test_a_syncs_event_that_decides_nothing_is_a_sync_and_the_field_waits_on(self) -> None:
        owners, _ = await self.waiting(preview="a")
        end = await owners.world.one(owners.c(sync=True, preview="b"))
        assert (code_of(end), suppressed(end)) == ("IS_SYNC", {"queue": "FIELD_WAITS"})
        assert owners.world.store.state("c-1").waiting_since is not None

    async def test_where_the_pair_comes_to_its_end_nothing_waits_any_more(self) -> None:
        owners, _ = await self.waiting(preview="a")
        ends = await owners.world.take(owners.c(status="done"), owners.w(knew=3, status="completed"))
        assert {code_of(end) for end in ends} == {"NO_ACTIVE_WORK_ITEM"}
        assert owners.world.store.state("c-1").waiting_since is None

    async def test_beside_an_outside_event_a_sync_never_decides(self) -> None:
        owners, earlier = await self.waiting(preview="a")
        ends = await owners.world.take(earlier, owners.c(sync=True, preview="b"))
        assert [code_of(end) for end in ends] == ["APPLIED", "IS_SYNC"]

    async def test_where_nothing_waits_a_syncs_event_causes_nothing(self) -> None:
        owners = await begun()
        end = await owners.world.one(owners.c(sync=True, users=["u-1"]))
        assert code_of(end) == "IS_SYNC"
        assert (end.audit.suppressed, owners.world.w().rev) == ((), 1)

    async def test_the_work_items_earlier_event_decides_as_well(self) -> None:
        """The conversation's write is the newest observed; an unobserved write of the work-item may have known it."""
        owners = await begun()
        queue, knew_it = owners.c(queue="q-1"), owners.w(knew=2, queue="q-2", status="queued")
        first = await owners.world.one(queue)
        assert (code_of(first), suppressed(first)) == ("AWAITING_EARLIER_EVENT", {"queue": "FIELD_WAITS"})
        end = await owners.world.one(knew_it)
        assert (rules(end), owners.world.c().queue) == (["A5"], "q-2")


class TestACompletionThatHadToWait:
    async def completed(self, *later: Json, **earlier: Any) -> tuple[Owners, Json]:
        owners = await begun()
        on_its_way = owners.c(**earlier)
        for write in later:
            owners.c(**write)
        end = await owners.world.one(owners.w(knew=1, status="completed"))
        assert code_of(end) == "AWAITING_EARLIER_EVENT"
        assert (owners.world.w().active, owners.world.c().status) == (False, "open")
        return owners, on_its_way

    async def test_is_taken_in_by_the_event_that_it_waited_for(self) -> None:
        owners, earlier = await self.completed(users=["u-1"])
        end = await owners.world.one(earlier)
        assert (rules(end), owners.world.c().status) == (["A1"], "done")

    async def test_not_where_the_conversation_was_opened_without_knowing_of_it(self) -> None:
        owners, earlier = await self.completed({"status": "open"}, status="done")
        end = await owners.world.one(earlier)
        assert (code_of(end), suppressed(end)) == ("IN_SYNC", {"status": "CONVERSATION_IS_NEWER"})
        assert owners.world.c().status == "open"

    async def test_or_by_the_poll(self) -> None:
        owners, _ = await self.completed(preview="a")
        owners.pass_the_gap()
        [polled] = await owners.world.handler.close_gaps(["c-1"])
        assert [reason.meta["rule"] for reason in polled.audit.reasons] == ["A1"]
        assert owners.world.c().status == "done"


class TestThePoll:
    """Pairs that have waited longer than `SYNC_GAP_SECONDS` for an event that never came."""

    async def lost(self, **options: Any) -> Owners:
        """The conversation's assignment had no event; the work-item's queue waits for revision 2."""
        owners = await begun(**options)
        owners.c(users=["u-1"])
        end = await owners.world.one(owners.w(knew=1, queue="q-1", status="queued"))
        assert code_of(end) == "AWAITING_EARLIER_EVENT"
        return owners

    async def test_old_news_is_decided_and_audited(self) -> None:
        owners = await self.lost()
        world = owners.world
        owners.pass_the_gap()
        [polled] = await world.handler.close_gaps(["c-1"])
        audit = polled.audit
        assert (audit.trigger, audit.event, audit.outcome) == ("gap", None, AuditOutcome.APPLIED)
        assert (audit.conversation_id, audit.work_item_id, audit.direction) == ("c-1", "w-1", "both")
        assert [reason.meta["rule"] for reason in audit.reasons] == ["B1", "A5"]
        assert (audit.conversation_rev, audit.work_item_rev) == (2, 2)
        assert (world.w().assigned_to, world.c().queue) == ("u-1", "q-1")
        assert [message["id"] for message in world.announced()] == [each.id for each in polled.announcements]
        state = world.store.state("c-1")
        assert (state.changed["assignee"], state.waiting_since) == (2, None)

    async def test_while_a_document_is_young_it_waits_and_nothing_is_audited(self) -> None:
        owners = await self.lost()
        before = owners.world.store.state("c-1")
        assert await owners.world.handler.close_gaps(["c-1"]) == []
        after = owners.world.store.state("c-1")
        assert (after.waiting_since, owners.world.announced()) == (before.waiting_since, [])

    async def test_while_events_are_held_up_it_waits_on_for_as_long_as_they_are(self) -> None:
        owners = await self.lost()
        owners.pass_the_gap()
        assert await owners.world.handler.close_gaps(["c-1"], late=timedelta(minutes=5)) == []
        assert owners.world.announced() == []
        assert len(await owners.world.handler.close_gaps(["c-1"], late=timedelta())) == 1

    async def test_a_wait_that_ends_in_agreement_is_audited(self) -> None:
        owners = await self.lost()
        owners.c(queue="q-1", users=[])
        owners.pass_the_gap()
        [polled] = await owners.world.handler.close_gaps(["c-1"])
        assert [reason.code for reason in polled.audit.reasons] == ["IN_SYNC"]
        assert polled.announcements == ()
        assert owners.world.store.state("c-1").waiting_since is None

    async def test_where_no_pair_is_left_nothing_waits_and_nothing_is_audited(self) -> None:
        owners = await self.lost()
        owners.c(status="done")
        owners.w(status="completed")
        owners.pass_the_gap()
        assert await owners.world.handler.close_gaps(["c-1"]) == []
        assert owners.world.store.state("c-1").waiting_since is None

    async def test_a_missing_conversation_is_not_audited(self) -> None:
        assert await World().handler.close_gaps(["c-1"]) == []
        assert await World().handler.close_gaps([]) == []

    async def test_one_that_meets_another_writer_is_left_to_the_next_time(self) -> None:
        def losing(inner: Store) -> Store:
            return LosingStore(inner, "c-1", times=0)

        owners = await self.lost(wrapped=losing)
        store = owners.world.outer
        assert isinstance(store, LosingStore)
        owners.pass_the_gap()
        store.times = 1
        assert await owners.world.handler.close_gaps(["c-1"]) == []
        assert owners.world.announced() == []
        assert len(await owners.world.handler.close_gaps(["c-1"])) == 1

    async def test_an_unreadable_one_is_audited_and_the_others_go_on(self) -> None:
        owners = await self.lost()
        spoilt = conversation(4, key="c-2")
        spoilt["attributes"]["status"] = "ajar"
        owners.world.put(spoilt)
        owners.pass_the_gap()
        ends = await owners.world.handler.close_gaps(["c-2", "c-1"])
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
    owners.pass_the_gap()
    await world.handler.close_gaps(["c-1"])
    written = world.c(), world.w()
    if late:
        assert code_of(await world.one(unheard)) in ("STALE_REV", "IN_SYNC")
    owners.pass_the_gap()
    await world.handler.close_gaps(["c-1"])
    assert (world.c(), world.w()) == written
