"""Several events of one batch: under either policy, and one by one in order under `legacy`."""

from handlers.options import PolicyInUse
from tests.handlers.wire_events import changes, conversation, event, work_item
from tests.handlers.world import EITHER_POLICY, World, code_of


@EITHER_POLICY
class TestEither:
    async def test_both_sides_of_a_pair_are_one_plan(self, policy: PolicyInUse) -> None:
        world = World(policy=policy)
        await world.take(
            event(conversation(2, queue="q-1"), at=1),
            event(work_item(1, status="ivr"), at=2),
            event(conversation(3, queue="q-1", users=("u-1",)), at=3),
        )
        assert world.store.state("c-1").version == 1
        assert world.places() == world.places_said()

    async def test_conversations_do_not_touch_each_other(self, policy: PolicyInUse) -> None:
        world = World(policy=policy).put(work_item(2, key="w-1", of="c-1"), work_item(2, key="w-2", of="c-2"))
        ends = await world.take(
            event(conversation(2, key="c-2", users=("u-2",))), event(conversation(2, users=("u-1",)))
        )
        assert [end.audit.work_item_id for end in ends] == ["w-2", "w-1"]
        assert (world.w("w-1").assigned_to, world.w("w-2").assigned_to) == ("u-1", "u-2")

    async def test_the_second_of_two_stale_events_is_news_as_it_is_one_by_one(self, policy: PolicyInUse) -> None:
        stale = [event(conversation(2), at=1), event(conversation(3), at=2)]
        together, alone = (World(policy=policy).put(conversation(5), work_item(1)) for _ in range(2))
        ends = await together.take(*stale)
        assert [code_of(end) for end in ends] == [code_of(await alone.one(each)) for each in stale]

    async def test_the_same_event_twice_has_one_effect(self, policy: PolicyInUse) -> None:
        snapshot = event(conversation(2, users=("u-1",)))
        world = World(policy=policy).put(work_item(2))
        ends = await world.take(snapshot, snapshot)
        assert {code_of(end) for end in ends} == {"APPLIED", "IN_SYNC"}
        stored = world.stored()
        assert code_of(await world.one(snapshot)) == "IN_SYNC"
        assert world.stored() == stored
        assert len(world.announced()) == 1

    async def test_a_duplicate_older_than_our_own_write_is_stale(self, policy: PolicyInUse) -> None:
        snapshot = event(work_item(2, user="u-1", status="assigned"))
        world = World(policy=policy).put(conversation(2))
        await world.one(snapshot)
        taken_over = changes({"assignedUsers": (["u-1"], ["u-2"])})
        await world.one(event(conversation(4, users=("u-2",)), changes=taken_over))
        stored = world.stored()
        assert code_of(await world.one(snapshot)) == "STALE_REV"
        assert world.stored() == stored


class TestLegacyTakesThemOneByOne:
    async def test_events_of_one_conversation_are_taken_in_order_of_publication(self) -> None:
        world = World(policy=PolicyInUse.LEGACY).put(work_item(2))
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

    async def test_ties_go_by_revision_and_events_without_a_time_come_first(self) -> None:
        world = World(policy=PolicyInUse.LEGACY).put(work_item(2))
        silent = event(conversation(2, users=("u-2",)))
        del silent["createdAt"]
        ends = await world.take(event(conversation(4), at=1), event(conversation(3, users=("u-1",)), at=1), silent)
        assert [end.audit.conversation_rev for end in ends] == [4, 3, 2]
        assert world.w().assigned_to is None
