"""Drawn orders of a story: deliveries in batches, some of them twice, between the writes."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from handlers.events.event import Event
from handlers.options import Options
from tests.causality.stories.pair_world import PairWorld, Values
from tests.causality.stories.story import Story

T = TypeVar("T")
Choose = Callable[[Sequence[T]], T]
"""Chooses one of several values: a draw."""


def end_of_drawn_order(story: Story, choose: Choose[int], options: Options | None = None) -> Values:
    """What a person sees at the end of one order; `choose` draws each step.

    A step is the next write, or the delivery of one to three events as one batch, of which one may come again.
    """
    world = PairWorld.at_the_start(story, options or Options())
    pending: list[Event] = []
    delivered: list[Event] = []
    written = 0
    while written < len(story.writes) or pending:
        number = choose(range(4)) if pending else 0
        if number == 0 and written < len(story.writes):
            event = world.write(story.writes[written])
            if event is None and pending:
                number = 1
            elif event is None:
                world.leave_out()
                written += 1
                continue
            else:
                pending.append(event)
                written += 1
                continue
        batch = [pending.pop(choose(range(len(pending)))) for _ in range(min(max(number, 1), len(pending)))]
        again = [delivered[choose(range(len(delivered)))]] if delivered and choose(range(4)) == 0 else []
        assert world.deliver([*batch, *again]), "no event of these stories waits for its predecessor"
        delivered += batch
        pending += world.take_own()
    assert not world.waits(), "every event was delivered"
    return world.values()
