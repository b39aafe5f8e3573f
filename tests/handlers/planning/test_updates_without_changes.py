"""An update that does not say what it changed is compared with what is known of its document (docs/rules.md, *The sync
state*)."""

import pytest

from tests.handlers.owners import begun
from tests.handlers.wire_events import Json, conversation, event, work_item
from tests.handlers.world import EITHER_POLICY, World, code_of


def silent(data: Json, *, at: float = 60.0) -> Json:
    return event(data, "update", at=at, changes=None)


class TestOfAConversation:
    async def test_with_the_stored_document_one_revision_older(self) -> None:
        """The assignment counts as a change, so A3 takes no agent off."""
        owners = await begun(w={"status": "queued"})
        end = await owners.world.one(silent(conversation(2, users=("u-1",))))
        assert [reason.meta["rule"] for reason in end.audit.reasons] == ["B1"]
        state = owners.world.store.state("c-1")
        assert (state.changed, state.conversation_observed) == ({"assignee": 2}, ((1, 2),))
        assert state.view["assignee"].value == ["u-1"]
        assert (owners.world.c().assigned_users, owners.world.w().assigned_to) == (("u-1",), "u-1")

    async def test_with_the_view_where_its_owner_stored_it_before(self) -> None:
        owners = await begun(w={"status": "queued"})
        owners.c(users=["u-1"])
        end = await owners.world.one(silent(conversation(2, users=("u-1",))))
        assert [reason.meta["rule"] for reason in end.audit.reasons] == ["B1"]
        assert owners.world.store.state("c-1").changed == {"assignee": 2}

    async def test_that_changed_nothing_shared_is_observed(self) -> None:
        owners = await begun()
        end = await owners.world.one(silent(conversation(2, preview="a")))
        state = owners.world.store.state("c-1")
        assert (code_of(end), state.changed, state.conversation_observed) == ("IN_SYNC", {}, ((1, 2),))

    async def test_where_a_revision_between_is_unobserved_it_is_not_noted_and_the_pair_waits(self) -> None:
        """Revision 2 is on its way: either of the two may have assigned the conversation."""
        owners = await begun(w={"status": "queued"})
        assigned = owners.c(users=["u-1"])
        owners.c(preview="a")
        end = await owners.world.one(silent(conversation(3, users=("u-1",), preview="a")))
        assert code_of(end) == "AWAITING_EARLIER_EVENT"
        state = owners.world.store.state("c-1")
        assert (state.changed, state.conversation_observed) == ({}, ((1, 1),))
        await owners.world.one(assigned)
        assert owners.world.w().assigned_to == "u-1"

    async def test_and_the_watermark_ends_that_wait_for_it_as_well(self) -> None:
        owners = await begun(w={"status": "queued"})
        owners.c(users=["u-1"])
        owners.c(preview="a")
        await owners.world.one(silent(conversation(3, users=("u-1",), preview="a")))
        [polled] = await owners.poll()
        assert [reason.meta["rule"] for reason in polled.audit.reasons] == ["B1"]
        state = owners.world.store.state("c-1")
        assert (state.changed, state.conversation_observed) == ({"assignee": 3}, ((1, 3),))

    async def test_a_syncs_is_observed_and_changes_no_field_on_its_side(self) -> None:
        owners = await begun()
        end = await owners.world.one({**silent(conversation(2, users=("u-1",))), "isSync": True})
        state = owners.world.store.state("c-1")
        assert (code_of(end), state.changed, state.conversation_observed) == ("IS_SYNC", {}, ((1, 2),))
        assert state.view["assignee"].value == ["u-1"]

    async def test_a_duplicate_adds_nothing(self) -> None:
        owners = await begun(w={"status": "queued"})
        assigned = silent(conversation(2, users=("u-1",)))
        await owners.world.one(assigned)
        before = owners.world.stored()
        await owners.world.take(assigned, assigned)
        assert owners.world.stored() == before


class TestOfAWorkItem:
    async def test_with_the_stored_document_one_revision_older(self) -> None:
        owners = await begun(c={"queue": "q-1"})
        knew = [{"action": "QUEUE_WORK_ITEM", "code": "QUEUE_RULES_HIT", "meta": {"conversationRev": 1}}]
        queued = silent(work_item(owners.world.w().rev + 1, queue="q-2", status="queued", resourceRev=1))
        end = await owners.world.one({**queued, "routingReasons": knew})
        state = owners.world.store.state("c-1")
        assert [reason.meta["rule"] for reason in end.audit.reasons] == ["A5"]
        assert state.work_item_observed == ((1, end.event.rev),)
        assert (owners.world.c().queue, owners.world.w().queue) == ("q-2", "q-2")

    async def test_where_its_owner_stored_it_before_nothing_is_at_hand_and_the_pair_waits(self) -> None:
        owners = await begun()
        owners.w(user="u-1", status="assigned")
        end = await owners.world.one(silent(work_item(2, user="u-1", status="assigned")))
        assert code_of(end) == "AWAITING_EARLIER_EVENT"
        state = owners.world.store.state("c-1")
        assert (state.touched, state.work_item_observed) == ({}, ((1, 1),))
        [polled] = await owners.poll()
        assert [reason.meta["rule"] for reason in polled.audit.reasons] == ["A2"]
        assert owners.world.c().assigned_users == ("u-1",)


@EITHER_POLICY
@pytest.mark.parametrize("side", ["conversation", "work-item"])
async def test_at_first_sight_nothing_is_at_hand(side: str, policy: str) -> None:
    world = World(policy=policy)
    await world.one(silent(conversation(5) if side == "conversation" else work_item(5)))
    state = world.store.state("c-1")
    assert (state.conversation_observed, state.work_item_observed) == ((), ())
    assert (state.changed, state.touched) == ({}, {})
