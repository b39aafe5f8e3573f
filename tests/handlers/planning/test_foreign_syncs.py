"""Policy `causal` beside other writers: the predecessor's syncs, deletions, restored databases, and `shadow`
(docs/rules.md)."""

from typing import Any

from handlers.options import PolicyInUse
from tests.handlers.owners import Owners, begun
from tests.handlers.wire_events import changes, conversation, event
from tests.handlers.world import World, code_of


class TestThePredecessorsSyncs:
    """A change-over: a late sync of the predecessor removes the agent that both sides have."""

    async def broken(self) -> tuple[Owners, Any]:
        owners = await begun()
        await owners.world.one(owners.c(users=["u-1"]))
        assert owners.world.w().assigned_to == "u-1"
        return owners, owners.c(sync=True, users=[])

    async def test_they_are_observed_and_change_neither_changed_nor_known(self) -> None:
        owners, sync = await self.broken()
        before = owners.world.store.state("c-1")
        assert code_of(await owners.world.one(sync)) == "IS_SYNC"
        after = owners.world.store.state("c-1")
        assert (after.changed, after.known, after.known_at) == (before.changed, before.known, before.known_at)
        assert after.conversation_observed == ((1, 3),)
        assert after.view["assignee"].value == []

    async def test_they_cause_nothing(self) -> None:
        owners, sync = await self.broken()
        assert code_of(await owners.world.one(sync)) == "IS_SYNC"
        assert (owners.world.c().assigned_users, owners.world.w().assigned_to) == ((), "u-1")
        assert len(owners.world.announced()) == 1

    async def test_a_stale_duplicate_of_one_causes_nothing(self) -> None:
        owners, sync = await self.broken()
        await owners.world.one(sync)
        owners.c(preview="a")
        assert code_of(await owners.world.one(sync)) == "IS_SYNC"
        assert (owners.world.c().assigned_users, owners.world.w().assigned_to) == ((), "u-1")

    async def test_an_outside_event_after_one_is_decided_by_the_outside_writes_alone(self) -> None:
        """The assignment is the last outside write of the agent, and the work-item knows it. The sync that undid it is
        no outside write, so the next decision restores the agent."""
        owners, sync = await self.broken()
        await owners.world.take(sync, owners.c(preview="a"))
        state = owners.world.store.state("c-1")
        assert (state.changed["assignee"], state.known["assignee"]) == (2, 5)
        assert (owners.world.c().assigned_users, owners.world.w().assigned_to) == (("u-1",), "u-1")

    async def test_ours_cause_nothing_either(self) -> None:
        owners = await begun(own_syncs_stored=False)
        await owners.world.one(owners.w(knew=1, user="u-1", status="assigned"))
        [ours] = owners.world.announced()
        owners.w(sync=True, user="u-2")
        assert code_of(await owners.world.one(ours)) == "IS_SYNC"
        assert owners.world.c().assigned_users == ("u-1",)


class TestADeletion:
    async def test_completes_and_takes_nothing_from_the_work_item(self) -> None:
        owners = await begun()
        deleted, taken = owners.c(what="delete", deleted=True), owners.w(knew=1, user="u-1", status="assigned")
        ends = await owners.world.take(deleted, taken)
        assert [reason.meta["rule"] for reason in ends[1].audit.reasons] == ["B9"]
        assert ends[1].audit.updated_conversation is None
        assert (owners.world.w().status, owners.world.c().rev) == ("completed", 2)

    async def test_waits_for_no_event(self) -> None:
        """The events of the conversation's and the work-item's revision 2 have not come."""
        owners = await begun()
        owners.c(users=["u-1"])
        owners.w(knew=1, priority=3)
        await owners.world.one(owners.c(what="delete", deleted=True))
        assert not owners.world.w().active

    async def test_no_late_event_brings_it_back_or_opens_its_work_item(self) -> None:
        owners = await begun()
        late = owners.c(users=["u-1"])
        await owners.world.one(owners.c(what="delete", deleted=True))
        item = owners.world.w()
        assert code_of(await owners.world.one(late)) == "NO_ACTIVE_WORK_ITEM"
        assert (owners.world.c().deleted, owners.world.w()) == (True, item)

    async def test_its_tombstone_stands_where_the_conversation_was_never_stored(self) -> None:
        world = World()
        await world.one(event(conversation(4), "delete"))
        await world.one(event(conversation(3, users=("u-1",))))
        assert (world.store.conversation("c-1"), world.store.state("c-1").deleted_rev) == (None, 4)


class TestARestoredDatabase:
    """A restored database: the store holds lower revisions than before, and later observations no longer hold."""

    async def test_the_state_begins_anew(self) -> None:
        owners = await begun()
        world = owners.world
        await world.take(owners.c(users=["u-1"]), owners.c(queue="q-1"))
        version = world.store.state("c-1").version
        world.put(conversation(2))
        await world.one(event(conversation(3, users=("u-2",)), changes=changes({"assignedUsers": ([], ["u-2"])})))
        state = world.store.state("c-1")
        assert (state.version, state.conversation_observed, state.changed) == (version + 1, ((3, 3),), {"assignee": 3})
        # The work-item's history is gone as well, so the pair waits for the watermark.
        await owners.poll()
        assert world.w().assigned_to == "u-2"

    async def test_not_where_an_event_runs_ahead_of_the_store(self) -> None:
        owners = await begun(state_from_events=False)
        world = owners.world
        ahead = event(conversation(9), changes=changes({"preview": ("a", "b")}))
        await world.one(ahead)
        await world.one(owners.c(users=["u-1"]))
        assert world.store.state("c-1").conversation_observed == ((1, 2), (9, 9))


class TestShadow:
    """Policy `legacy` is applied, `causal` is computed beside it."""

    async def test_where_they_differ_the_audit_has_the_causal_decision(self) -> None:
        """The incident of 2022-03-02: the work-item's event comes late, and its write did not know the assignment."""
        owners = await begun(policy=PolicyInUse.SHADOW)
        queued, assigned = owners.w(knew=1, queue="q-1", status="queued"), owners.c(users=["u-1"], queue="q-1")
        end = await owners.world.one(queued)
        assert end.audit.policy == "legacy"
        assert end.audit.updated_conversation == {"assignedUsers": [], "rev": 2}
        assert owners.world.c().assigned_users == ()
        found = end.audit.as_wire()["shadow"]
        assert (found["outcome"], found["updatedConversation"], found["updatedWorkItem"]) == ("skipped", None, None)
        assert found["reasons"] == [{"action": "SKIP_SYNC", "code": "AWAITING_EARLIER_EVENT", "meta": {}}]
        assert {each["field"]: each["code"] for each in found["suppressed"]} == {"assignee": "FIELD_WAITS"}
        assert code_of(await owners.world.one(assigned)) == "STALE_REV"

    async def test_where_both_write_the_same_the_audit_has_none(self) -> None:
        owners = await begun(policy=PolicyInUse.SHADOW)
        end = await owners.world.one(owners.c(users=["u-1"]))
        assert (code_of(end), end.audit.shadow) == ("APPLIED", None)
        assert [reason.meta["policy"] for reason in end.audit.reasons] == ["legacy"]
        end = await owners.world.one(owners.c(preview="a"))
        assert (code_of(end), end.audit.shadow) == ("IN_SYNC", None)

    async def test_causal_alone_would_have_resumed(self) -> None:
        owners = await begun({"ended": True}, {"status": "wrap-up"}, policy=PolicyInUse.SHADOW)
        end = await owners.world.one(owners.c(ended=False))
        assert code_of(end) == "IN_SYNC"
        assert end.audit.shadow is not None
        assert end.audit.shadow["updatedWorkItem"] == {"resume": True}
        assert owners.world.w().status == "wrap-up"

    async def test_it_stores_and_announces_what_legacy_does(self) -> None:
        found = {}
        for policy in (PolicyInUse.SHADOW, PolicyInUse.LEGACY):
            owners = await begun(policy=policy)
            queued, assigned = owners.w(knew=1, queue="q-1", status="queued"), owners.c(users=["u-1"])
            await owners.world.take(queued, owners.c(ended=True))
            await owners.world.one(assigned)
            # A write without an event: causal would count it as a change.
            owners.c(users=["u-2"])
            await owners.world.one(owners.w(knew=2, priority=3))
            found[policy] = owners.world.stored()
        assert found[PolicyInUse.SHADOW] == found[PolicyInUse.LEGACY]
