"""Cases 3, 4 and 14: a fresh deployment, a lively chat with a lost event, and many gaps at once."""

from datetime import timedelta

import pytest

from handlers.options import Options
from tests.causality.cases.histories import ACCEPTED_UNSAID, QUEUED, QUEUED_BEFORE_THE_START
from tests.causality.stories.pair_world import PairWorld
from tests.causality.stories.story import ANNA, CONVERSATION, Story, conversation, message, work_item
from tests.handlers.small_ports import START

GAP = timedelta(seconds=Options().gap_seconds)


@pytest.mark.parametrize("before_s", [20.0, 30.0, 50.0], ids=lambda before_s: f"{before_s:g} s before")
def test_case_3_a_fresh_deployment_takes_nobody_off_whom_it_sees_accept(before_s: float) -> None:
    world = PairWorld.at_the_start(Story(name="3", writes=()), Options(deployed_at=START))
    for write in QUEUED_BEFORE_THE_START:
        world.write(write)
    world.clock.at += timedelta(hours=1)
    world.write(message("the customer writes"))
    world.clock.at += timedelta(seconds=before_s)
    accepted = world.write(ACCEPTED_UNSAID)
    assert accepted is not None
    world.deliver([accepted])
    for _ in range(12):
        world.clock.at += timedelta(seconds=15)
        world.poll(GAP)
    assert not world.waits()
    assert (world.conversation.assigned_users, world.item("w1").assigned_to) == ((ANNA,), ANNA)
    assert (world.conversation.queue, world.item("w1").queue, world.item("w1").status) == ("chat", "chat", "assigned")


def test_case_4_a_lively_chat_waits_no_longer_than_a_quiet_one() -> None:
    """One event of the conversation is lost; the customer writes every 20 s; the poll looks every 5 s."""
    world = PairWorld.at_the_start(Story(name="4", before=QUEUED, writes=()), Options())
    world.write(message("a message whose event is lost"))
    accepted = world.write(work_item("Anna accepts", {"accepted": {"by": ANNA}}, knew=0))
    assert accepted is not None
    world.deliver([accepted])
    began = world.clock.now()
    for number in range(1, 25 * 60 // 5):
        world.clock.at += timedelta(seconds=5)
        if number % 4 == 0:
            event = world.write(message(f"message {number}"))
            assert event is not None
            world.deliver([event])
        world.poll(GAP)
        if world.conversation.assigned_users:
            break
    assert world.conversation.assigned_users == (ANNA,)
    assert GAP < world.clock.now() - began <= GAP + timedelta(seconds=5)


def test_case_14_many_gaps_at_once_lose_no_assignment() -> None:
    """139 writes of the conversation within three seconds; every other event is late, the assignment's the latest."""
    world = PairWorld.at_the_start(Story(name="14", before=QUEUED, writes=()), Options())
    writes = [message("the first message"), conversation("a workflow assigns Anna", assignedUsers=[ANNA])]
    writes += [message(f"message {number}") for number in range(137)]
    events = [event for write in writes if (event := world.write(write)) is not None]
    assert len(events) == 139
    late = events[1::2]
    for event in (*events[::2], *late[1:]):
        world.deliver([event])
    assert len(world.store.state(CONVERSATION).conversation_observed) == 2
    world.deliver(late[:1])
    assert (world.conversation.assigned_users, world.item("w1").assigned_to) == ((ANNA,), ANNA)
