"""Cases 11, 12 and 13: updates without `changes`, conversations that are gone, the predecessor's syncs."""

import pytest

from handlers.options import Options
from tests.causality.cases.histories import (
    ASSIGNED,
    ASSIGNED_WITHOUT_CHANGES,
    ASSIGNED_WITHOUT_CHANGES_THEN_WRITTEN,
    QUEUED,
)
from tests.causality.outside import event_of_write, published_event
from tests.causality.stories.orders import all_orders
from tests.causality.stories.pair_world import PairWorld
from tests.causality.stories.story import ANNA, CONVERSATION, Story, conversation, message, work_item
from tests.handlers.wire_events import read
from worker.settings.settings import Settings
from worker.store.documents import Collection
from worker.store.memory.store import MemoryStore


class TestCase11:
    @pytest.mark.parametrize(
        ("story", "interleavings"), [(ASSIGNED_WITHOUT_CHANGES, 1), (ASSIGNED_WITHOUT_CHANGES_THEN_WRITTEN, 15)]
    )
    def test_case_11_an_update_without_changes_assigns_anna(self, story: Story, interleavings: int) -> None:
        found = all_orders(story)
        assert found.interleavings == interleavings
        assert found.count_unlike(c_assignee=(ANNA,), w1_assignee=ANNA) == 0

    def test_case_11_a_relationship_with_the_same_id_before_and_after_is_no_change(self) -> None:
        world = PairWorld.at_the_start(Story(name="11", before=QUEUED, writes=()), Options())
        moved = world.write(work_item("queue rules move it", {"queue": "sales"}))
        before = world.store.conversation(CONVERSATION)
        world.write(message("the customer writes"))
        after = world.store.conversation(CONVERSATION)
        assert moved is not None
        assert before is not None
        assert after is not None
        raw = published_event(before, after)
        link = after["relationships"]["queue"]
        raw["changes"]["relationships"]["queue"] = {"op": "replace", "before": link, "after": link}
        for event in (read(raw), moved):
            world.deliver([event])
        assert (world.conversation.queue, world.item("w1").queue) == ("sales", "sales")


class TestCase12:
    """The owner has removed the conversation's document; the state and the work-item stand."""

    @pytest.mark.parametrize("late", [(), (0,), (1,), (0, 1)], ids=["alone", "an update", "a deletion", "both"])
    @pytest.mark.parametrize("deletion_first", [True, False], ids=["deletion first", "deletion last"])
    def test_case_12_no_event_brings_it_back(self, late: tuple[int, ...], deletion_first: bool) -> None:
        world = PairWorld.at_the_start(Story(name="12", before=ASSIGNED, writes=()), Options())
        updates = [
            world.write(message("a text of the customer's")),
            world.write(conversation("an administrator marks it", deleted=True)),
        ]
        document = world.store.conversation(CONVERSATION)
        assert document is not None
        removed = read({**published_event(None, document), "name": "kustomer.conversation.delete"})
        world.store = _without_conversation(world.store)
        others = [event for number in late if (event := updates[number]) is not None]
        for event in [removed, *others] if deletion_first else [*others, removed]:
            world.deliver([event])
        assert world.store.conversation(CONVERSATION) is None
        assert "a text of the customer's" not in repr(world.store.documents(Collection.SYNC_STATES))
        assert world.item("w1").status == "completed"


class TestCase13:
    """The predecessor's syncs are observed and cause nothing; there is no setting that repairs them."""

    def test_case_13_a_predecessors_de_queue_causes_nothing(self) -> None:
        world = PairWorld.at_the_start(Story(name="13", before=ASSIGNED, writes=()), Options())
        before, state = world.store.work_item("w1"), world.store.state(CONVERSATION)
        world.write(work_item("the predecessor de-queues it", {"queue": None, "assignedTo": None}))
        after, values, syncs = world.store.work_item("w1"), world.values(), world.syncs
        assert before is not None
        assert after is not None
        world.deliver([event_of_write(before, after, sync=True)])
        world.poll_at_the_end()
        assert (world.values(), world.syncs) == (values, syncs)
        observed = world.store.state(CONVERSATION)
        assert observed.work_item_observed == ((1, after["rev"]),)
        assert (observed.changed, observed.known, observed.known_at) == (state.changed, state.known, state.known_at)

    def test_case_13_no_setting_repairs_them(self) -> None:
        assert "repair_foreign_syncs" not in Options.__struct_fields__
        assert "repair_foreign_syncs" not in Settings.model_fields


def _without_conversation(store: MemoryStore) -> MemoryStore:
    other = MemoryStore()
    other.put_state(CONVERSATION, store.state(CONVERSATION))
    for document in store.documents(Collection.WORK_ITEMS):
        other.put_work_item(document)
    return other
