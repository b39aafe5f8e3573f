"""Policy `causal` where a field waits for an event, and the events that release it (docs/rules.md, *Waiting, and the
gap poll*).

The watermark ends a wait in `test_watermark.py`.
"""

from typing import Any

from handlers.outcome import HandledEvent
from sync.audit import AuditOutcome
from tests.handlers.owners import Owners, begun
from tests.handlers.wire_events import Json
from tests.handlers.world import code_of


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
        waiting = owners.world.store.state("c-1").waiting
        assert waiting is not None
        assert (waiting.since, waiting.conversation_rev, waiting.work_item_rev) == (owners.world.clock.now(), 2, 2)
        return owners, on_its_way

    async def test_the_earlier_event_decides_for_the_conversation_where_it_changed_the_field(self) -> None:
        owners, earlier = await self.waiting(queue="q-2")
        end = await owners.world.one(earlier)
        assert rules(end) == ["B8"]
        assert (owners.world.w().queue, owners.world.c().queue) == ("q-2", "q-2")
        assert owners.world.store.state("c-1").waiting is None

    async def test_and_for_the_work_item_where_it_did_not(self) -> None:
        owners, earlier = await self.waiting(preview="a")
        end = await owners.world.one(earlier)
        assert rules(end) == ["A5"]
        assert (owners.world.w().queue, owners.world.c().queue) == ("q-1", "q-1")
        assert owners.world.store.state("c-1").waiting is None

    async def test_it_keeps_the_first_time_and_the_first_revisions(self) -> None:
        owners, _ = await self.waiting(preview="a")
        waiting = owners.world.store.state("c-1").waiting
        end = await owners.world.one(owners.w(knew=1, priority=3))
        assert code_of(end) == "AWAITING_EARLIER_EVENT"
        assert owners.world.store.state("c-1").waiting == waiting

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
        assert owners.world.store.state("c-1").waiting is not None

    async def test_where_the_pair_comes_to_its_end_nothing_waits_any_more(self) -> None:
        owners, _ = await self.waiting(preview="a")
        ends = await owners.world.take(owners.c(status="done"), owners.w(knew=3, status="completed"))
        assert {code_of(end) for end in ends} == {"NO_ACTIVE_WORK_ITEM"}
        assert owners.world.store.state("c-1").waiting is None

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
        [polled] = await owners.poll()
        assert [reason.meta["rule"] for reason in polled.audit.reasons] == ["A1"]
        assert owners.world.c().status == "done"
