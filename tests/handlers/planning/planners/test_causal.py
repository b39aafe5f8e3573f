"""Policy `causal` on batches: events observed together, decided once, an audit record each (docs/rules.md)."""

from datetime import timedelta
from itertools import permutations

import pytest

from commands.engines.rollout import EngineRollout, UpdateOrigin
from handlers.outcome import Done
from sync.audit import AuditOutcome
from tests.handlers.owners import PAST_THE_GAP, Owners, begun
from tests.handlers.world import World, code_of
from worker.store.documents import Collection


class TestOneBatch:
    async def test_its_events_are_observed_together_and_decided_once(self) -> None:
        owners = await begun()
        world, version = owners.world, owners.world.store.state("c-1").version
        ends = await world.take(owners.c(users=["u-1"]), owners.c(queue="q-1"), owners.c(status="snoozed"))
        assert len(world.announced()) == 1
        assert (world.w().rev, world.w().assigned_to, world.w().queue, world.w().paused) == (2, "u-1", "q-1", True)
        state = world.store.state("c-1")
        assert (state.version, state.conversation_observed) == (version + 1, ((1, 4),))
        assert state.changed == {"assignee": 2, "queue": 3, "paused": 4}
        assert ends[2].audit.updated_work_item == {
            "assignedTo": "u-1", "queue": {"id": "q-1"}, "paused": True, "rev": 1
        }  # fmt: skip

    async def test_each_has_an_audit_record_that_names_the_event_it_was_decided_with(self) -> None:
        owners = await begun()
        ends = await owners.world.take(owners.c(users=["u-1"]), owners.c(queue="q-1"))
        assert [code_of(end) for end in ends] == ["IN_SYNC", "APPLIED"]
        assert [end.audit.outcome for end in ends] == [AuditOutcome.SKIPPED, AuditOutcome.APPLIED]
        assert [reason.as_wire() for reason in ends[0].audit.reasons] == [
            {"action": "SKIP_SYNC", "code": "IN_SYNC", "meta": {"decidedWith": ends[1].event.id}}
        ]
        assert (ends[0].announcements, len(ends[1].announcements)) == ((), 1)
        assert [(end.audit.conversation_rev, end.audit.work_item_rev) for end in ends] == [(3, 1), (3, 1)]

    async def test_the_newest_decides_in_whatever_order_they_are_handed_in(self) -> None:
        for order in permutations(range(3)):
            owners = await begun()
            events = [owners.c(users=["u-1"]), owners.c(queue="q-1"), owners.c(status="snoozed")]
            ends = await owners.world.take(*(events[number] for number in order))
            [decider] = [end for end in ends if code_of(end) == "APPLIED"]
            assert decider.event.rev == 4

    async def test_where_nothing_is_written_each_has_the_same_decision(self) -> None:
        owners = await begun()
        ends = await owners.world.take(owners.c(preview="a"), owners.w(knew=1, priority=2))
        assert [code_of(end) for end in ends] == ["IN_SYNC", "IN_SYNC"]
        assert [reason.meta for end in ends for reason in end.audit.reasons] == [{}, {}]

    async def test_a_sync_among_them_is_audited_as_a_sync(self) -> None:
        owners = await begun()
        ends = await owners.world.take(owners.c(users=["u-1"]), owners.c(sync=True, preview="a"))
        assert [code_of(end) for end in ends] == ["APPLIED", "IS_SYNC"]

    async def test_both_directions_in_one_transaction(self) -> None:
        """The conversation's queue changes while an agent takes the work-item; neither write knew the other."""
        owners = await begun()
        world, version = owners.world, owners.world.store.state("c-1").version
        queue, taken = owners.c(queue="q-1"), owners.w(knew=1, user="u-1", status="assigned")
        ends = await world.take(queue, taken)
        audit = ends[1].audit
        assert (audit.direction, audit.outcome) == ("both", AuditOutcome.APPLIED)
        assert [reason.meta["rule"] for reason in audit.reasons] == ["B8", "A2"]
        assert audit.updated_work_item == {"queue": {"id": "q-1"}, "rev": 2}
        assert audit.updated_conversation == {"assignedUsers": ["u-1"], "rev": 2}
        assert audit.before == {"conversation": {"assignedUsers": []}, "workItem": {"queue": None}}
        assert (world.c().rev, world.w().rev, world.store.state("c-1").version) == (3, 3, version + 1)
        assert (world.c().assigned_users, world.w().queue, world.w().status) == (("u-1",), "q-1", "assigned")
        of_item, of_conversation = (message["body"] for message in world.announced())
        assert [reason["code"] for reason in of_item["routingReasons"]] == [
            "CONVERSATION_QUEUE_CHANGED", "WORK_ITEM_UPDATE_CMD"
        ]  # fmt: skip
        assert of_item["routingReasons"][1]["meta"]["data"]["resource"] == {"rev": 2}
        assert [reason["code"] for reason in of_conversation["routingReasons"]] == ["WORK_ITEM_ASSIGNED"]
        assert len(ends[1].announcements) == 2

    async def test_after_it_each_side_knows_the_other(self) -> None:
        owners = await begun()
        await owners.world.take(owners.c(queue="q-1"), owners.w(knew=1, user="u-1", status="assigned"))
        state = owners.world.store.state("c-1")
        assert set(state.known.values()) == {3}
        assert set(state.known_at.values()) == {3}
        assert (state.conversation_observed, state.work_item_observed) == (((1, 3),), ((1, 3),))

    async def test_our_own_announcements_come_back_and_cause_nothing(self) -> None:
        owners = await begun(own_syncs_stored=False)
        world = owners.world
        await world.take(owners.c(queue="q-1"), owners.w(knew=1, user="u-1", status="assigned"))
        before = world.stored()
        ends = await world.take(*reversed(world.announced()))
        assert [code_of(end) for end in ends] == ["IS_SYNC", "IS_SYNC"]
        assert world.stored() == before


class TestStale:
    async def test_one_that_is_news_is_decided(self) -> None:
        owners = await begun()
        world = owners.world
        assigned, queued = owners.c(users=["u-1"]), owners.c(queue="q-1")
        first = await world.one(queued)
        assert [reason.meta["rule"] for reason in first.audit.reasons] == ["B8"]
        assert {each.field: each.code for each in first.audit.suppressed} == {"assignee": "FIELD_WAITS"}
        end = await world.one(assigned)
        assert (end.event.rev, end.audit.conversation_rev) == (2, 3)
        assert [reason.meta["rule"] for reason in end.audit.reasons] == ["B1"]
        assert (world.w().assigned_to, world.w().queue) == ("u-1", "q-1")

    async def test_a_duplicate_is_stale_and_causes_nothing(self) -> None:
        owners = await begun()
        world = owners.world
        assigned, queued = owners.c(users=["u-1"]), owners.c(queue="q-1")
        await world.take(assigned, queued)
        before = world.stored()
        assert code_of(await world.one(assigned)) == "STALE_REV"
        assert world.stored() == before

    @pytest.mark.parametrize("held_up", [PAST_THE_GAP, timedelta(days=15)], ids=str)
    async def test_one_that_was_held_up_is_news_all_the_same(self, held_up: timedelta) -> None:
        """The age of an event or of a document says nothing about the events that have not come."""
        owners = await begun()
        world = owners.world
        assigned, queued = owners.c(users=["u-1"]), owners.c(queue="q-1")
        await world.one(queued)
        world.clock.at += held_up
        assert code_of(await world.one(assigned)) == "APPLIED"
        assert world.w().assigned_to == "u-1"

    async def test_one_that_the_watermark_has_passed_is_stale(self) -> None:
        owners = await begun()
        world = owners.world
        assigned, queued = owners.c(users=["u-1"]), owners.c(queue="q-1")
        await world.one(queued)
        assert len(await owners.poll()) == 1
        before = world.stored()
        assert code_of(await world.one(assigned)) == "STALE_REV"
        assert world.stored() == before

    @pytest.mark.parametrize("side", ["conversation", "work-item"])
    async def test_a_stale_first_sight_is_stale(self, side: str) -> None:
        owners = Owners(World())
        conversation_event, item_event = owners.c(users=["u-1"]), owners.w()
        owners.c(preview="a")
        owners.w(priority=2)
        before = owners.world.store.documents(Collection.OUTBOX)
        end = await owners.world.one(conversation_event if side == "conversation" else item_event)
        assert code_of(end) == "STALE_REV"
        assert owners.world.store.documents(Collection.OUTBOX) == before


class TestRefused:
    """The commands refuse an update with more fields than the operator allows: audited, and nothing is written."""

    async def test_its_code_is_audited_and_the_work_item_stays(self) -> None:
        owners = await begun(rollout=EngineRollout(fields_max={UpdateOrigin.SYNC: 2}))
        world = owners.world
        end = await world.one(owners.c(users=["u-1"], queue="q-1", status="snoozed"))
        assert end.outcome == Done(reason="TOO_MANY_FIELDS")
        assert end.audit.outcome is AuditOutcome.REFUSED
        assert end.audit.before is None
        assert [reason.meta.get("rule") for reason in end.audit.reasons] == ["B1", "B8", "B4", None]
        assert end.audit.reasons[-1].code == "TOO_MANY_FIELDS"
        assert set(end.audit.updated_work_item or {}) == {"assignedTo", "queue", "paused", "rev"}
        assert (world.w().rev, world.announced()) == (1, [])

    async def test_the_conversation_stays_newer_so_that_the_next_event_asks_again(self) -> None:
        owners = await begun(rollout=EngineRollout(fields_max={UpdateOrigin.SYNC: 2}))
        world = owners.world
        await world.one(owners.c(users=["u-1"], queue="q-1", status="snoozed"))
        end = await world.one(owners.c(status="open"))
        assert [reason.meta["rule"] for reason in end.audit.reasons] == ["B1", "B8"]
        assert (world.w().assigned_to, world.w().queue) == ("u-1", "q-1")

    async def test_the_write_of_table_a_is_applied_all_the_same(self) -> None:
        owners = await begun(
            w={"user": "u-1", "status": "assigned"}, rollout=EngineRollout(fields_max={UpdateOrigin.SYNC: 1})
        )
        world = owners.world
        assert world.c().assigned_users == ("u-1",)
        snoozed, ended = owners.c(queue="q-1", status="snoozed"), owners.w(knew=2, status="wrap-up")
        end = (await world.take(snoozed, ended))[1]
        assert end.audit.outcome is AuditOutcome.APPLIED
        assert (world.w().rev, world.c().ended) == (2, True)
