"""Snapshots of events in the store and on the sessions: newer, older, and of deleted conversations."""

import pytest

from commands.session import SessionPlace, SessionSlot
from handlers.options import PolicyInUse
from handlers.outcome import Done
from handlers.ports import CommitResult, Plan, Store
from tests.handlers.wire_events import changes, conversation, event, work_item
from tests.handlers.world import EITHER_POLICY, World, WrappedStore, code_of


@EITHER_POLICY
class TestStateFromEvents:
    async def test_a_missing_document_is_stored_as_it_came(self, policy: PolicyInUse) -> None:
        data = conversation(3, custom={"a.b": 1, "$c": 2}, tags=["x"])
        data["meta"] = {"kept": True}
        world = World(policy=policy)
        await world.take(event(data), event(work_item(2, of="c-2", number=4)))
        rest = {key: value for key, value in data.items() if key != "id"}
        assert world.store.conversation("c-1") == {"_id": "c-1", "org": "org-1", "rev": 3, **rest}
        item = world.store.work_item("w-1")
        assert item is not None
        assert (item["conversationId"], item["active"], item["workItemNumber"]) == ("c-2", True, 4)

    @pytest.mark.parametrize(
        ("rev", "preview"), [(2, "stored"), (3, "stored"), (4, "event")], ids=["older", "same", "newer"]
    )
    async def test_only_a_newer_snapshot_replaces_what_is_stored(
        self, policy: PolicyInUse, rev: int, preview: str
    ) -> None:
        world = World(policy=policy).put(
            conversation(3, preview="stored", gone=1), work_item(3, channel="stored", gone=1)
        )
        await world.take(event(conversation(rev, preview="event")), event(work_item(rev, channel="event")))
        c, w = world.store.conversation("c-1"), world.store.work_item("w-1")
        assert c is not None
        assert w is not None
        assert (c["rev"], c["attributes"]["preview"], "gone" in c["attributes"]) == (max(rev, 3), preview, rev < 4)
        assert (w["rev"], w["attributes"]["channel"], "gone" in w["attributes"]) == (max(rev, 3), preview, rev < 4)

    async def test_switched_off_no_snapshot_is_applied(self, policy: PolicyInUse) -> None:
        world = World(policy=policy, state_from_events=False).put(conversation(3), work_item(3))
        before = world.c(), world.w()
        ends = await world.take(
            event(conversation(4, users=("u-1",))),
            event(work_item(4, status="completed")),
            event(conversation(2, key="c-2")),
        )
        assert (world.c(), world.w()) == before
        assert world.store.conversation("c-2") is None
        assert [code_of(end) for end in ends] == ["IN_SYNC", "IN_SYNC", "NO_CONVERSATION"]

    async def test_switched_off_the_rules_compare_the_owners_documents(self, policy: PolicyInUse) -> None:
        world = World(policy=policy, state_from_events=False).put(conversation(4, users=("u-1",)), work_item(3))
        await world.one(event(conversation(4, users=("u-1",))))
        assert world.w().assigned_to == "u-1"

    async def test_switched_off_a_deletion_still_leaves_its_tombstone_and_completes(self, policy: PolicyInUse) -> None:
        world = World(policy=policy, state_from_events=False).put(work_item(3, user="u-1", status="assigned"))
        end = await world.one(event(conversation(4), "delete"))
        assert code_of(end) == "APPLIED"
        assert world.w().status == "completed"
        assert world.store.conversation("c-1") is None

    async def test_a_sync_of_the_predecessors_brings_the_store_up_to_date_and_causes_nothing(
        self, policy: PolicyInUse
    ) -> None:
        world = World(policy=policy).put(conversation(3), work_item(3))
        end = await world.one(
            event(conversation(4, users=("u-1",)), isSync=True, changes=changes({"assignedUsers": ([], ["u-1"])}))
        )
        assert code_of(end) == "IS_SYNC"
        assert world.c().assigned_users == ("u-1",)
        assert world.w().rev == 3
        state = world.store.state("c-1")
        assert state.conversation_observed == ((4, 4),)
        assert state.changed == {}
        assert state.view["assignee"].value == ["u-1"]


@EITHER_POLICY
class TestOwnSyncs:
    OURS = event(
        work_item(4, user="u-1"),
        isSync=True,
        routingReasons=[{"action": "SYNC_WORK_ITEM", "code": "CONVERSATION_ASSIGNED"}],
    )

    async def test_they_cost_no_call_to_the_store(self, policy: PolicyInUse) -> None:
        counted: list[WrappedStore] = []

        def counting(inner: Store) -> Store:
            counted.append(WrappedStore(inner))
            return counted[0]

        world = World(counting, policy=policy)
        ends = await world.take(self.OURS, self.OURS, event(conversation(3, key="c-9")), self.OURS)
        assert [code_of(end) for end in ends] == ["IS_SYNC", "IS_SYNC", "NO_ACTIVE_WORK_ITEM", "IS_SYNC"]
        [store] = counted
        assert (store.loads, store.commits) == ([["c-9"]], [["c-9"]])
        await world.take(self.OURS)
        assert (len(store.loads), len(store.commits)) == (1, 1)

    async def test_where_they_are_not_stored_they_are_taken_in(self, policy: PolicyInUse) -> None:
        world = World(policy=policy, own_syncs_stored=False).put(conversation(3), work_item(3))
        assert code_of(await world.one(self.OURS)) == "IS_SYNC"
        assert world.w().assigned_to == "u-1"


@EITHER_POLICY
class TestDeletion:
    @pytest.mark.parametrize("what", ["delete", "update"])
    async def test_it_completes_the_work_item(self, policy: PolicyInUse, what: str) -> None:
        world = World(policy=policy).put(
            conversation(3, users=("u-1",)), work_item(3, status="assigned", user="u-1", session="s-1")
        )
        deleted = conversation(4, users=("u-1",), deleted=what == "update")
        end = await world.one(event(deleted, what))
        assert [reason.code for reason in end.audit.reasons] == ["CONVERSATION_DELETED"]
        assert world.c().deleted
        assert (world.w().status, world.w().assigned_to, world.w().session) == ("completed", "u-1", None)

    @pytest.mark.parametrize("rev", [1, 3, 4])
    async def test_no_late_event_brings_it_back(self, policy: PolicyInUse, rev: int) -> None:
        world = World(policy=policy).put(conversation(3), work_item(3))
        await world.one(event(conversation(4), "delete"))
        await world.one(event(conversation(rev, users=("u-1",)), "update"))
        assert (world.c().deleted, world.c().rev) == (True, 4)
        assert world.store.state("c-1").deleted_rev == 4

    @pytest.mark.parametrize("state_from_events", [True, False])
    @pytest.mark.parametrize("rev", [1, 3, 4, 5])
    async def test_one_that_its_owner_removed_is_not_stored_again(
        self, policy: PolicyInUse, rev: int, state_from_events: bool
    ) -> None:
        """Neither the deletion's own snapshot nor a late event's: nothing of it remains but the tombstone."""
        world = World(policy=policy, state_from_events=state_from_events).put(work_item(3))
        await world.one(event(conversation(4, preview="private"), "delete"))
        end = await world.one(event(conversation(rev, users=("u-1",), preview="private"), "update"))
        assert isinstance(end.outcome, Done)
        assert world.store.conversation("c-1") is None
        state = world.store.state("c-1")
        assert (state.deleted_rev, "private" in repr(state)) == (4, False)
        assert not world.w().active

    async def test_nor_one_whose_stored_revision_the_state_has_noted(self, policy: PolicyInUse) -> None:
        """Its owner removed it; the delete event has not come, or never comes."""
        before = World(policy=policy)
        await before.one(event(conversation(3)))
        world = World(policy=policy).put(work_item(3))
        noted = Plan(conversation_id="c-1", state=before.store.state("c-1"))
        assert await world.store.commit([noted]) == [CommitResult.COMMITTED]
        end = await world.one(event(conversation(4, users=("u-1",))))
        assert code_of(end) == "NO_CONVERSATION"
        assert world.store.conversation("c-1") is None

    async def test_nor_in_one_batch_in_any_order(self, policy: PolicyInUse) -> None:
        for at in ((1, 2), (2, 1)):
            world = World(policy=policy)
            await world.take(event(conversation(4), "delete", at=at[0]), event(conversation(3), at=at[1]))
            assert world.store.conversation("c-1") is None
            assert world.store.state("c-1").deleted_rev == 4

    @pytest.mark.parametrize("rev", [3, 4, 9])
    async def test_of_one_that_we_stored_ourselves_no_text_stays(self, policy: PolicyInUse, rev: int) -> None:
        """Its owner had removed it before its first event was handled; our own write may have taken the revision."""
        world = World(policy=policy)
        await world.one(event(conversation(3, users=("u-1",), queue="q-1", preview="private")))
        await world.one(event(conversation(rev, preview="private"), "delete"))
        left = world.store.conversation("c-1")
        assert left is not None
        assert ("private" in repr(left), world.c().deleted, world.c().rev) == (False, True, rev)
        assert (world.c().assigned_users, world.c().queue) == (("u-1",), "q-1")

    async def test_one_that_its_owner_stored_is_marked_as_it_came(self, policy: PolicyInUse) -> None:
        world = World(policy=policy).put(conversation(3, preview="kept by its owner"))
        await world.one(event(conversation(4, preview="kept by its owner"), "delete"))
        assert "kept by its owner" in repr(world.store.conversation("c-1"))
        assert world.c().deleted

    async def test_nor_after_a_restore_of_its_work_item(self, policy: PolicyInUse) -> None:
        world = World(policy=policy).put(work_item(3))
        await world.one(event(conversation(4), "delete"))
        world.put(work_item(2))
        await world.one(event(conversation(3, users=("u-1",))))
        assert world.store.conversation("c-1") is None
        assert world.store.state("c-1").deleted_rev == 4

    async def test_a_work_items_late_event_writes_nothing_to_it(self, policy: PolicyInUse) -> None:
        world = World(policy=policy).put(conversation(3), work_item(3))
        await world.one(event(conversation(4), "delete"))
        rev = world.c().rev
        end = await world.one(event(work_item(9, status="assigned", user="u-1")))
        assert world.c().rev == rev
        # Only causal applies table B as well: it completes a work-item re-opened beside a deleted conversation.
        assert (code_of(end), world.w().active) == (("APPLIED", False) if policy == "causal" else ("IN_SYNC", True))

    async def test_a_newer_write_than_the_deletion_stands_where_the_document_does(self, policy: PolicyInUse) -> None:
        world = World(policy=policy).put(conversation(3))
        await world.one(event(conversation(4), "delete"))
        await world.one(event(conversation(5, deleted=False)))
        assert not world.c().deleted


def held(slot: SessionSlot, session: str = "s-1", item_size: int = 1) -> set[tuple[str, SessionPlace]]:
    return {("w-1", SessionPlace(session=session, slot=slot, item_size=item_size))}


@EITHER_POLICY
class TestSessions:
    async def test_a_snapshot_that_we_apply_takes_its_place(self, policy: PolicyInUse) -> None:
        world = World(policy=policy)
        await world.one(event(work_item(2, status="assigned", user="u-1", session="s-1", itemSize=3)))
        assert world.places() == held(SessionSlot.WORK_ITEMS, item_size=3)

    async def test_and_moves(self, policy: PolicyInUse) -> None:
        world = World(policy=policy)
        steps = [
            (work_item(2, status="routed", session="s-1"), held(SessionSlot.PENDING_ITEM, item_size=0)),
            (work_item(3, status="assigned", user="u-1", session="s-1"), held(SessionSlot.WORK_ITEMS)),
            (
                work_item(4, status="assigned", user="u-1", session="s-1", itemSize=2),
                held(SessionSlot.WORK_ITEMS, item_size=2),
            ),
            (
                work_item(5, status="wrap-up", user="u-1", session="s-1", paused=True),
                held(SessionSlot.PAUSED_WORK_ITEMS),
            ),
            (work_item(6, status="assigned", user="u-2", session="s-2"), held(SessionSlot.WORK_ITEMS, "s-2")),
            (work_item(7, status="completed", user="u-2"), set()),
        ]
        for snapshot, places in steps:
            await world.one(event(snapshot))
            assert world.places() == places == world.places_said()

    async def test_one_that_is_stored_already_moves_nothing(self, policy: PolicyInUse) -> None:
        data = work_item(2, status="assigned", user="u-1", session="s-1")
        world = World(policy=policy).put(data)
        await world.one(event(data))
        assert world.places() == set()

    async def test_a_command_moves_too(self, policy: PolicyInUse) -> None:
        world = World(policy=policy)
        await world.take(event(work_item(2), at=0), event(conversation(2, users=("u-1",)), at=1))
        assert (world.w().session, world.places()) == ("s-1", held(SessionSlot.WORK_ITEMS))
        await world.one(event(conversation(3, users=("u-1",), status="snoozed"), at=2))
        assert world.places() == held(SessionSlot.PAUSED_WORK_ITEMS)
        taken_over = changes({"assignedUsers": (["u-1"], ["u-2"])})
        await world.one(event(conversation(4, users=("u-2",)), at=3, changes=taken_over))
        assert world.places() == held(SessionSlot.WORK_ITEMS, "s-2")
        await world.one(event(conversation(5, status="done"), at=4))
        assert world.places() == set()

    async def test_a_snapshot_and_a_command_in_one_batch_are_one_move(self, policy: PolicyInUse) -> None:
        world = World(policy=policy).put(conversation(2))
        await world.one(event(work_item(2, status="assigned", user="u-1", session="s-1")))
        await world.take(
            event(work_item(3, status="assigned", user="u-1", session="s-1", paused=True), at=1),
            event(conversation(4, users=("u-2",)), at=2, changes=changes({"assignedUsers": (["u-1"], ["u-2"])})),
        )
        assert world.places() == held(SessionSlot.WORK_ITEMS, "s-2") == world.places_said()

    async def test_an_agent_without_a_session_gets_the_assignment_all_the_same(self, policy: PolicyInUse) -> None:
        world = World(policy=policy).put(work_item(2))
        await world.one(event(conversation(2, users=("u-9",))))
        assert (world.w().assigned_to, world.w().session) == ("u-9", None)
