"""Policy `causal` on batches: events observed together, decided once, an audit record each (docs/rules.md)."""

from datetime import timedelta
from itertools import permutations

import pytest

from commands.rollout import EngineRollout, UpdateOrigin
from handlers.outcome import Done
from sync.audit import AuditOutcome
from tests.handlers.owners import Owners, begun
from tests.handlers.wire_events import changes, conversation, event, work_item
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
        owners = await begun(own_syncs_stored=False, repair_foreign_syncs=True)
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
        assert {each.field: each.code for each in first.audit.suppressed} == {
            "assignee": "FIELD_WAITS",
            "queue": "CONVERSATION_IS_NEWER",
        }
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

    async def test_one_that_was_held_up_is_news_all_the_same(self) -> None:
        """A queue that is behind delays every event: no document written since this event is old news."""
        owners = await begun()
        world = owners.world
        assigned, queued = owners.c(users=["u-1"]), owners.c(queue="q-1")
        await world.one(queued)
        owners.pass_the_gap()
        assert code_of(await world.one(assigned)) == "APPLIED"
        assert world.w().assigned_to == "u-1"

    async def test_one_of_long_ago_is_stale(self) -> None:
        """The event is older than any queue's retention, so its revision counts as observed."""
        owners = await begun()
        world = owners.world
        assigned, queued = owners.c(users=["u-1"]), owners.c(queue="q-1")
        await world.one(queued)
        world.clock.at += timedelta(days=15)
        assert code_of(await world.one(assigned)) == "STALE_REV"
        assert world.w().assigned_to is None

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


class TestFirstSight:
    """A pair that was never decided, whose other document is old news (it has no time of writing)."""

    async def test_undeclared_fields_go_the_events_own_way_and_declared_ones_by_what_it_knew(self) -> None:
        """The write of the queue knew revision 1 of the conversation, which is at 3; the agent is undeclared."""
        world = World().put(conversation(3, queue="q-2", users=("u-1",)))
        knew = [{"action": "QUEUE_WORK_ITEM", "code": "QUEUE_RULES_HIT", "meta": {"conversationRev": 1}}]
        queued = work_item(2, queue="q-1", status="queued")
        end = await world.one(event(queued, changes=changes(relationships=("queue",)), routingReasons=knew))
        assert [reason.meta["rule"] for reason in end.audit.reasons] == ["B8", "A3"]
        assert (world.c().queue, world.w().queue, world.c().assigned_users) == ("q-2", "q-2", ())

    async def test_a_field_that_any_event_of_the_batch_declares_is_declared(self) -> None:
        """The conversation's newest event does not change the queue; the one before does, and the router knew it."""
        world = World().put(work_item(1))
        knew = [{"action": "QUEUE_WORK_ITEM", "code": "QUEUE_RULES_HIT", "meta": {"conversationRev": 2}}]
        ends = await world.take(
            event(conversation(2, queue="q-2"), at=1, changes=changes(relationships=("queue",))),
            event(
                work_item(2, queue="q-1", status="queued"),
                at=2,
                changes=changes(relationships=("queue",)),
                routingReasons=knew,
            ),
            event(
                conversation(3, queue="q-2", users=("u-1",)), at=3, changes=changes({"assignedUsers": ([], ["u-1"])})
            ),
        )
        assert [reason.meta["rule"] for reason in ends[2].audit.reasons] == ["B1", "A5"]
        assert (world.c().queue, world.w().assigned_to) == ("q-1", "u-1")

    async def test_nothing_of_it_is_recorded(self) -> None:
        world = World().put(conversation(3, queue="q-2"))
        await world.one(event(work_item(2, queue="q-1", status="queued")))
        state = world.store.state("c-1")
        assert (world.c().queue, state.changed) == ("q-1", {})
        # The fields on which both sides agree are known after the decision, not by the first sight.
        assert set(state.known.values()) == {4}


class TestRefused:
    """The commands refuse an update with more fields than the operator allows: audited, and nothing is written."""

    async def test_its_code_is_audited_and_the_work_item_stays(self) -> None:
        owners = await begun(rollout=EngineRollout(fields_max={UpdateOrigin.SYNC: 2}))
        world = owners.world
        end = await world.one(owners.c(users=["u-1"], queue="q-1", status="snoozed"))
        assert end.outcome == Done(reason="TOO_MANY_FIELDS")
        assert end.audit.outcome is AuditOutcome.REFUSED
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
