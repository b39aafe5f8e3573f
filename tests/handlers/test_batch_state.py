"""What events bring into the store and onto the sessions, and what they never do: older snapshots, deleted pairs."""

import pytest

from commands.session import Place, Spot
from handlers.outcome import Done, Retry
from handlers.ports import Store
from tests.handlers.wire_events import changes, conversation, event, work_item
from tests.handlers.world import World, WrappedStore, code_of


class TestStateFromEvents:
    async def test_what_is_not_stored_is_taken_in_as_it_came(self) -> None:
        data = conversation(3, custom={"a.b": 1, "$c": 2}, tags=["x"])
        data["meta"] = {"kept": True}
        world = World()
        await world.take(event(data), event(work_item(2, of="c-2", number=4)))
        rest = {key: value for key, value in data.items() if key != "id"}
        assert world.store.conversation("c-1") == {"_id": "c-1", "org": "org-1", "rev": 3, **rest}
        item = world.store.work_item("w-1")
        assert item is not None
        assert (item["conversationId"], item["active"], item["workItemNumber"]) == ("c-2", True, 4)

    @pytest.mark.parametrize(
        ("rev", "preview"), [(2, "stored"), (3, "stored"), (4, "event")], ids=["older", "same", "newer"]
    )
    async def test_only_a_newer_snapshot_replaces_what_is_stored(self, rev: int, preview: str) -> None:
        world = World().put(conversation(3, preview="stored", gone=1), work_item(3, channel="stored", gone=1))
        await world.take(event(conversation(rev, preview="event")), event(work_item(rev, channel="event")))
        c, w = world.store.conversation("c-1"), world.store.work_item("w-1")
        assert c is not None
        assert w is not None
        assert (c["rev"], c["attributes"]["preview"], "gone" in c["attributes"]) == (max(rev, 3), preview, rev < 4)
        assert (w["rev"], w["attributes"]["channel"], "gone" in w["attributes"]) == (max(rev, 3), preview, rev < 4)

    async def test_switched_off_no_snapshot_is_applied(self) -> None:
        world = World(state_from_events=False).put(conversation(3), work_item(3))
        before = world.c(), world.w()
        ends = await world.take(
            event(conversation(4, users=("u-1",))),
            event(work_item(4, status="completed")),
            event(conversation(2, key="c-2")),
        )
        assert (world.c(), world.w()) == before
        assert world.store.conversation("c-2") is None
        assert [code_of(end) for end in ends] == ["IN_SYNC", "IN_SYNC", "NO_CONVERSATION"]

    async def test_switched_off_the_rules_look_at_what_the_owner_has_stored(self) -> None:
        world = World(state_from_events=False).put(conversation(4, users=("u-1",)), work_item(3))
        await world.one(event(conversation(4, users=("u-1",))))
        assert world.w().assigned_to == "u-1"

    async def test_switched_off_a_deletion_still_leaves_its_tombstone_and_completes(self) -> None:
        world = World(state_from_events=False).put(work_item(3, user="u-1", status="assigned"))
        end = await world.one(event(conversation(4), "delete"))
        assert code_of(end) == "APPLIED"
        assert world.w().status == "completed"
        assert world.store.conversation("c-1") is None

    async def test_a_sync_of_the_predecessors_brings_the_store_up_to_date_and_causes_nothing(self) -> None:
        world = World().put(conversation(3), work_item(3))
        end = await world.one(
            event(conversation(4, users=("u-1",)), isSync=True, changes=changes({"assignedUsers": ([], [])}))
        )
        assert code_of(end) == "IS_SYNC"
        assert world.c().assigned_users == ("u-1",)
        assert world.w().rev == 3
        state = world.store.state("c-1")
        assert state.conversation_observed == ((4, 4),)
        assert state.changed == {}
        assert state.view["assignee"].value == ["u-1"]


class TestOwnSyncs:
    OURS = event(
        work_item(4, user="u-1"),
        isSync=True,
        routingReasons=[{"action": "SYNC_WORK_ITEM", "code": "CONVERSATION_ASSIGNED"}],
    )

    async def test_they_cost_no_access_to_the_store(self) -> None:
        counted: list[WrappedStore] = []

        def counting(inner: Store) -> Store:
            counted.append(WrappedStore(inner))
            return counted[0]

        world = World(counting)
        ends = await world.take(self.OURS, self.OURS, event(conversation(3, key="c-9")), self.OURS)
        assert [code_of(end) for end in ends] == ["IS_SYNC", "IS_SYNC", "NO_ACTIVE_WORK_ITEM", "IS_SYNC"]
        [store] = counted
        assert (store.loads, store.commits) == ([["c-9"]], [["c-9"]])
        await world.take(self.OURS)
        assert (len(store.loads), len(store.commits)) == (1, 1)

    async def test_where_they_are_not_stored_they_are_taken_in(self) -> None:
        world = World(own_syncs_stored=False).put(conversation(3), work_item(3))
        assert code_of(await world.one(self.OURS)) == "IS_SYNC"
        assert world.w().assigned_to == "u-1"


class TestDeletion:
    @pytest.mark.parametrize("what", ["delete", "update"])
    async def test_it_completes_the_work_item(self, what: str) -> None:
        world = World().put(conversation(3, users=("u-1",)), work_item(3, status="assigned", user="u-1", session="s-1"))
        deleted = conversation(4, users=("u-1",), deleted=what == "update")
        end = await world.one(event(deleted, what))
        assert [reason.code for reason in end.audit.reasons] == ["CONVERSATION_DELETED"]
        assert world.c().deleted
        assert (world.w().status, world.w().assigned_to, world.w().session) == ("completed", "u-1", None)

    @pytest.mark.parametrize("rev", [1, 3, 4])
    async def test_no_late_event_brings_it_back(self, rev: int) -> None:
        world = World().put(work_item(3))
        await world.one(event(conversation(4), "delete"))
        await world.one(event(conversation(rev, users=("u-1",)), "update"))
        assert world.c().deleted
        assert world.store.state("c-1").deleted_rev == 4

    async def test_nor_where_the_deleted_one_was_never_stored(self) -> None:
        world = World(state_from_events=False)
        await world.one(event(conversation(4), "delete"))
        later = World(lambda _: world.store)
        end = await later.one(event(conversation(3), "update"))
        assert world.store.conversation("c-1") is None
        assert isinstance(end.outcome, Done)

    async def test_nor_in_one_batch_out_of_order(self) -> None:
        world = World()
        await world.take(event(conversation(4), "delete", at=1), event(conversation(3), at=2))
        assert world.c().deleted

    async def test_a_work_items_late_event_writes_nothing_to_it(self) -> None:
        world = World().put(work_item(3))
        await world.one(event(conversation(4), "delete"))
        rev = world.c().rev
        end = await world.one(event(work_item(9, status="assigned", user="u-1")))
        assert code_of(end) == "IN_SYNC"
        assert world.c().rev == rev

    async def test_a_newer_write_than_the_deletion_stands(self) -> None:
        world = World()
        await world.one(event(conversation(4), "delete"))
        await world.one(event(conversation(5, deleted=False)))
        assert not world.c().deleted


def held(spot: Spot, session: str = "s-1", item_size: int = 1) -> set[tuple[str, Place]]:
    return {("w-1", Place(session=session, spot=spot, item_size=item_size))}


class TestSessions:
    async def test_a_snapshot_that_we_apply_takes_its_place(self) -> None:
        world = World()
        await world.one(event(work_item(2, status="assigned", user="u-1", session="s-1", itemSize=3)))
        assert world.places() == held(Spot.WORK_ITEMS, item_size=3)

    async def test_and_moves(self) -> None:
        world = World()
        steps = [
            (work_item(2, status="routed", session="s-1"), held(Spot.PENDING_ITEM, item_size=0)),
            (work_item(3, status="assigned", user="u-1", session="s-1"), held(Spot.WORK_ITEMS)),
            (
                work_item(4, status="assigned", user="u-1", session="s-1", itemSize=2),
                held(Spot.WORK_ITEMS, item_size=2),
            ),
            (work_item(5, status="wrap-up", user="u-1", session="s-1", paused=True), held(Spot.PAUSED_WORK_ITEMS)),
            (work_item(6, status="assigned", user="u-2", session="s-2"), held(Spot.WORK_ITEMS, "s-2")),
            (work_item(7, status="completed", user="u-2"), set()),
        ]
        for snapshot, places in steps:
            await world.one(event(snapshot))
            assert world.places() == places == world.places_said()

    async def test_one_that_is_stored_already_moves_nothing(self) -> None:
        data = work_item(2, status="assigned", user="u-1", session="s-1")
        world = World().put(data)
        await world.one(event(data))
        assert world.places() == set()

    async def test_a_command_moves_too(self) -> None:
        world = World()
        await world.take(event(work_item(2), at=0), event(conversation(2, users=("u-1",)), at=1))
        assert (world.w().session, world.places()) == ("s-1", held(Spot.WORK_ITEMS))
        await world.one(event(conversation(3, users=("u-1",), status="snoozed"), at=2))
        assert world.places() == held(Spot.PAUSED_WORK_ITEMS)
        await world.one(event(conversation(4, users=("u-2",)), at=3))
        assert world.places() == held(Spot.WORK_ITEMS, "s-2")
        await world.one(event(conversation(5, status="done"), at=4))
        assert world.places() == set()

    async def test_a_snapshot_and_a_command_in_one_batch_are_one_move(self) -> None:
        world = World().put(conversation(2))
        await world.one(event(work_item(2, status="assigned", user="u-1", session="s-1")))
        await world.take(
            event(work_item(3, status="assigned", user="u-1", session="s-1", paused=True), at=1),
            event(conversation(4, users=("u-2",)), at=2),
        )
        assert world.places() == held(Spot.WORK_ITEMS, "s-2") == world.places_said()

    async def test_an_agent_without_a_session_gets_the_assignment_all_the_same(self) -> None:
        world = World().put(work_item(2))
        await world.one(event(conversation(2, users=("u-9",))))
        assert (world.w().assigned_to, world.w().session) == ("u-9", None)


class TestOneBatch:
    async def test_events_of_one_conversation_are_taken_in_order_of_publication(self) -> None:
        world = World().put(work_item(2))
        ends = await world.take(
            event(conversation(4, users=("u-1",), status="done"), at=3),
            event(conversation(2, users=("u-2",)), at=1),
            event(conversation(3, users=("u-1",)), at=2),
        )
        assert [end.audit.updated_work_item for end in ends] == [
            {"status": "completed", "rev": 4},
            {"assignedTo": "u-2", "rev": 2},
            {"assignedTo": "u-1", "rev": 3},
        ]
        assert [message["body"]["data"]["attributes"]["rev"] for message in world.announced()] == [3, 4, 5]
        assert world.w().rev == 5

    async def test_ties_go_by_revision_and_those_that_do_not_say_come_first(self) -> None:
        world = World().put(work_item(2))
        silent = event(conversation(2, users=("u-2",)))
        del silent["createdAt"]
        ends = await world.take(event(conversation(4), at=1), event(conversation(3, users=("u-1",)), at=1), silent)
        assert [end.audit.conversation_rev for end in ends] == [4, 3, 2]
        assert world.w().assigned_to is None

    async def test_both_sides_of_a_pair_are_one_plan(self) -> None:
        world = World()
        await world.take(
            event(conversation(2, queue="q-1"), at=1),
            event(work_item(1, status="ivr"), at=2),
            event(conversation(3, queue="q-1", users=("u-1",)), at=3),
        )
        assert world.store.state("c-1").version == 1
        assert world.places() == world.places_said()

    async def test_conversations_do_not_touch_each_other(self) -> None:
        world = World().put(work_item(2, key="w-1", of="c-1"), work_item(2, key="w-2", of="c-2"))
        ends = await world.take(
            event(conversation(2, key="c-2", users=("u-2",))), event(conversation(2, users=("u-1",)))
        )
        assert [end.audit.work_item_id for end in ends] == ["w-2", "w-1"]
        assert (world.w("w-1").assigned_to, world.w("w-2").assigned_to) == ("u-1", "u-2")

    async def test_the_same_event_twice_has_one_effect(self) -> None:
        snapshot = event(conversation(2, users=("u-1",)))
        world = World().put(work_item(2))
        ends = await world.take(snapshot, snapshot)
        assert [code_of(end) for end in ends] == ["APPLIED", "IN_SYNC"]
        stored = world.stored()
        assert code_of(await world.one(snapshot)) == "IN_SYNC"
        assert world.stored() == stored
        assert len(world.announced()) == 1

    async def test_a_duplicate_of_what_has_been_overtaken_by_our_own_write_is_stale(self) -> None:
        snapshot = event(work_item(2, user="u-1", status="assigned"))
        world = World().put(conversation(2))
        await world.one(snapshot)
        await world.one(event(conversation(4, users=("u-2",))))
        stored = world.stored()
        assert code_of(await world.one(snapshot)) == "STALE_REV"
        assert world.stored() == stored


class TestSuccession:
    """A conversation's next work-item, and the one before."""

    OLD = work_item(3, key="w-1", number=1, status="assigned", user="u-1", session="s-1")
    NEW = event(work_item(1, key="w-2", number=2, status="queued", queue="q-1"), at=5)

    async def test_before_its_predecessors_completion_it_comes_again(self) -> None:
        world = World()
        await world.take(event(conversation(3, users=("u-1",))), event(self.OLD))
        stored = world.stored()
        end = await world.one(self.NEW)
        assert end.outcome == Retry(reason="AWAITING_PREDECESSOR")
        assert end.audit.outcome == "failed"
        assert [reason.code for reason in end.audit.reasons] == ["AWAITING_PREDECESSOR"]
        assert world.stored() == stored

    async def test_once_the_completion_is_in_it_works(self) -> None:
        world = World()
        await world.take(event(conversation(3, users=("u-1",))), event(self.OLD))
        await world.one(self.NEW)
        await world.one(event(work_item(4, key="w-1", number=1, status="completed", user="u-1"), at=4))
        assert world.c().status == "done"
        assert code_of(await world.one(self.NEW)) == "APPLIED"
        assert world.w("w-2").active
        assert world.c().queue == "q-1"
        assert world.store.state("c-1").work_item == "w-2"
        assert world.places() == set()

    async def test_in_one_batch_both_work_in_order(self) -> None:
        world = World()
        await world.take(event(conversation(3, users=("u-1",))), event(self.OLD))
        ends = await world.take(self.NEW, event(work_item(4, key="w-1", number=1, status="completed"), at=4))
        assert [code_of(end) for end in ends] == ["APPLIED", "APPLIED"]
        assert world.store.state("c-1").work_item == "w-2"

    async def test_one_that_arrives_completed_waits_for_nobody(self) -> None:
        world = World().put(conversation(3, status="done"), self.OLD)
        end = await world.one(event(work_item(5, key="w-2", number=2, status="completed")))
        assert isinstance(end.outcome, Done)
        assert not world.w("w-2").active

    @pytest.mark.parametrize("status", ["queued", "completed"])
    async def test_an_event_of_a_superseded_work_item_causes_nothing(self, status: str) -> None:
        world = World().put(conversation(3), work_item(1, key="w-2", number=2))
        end = await world.one(event(work_item(4, key="w-1", number=1, status=status, user="u-1")))
        assert end.outcome == Done(reason="NO_ACTIVE_WORK_ITEM")
        assert world.c().rev == 3
        assert world.w("w-2").rev == 1
        assert world.announced() == []

    async def test_the_audit_of_a_superseded_work_items_event_names_it_and_not_its_successor(self) -> None:
        world = World().put(conversation(3), work_item(1, key="w-2", number=2))
        end = await world.one(event(work_item(4, key="w-1", number=1, status="queued")))
        assert end.audit.work_item_id == "w-1"
        assert end.audit.work_item_rev != 1

    async def test_a_late_completion_of_a_superseded_one_does_not_end_the_conversation(self) -> None:
        world = World()
        await world.take(event(conversation(3)), event(work_item(1, key="w-2", number=2, status="completed"), at=1))
        assert world.c().status == "done"
        await world.one(event(conversation(5), at=2))
        end = await world.one(event(work_item(4, key="w-1", number=1, status="completed"), at=3))
        assert code_of(end) == "NO_ACTIVE_WORK_ITEM"
        assert world.c().status == "open"


@pytest.mark.parametrize("name", ["kustomer.conversation.note.delete", "kustomer.conversation.merge"])
async def test_of_an_unsupported_event_the_revision_is_observed_and_nothing_else(name: str) -> None:
    """Whatever its name says, it buries no conversation and changes no field that we would know of."""
    world = World().put(conversation(3), work_item(1))
    stray = {**event(conversation(4)), "name": name}
    stray["data"]["attributes"]["deleted"] = True
    await world.one(stray)
    state = world.store.state("c-1")
    assert state.conversation_observed == ((4, 4),)
    assert (state.deleted_rev, dict(state.changed), dict(state.view)) == (None, {}, {})
    await world.one(event(conversation(5)))
    assert world.w().active


async def test_an_unsupported_create_of_a_work_item_says_nothing_of_what_it_knew() -> None:
    world = World().put(conversation(3), work_item(1))
    await world.one({**event(work_item(2)), "name": "kustomer.work-item.note.create"})
    assert dict(world.store.state("c-1").known) == {}
