"""A conversation's next work-item and its predecessor; and unsupported events, whose revision alone is observed."""

import pytest

from handlers.options import PolicyInUse
from handlers.outcome import Done, Retry
from tests.handlers.wire_events import changes, conversation, event, work_item
from tests.handlers.world import EITHER_POLICY, World, code_of


@EITHER_POLICY
class TestSuccession:
    """A conversation's next work-item, and its predecessor."""

    OLD = work_item(3, key="w-1", number=1, status="assigned", user="u-1", session="s-1")
    NEW = event(work_item(1, key="w-2", number=2, status="queued", queue="q-1", resourceRev=3), at=5)

    async def test_before_its_predecessors_completion_it_comes_again(self, policy: PolicyInUse) -> None:
        world = World(policy=policy)
        await world.take(event(conversation(3, users=("u-1",))), event(self.OLD))
        stored = world.stored()
        end = await world.one(self.NEW)
        assert end.outcome == Retry(reason="AWAITING_PREDECESSOR")
        assert end.audit.outcome == "failed"
        assert [reason.code for reason in end.audit.reasons] == ["AWAITING_PREDECESSOR"]
        assert world.stored() == stored

    async def test_once_the_completion_is_in_it_works(self, policy: PolicyInUse) -> None:
        world = World(policy=policy)
        await world.take(event(conversation(3, users=("u-1",))), event(self.OLD))
        await world.one(self.NEW)
        await world.one(event(work_item(4, key="w-1", number=1, status="completed", user="u-1"), at=4))
        assert world.c().status == "done"
        assert code_of(await world.one(self.NEW)) == "APPLIED"
        assert world.w("w-2").active
        assert world.c().queue == "q-1"
        # Its maker did not know of the completion, so rule A7 of policy `causal` opens the conversation again.
        assert world.c().status == ("open" if policy is PolicyInUse.CAUSAL else "done")
        assert world.store.state("c-1").work_item == "w-2"
        assert world.places() == set()

    async def test_in_one_batch_with_it_the_new_one_is_the_pairs(self, policy: PolicyInUse) -> None:
        world = World(policy=policy)
        await world.take(event(conversation(3, users=("u-1",))), event(self.OLD))
        ends = await world.take(self.NEW, event(work_item(4, key="w-1", number=1, status="completed"), at=4))
        assert code_of(ends[0]) == "APPLIED"
        assert isinstance(ends[1].outcome, Done)
        assert not world.w("w-1").active
        assert world.store.state("c-1").work_item == "w-2"
        assert world.c().queue == "q-1"

    async def test_one_that_arrives_completed_does_not_wait(self, policy: PolicyInUse) -> None:
        world = World(policy=policy).put(conversation(3, status="done"), self.OLD)
        end = await world.one(event(work_item(5, key="w-2", number=2, status="completed")))
        assert isinstance(end.outcome, Done)
        assert not world.w("w-2").active

    @pytest.mark.parametrize("status", ["queued", "completed"])
    async def test_an_event_of_a_superseded_work_item_causes_nothing(self, policy: PolicyInUse, status: str) -> None:
        world = World(policy=policy).put(conversation(3), work_item(1, key="w-2", number=2))
        end = await world.one(event(work_item(4, key="w-1", number=1, status=status, user="u-1")))
        assert end.outcome == Done(reason="NO_ACTIVE_WORK_ITEM")
        assert world.c().rev == 3
        assert world.w("w-2").rev == 1
        assert world.announced() == []

    async def test_the_audit_of_a_superseded_work_items_event_names_it_and_not_its_successor(
        self, policy: PolicyInUse
    ) -> None:
        world = World(policy=policy).put(conversation(3), work_item(1, key="w-2", number=2))
        end = await world.one(event(work_item(4, key="w-1", number=1, status="queued")))
        assert end.audit.work_item_id == "w-1"
        assert end.audit.work_item_rev != 1

    async def test_a_late_completion_of_a_superseded_one_does_not_end_the_conversation(
        self, policy: PolicyInUse
    ) -> None:
        world = World(policy=policy)
        await world.take(event(conversation(3)), event(work_item(1, key="w-2", number=2, status="completed"), at=1))
        assert world.c().status == "done"
        await world.one(event(conversation(5), at=2, changes=changes({"status": ("done", "open")})))
        end = await world.one(event(work_item(4, key="w-1", number=1, status="completed"), at=3))
        assert code_of(end) == "NO_ACTIVE_WORK_ITEM"
        assert world.c().status == "open"


@EITHER_POLICY
@pytest.mark.parametrize("name", ["kustomer.conversation.note.delete", "kustomer.conversation.merge"])
async def test_of_an_unsupported_event_the_revision_is_observed_and_nothing_else(
    name: str, policy: PolicyInUse
) -> None:
    """An unsupported name deletes no conversation and changes no shared field."""
    world = World(policy=policy).put(conversation(3), work_item(1))
    stray = {**event(conversation(4)), "name": name}
    stray["data"]["attributes"]["deleted"] = True
    await world.one(stray)
    state = world.store.state("c-1")
    assert state.conversation_observed == ((4, 4),)
    assert (state.deleted_rev, dict(state.changed), dict(state.view)) == (None, {}, {})
    await world.one(event(conversation(5)))
    assert world.w().active


@EITHER_POLICY
async def test_an_unsupported_create_of_a_work_item_says_nothing_of_what_it_knew(policy: PolicyInUse) -> None:
    world = World(policy=policy).put(conversation(3), work_item(1))
    await world.one({**event(work_item(2)), "name": "kustomer.work-item.note.create"})
    assert dict(world.store.state("c-1").known) == {}


async def test_an_older_active_work_item_leaves_the_later_ones_history_alone() -> None:
    """The older one's event comes last: the state stays the later one's, and repeating all events changes nothing."""
    world = World()
    later = event(work_item(1, key="w-2", number=2, status="completed"), at=5)
    older = [event(conversation(1), at=1), event(work_item(1, key="w-1", number=1), at=20)]
    await world.one(later)
    await world.take(*older)
    assert world.store.state("c-1").work_item_observed == ((1, 1),)
    before = world.stored()
    await world.one(later)
    await world.take(*older)
    assert world.stored() == before
