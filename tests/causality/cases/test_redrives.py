"""Case 6: an event published two hours ago comes back from the dead-letter queue every 45 seconds."""

from datetime import timedelta

from handlers.options import Options
from tests.causality.cases.histories import QUEUED
from tests.causality.stories.pair_world import PairWorld
from tests.causality.stories.story import ANNA, Story, message, work_item
from tests.worker.consumer.consumer_bench import body
from tests.worker.consumer.watermark_bench import watermark_bench

REDRIVEN = '"createdAt": "2024-05-06T05:08:09Z", "data"'


async def test_case_6_a_redriven_event_holds_up_no_pair() -> None:
    world = PairWorld.at_the_start(Story(name="6", before=QUEUED, writes=()), Options())
    async with watermark_bench() as bench:
        await bench.wait(70)
        world.write(message("a message whose event is lost"))
        accepted = world.write(work_item("Anna accepts", {"accepted": {"by": ANNA}}, knew=0))
        assert accepted is not None
        world.deliver([accepted])
        for rev in (1, 2):
            assert world.waits()
            bench.publish(body("c1", rev).replace('"data"', REDRIVEN))
            await bench.wait(45)
            world.clock.at += timedelta(seconds=45)
            world.poll(timedelta(seconds=bench.behind_s()))
    assert not world.waits()
    assert world.conversation.assigned_users == (ANNA,)
