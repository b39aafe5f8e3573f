"""Every order of a story: each delivery comes after its write, and writes and deliveries interleave.

A writer whose write is refused now waits until it is possible: the router offers an item once it is queued. If nothing
else can happen the write is left out. The search goes layer by layer and counts interleavings that reach the same state
with the same flips together.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import combinations

from msgspec import Struct, field
from msgspec.structs import replace

from handlers.documents.document_mapping import work_item_of
from handlers.events.event import Event
from handlers.options import Options
from handlers.ports import Document
from tests.causality.search.keys import conversation_key, history_key
from tests.causality.stories.flips import Sight
from tests.causality.stories.pair_world import PairWorld, Values
from tests.causality.stories.story import CONVERSATION, Story
from worker.store.documents import Collection
from worker.store.state_document import state_document

Path = tuple[str, ...]


class StoryEnd(Struct, frozen=True, kw_only=True):
    """Interleavings that end alike for a person. `example`: the first path that ends so."""

    values: Values
    broken_promises: tuple[str, ...]
    count: int
    example: Path


class Orders(Struct, frozen=True, kw_only=True):
    """The orders of a story.

    - `interleavings`: how many there are.
    - `ends`: the ends, the most frequent first.
    - `waiting`: interleavings after which a field still waits, although every event was delivered.
    - `flips`: interleavings by their flips on the conversation and on the work-items.
    - `worst`: a path with the most flips.
    """

    interleavings: int
    ends: tuple[StoryEnd, ...]
    waiting: int
    flips: Counter[tuple[int, int]] = field(default_factory=Counter)
    worst: Path = ()

    @property
    def violations(self) -> int:
        """The interleavings whose end breaks the contract."""
        return sum(end.count for end in self.ends if end.broken_promises)

    @property
    def conversation_flips_max(self) -> int:
        """The most flips on the conversation in one interleaving."""
        return max(of_conversation for of_conversation, _ in self.flips)

    @property
    def work_item_flips_max(self) -> int:
        """The most flips on the work-items in one interleaving."""
        return max(of_items for _, of_items in self.flips)

    @property
    def flips_mean(self) -> float:
        """The flips on both sides, per interleaving."""
        return sum(sum(flips) * count for flips, count in self.flips.items()) / self.interleavings

    def count_unlike(self, **expected: object) -> int:
        """The interleavings that end with another value of one of these fields: `c_assignee=("anna",)`."""
        values = {name.replace("_", " "): value for name, value in expected.items()}
        return sum(end.count for end in self.ends if any(end.values[name] != value for name, value in values.items()))


class _Reached(Struct, frozen=True, kw_only=True):
    world: PairWorld
    sight: Sight
    pending: tuple[tuple[int, Event], ...] = ()
    written: int = 0
    count: int = 1
    path: Path = ()


def all_orders(story: Story, options: Options | None = None) -> Orders:
    """Every interleaving of the story's writes and deliveries, the poll at the end."""
    world = PairWorld.at_the_start(story, options or Options())
    first = _Reached(world=world, sight=Sight(shown=world.shared_fields()))
    layer, ended = [first], list[_Reached]()
    while layer:
        merged: dict[object, _Reached] = {}
        for reached in layer:
            following = list(_following(story, reached))
            if not following:
                ended.append(reached)
            for each in following:
                key = _key(each)
                known = merged.get(key)
                merged[key] = each if known is None else replace(known, count=known.count + each.count)
        layer = list(merged.values())
    return _orders(ended)


def batches_after_outage(
    story: Story, *, outage_s: float, between_s: float = 0.5, options: Options | None = None
) -> Orders:
    """Every order of the deliveries in every partition into batches, once everything is written.

    The deliveries begin `outage_s` seconds after the last write, and the batches are `between_s` seconds apart.
    """
    world = PairWorld.at_the_start(story, options or Options())
    sight = Sight(shown=world.shared_fields())
    events = [event for write in story.writes if (event := world.write(write)) is not None]
    world.clock.at += timedelta(seconds=outage_s)
    first = _Reached(world=world, sight=sight.after_write(world.shared_fields()), pending=tuple(enumerate(events, 1)))
    return _orders(_delivered_in_batches(first, timedelta(seconds=between_s)))


def _delivered_in_batches(reached: _Reached, between: timedelta) -> Iterator[_Reached]:
    if not reached.pending:
        yield reached
    for size in range(1, len(reached.pending) + 1):
        for batch in combinations(reached.pending, size):
            world = reached.world.copy()
            assert world.deliver([event for _, event in batch]), "no event of these histories waits for its predecessor"
            sight = reached.sight.after_sync(world.shared_fields())
            world.clock.at += between
            numbers = " + ".join(str(number) for number, _ in batch)
            rest = tuple(each for each in reached.pending if each not in batch)
            path = (*reached.path, f"deliver {numbers}")
            yield from _delivered_in_batches(
                replace(reached, world=world, sight=sight, pending=rest, path=path), between
            )


def _following(story: Story, reached: _Reached) -> Iterator[_Reached]:
    for place, (number, event) in enumerate(reached.pending):
        world = reached.world.copy()
        if world.deliver([event]):
            rest = (*reached.pending[:place], *reached.pending[place + 1 :])
            yield replace(
                reached,
                world=world,
                sight=reached.sight.after_sync(world.shared_fields()),
                pending=(*rest, *_own_events(world)),
                path=(*reached.path, f"deliver {number}"),
            )
    if reached.written == len(story.writes):
        return
    world = reached.world.copy()
    write, number = story.writes[reached.written], reached.written + 1
    written = world.write(write)
    if written is None and reached.pending:
        return
    if written is None:
        world.leave_out()
    yield replace(
        reached,
        world=world,
        sight=reached.sight.after_write(world.shared_fields()),
        pending=reached.pending if written is None else (*reached.pending, (number, written)),
        written=number,
        path=(*reached.path, f"{number}: {write.what}" if written is not None else f"{number} is left out"),
    )


def _own_events(world: PairWorld) -> list[tuple[int, Event]]:
    """The events of the worker's own outside writes, with numbers beyond those of the story's writes, the same in every
    order."""
    numbers = {"conversation": 1_000, "work-item": 2_000}
    return [(numbers[event.side] + event.rev, event) for event in world.take_own()]


def _orders(ended: Iterable[_Reached]) -> Orders:
    ends: dict[str, StoryEnd] = {}
    flips: Counter[tuple[int, int]] = Counter()
    worst, worst_path, waiting = -1, Path(), 0
    for reached in ended:
        waiting += reached.count if reached.world.waits() else 0
        world = reached.world.copy()
        world.poll_at_the_end()
        world.deliver_own()
        sight = reached.sight.after_sync(world.shared_fields())
        flips[sight.conversation_flips, sight.work_item_flips] += reached.count
        if sight.flips > worst:
            worst, worst_path = sight.flips, reached.path
        broken = world.broken_promises()
        values = world.values()
        key = repr((values, broken))
        count = reached.count + (ends[key].count if key in ends else 0)
        example = ends[key].example if key in ends else reached.path
        ends[key] = StoryEnd(values=values, broken_promises=broken, count=count, example=example)
    return Orders(
        interleavings=flips.total(),
        ends=tuple(sorted(ends.values(), key=lambda end: -end.count)),
        waiting=waiting,
        flips=flips,
        worst=worst_path,
    )


def _key(reached: _Reached) -> object:
    """Two states with the same key have the same future and the same flips; times do not matter."""
    world, document = reached.world, reached.world.store.conversation(CONVERSATION)
    state = state_document(CONVERSATION, world.store.state(CONVERSATION))
    stamps = [bool(state.pop(name)) for name in ("version", "waitingSince", "finishedAt")]
    return (
        None if document is None else conversation_key(document),
        tuple(_timeless(each) for each in world.store.documents(Collection.WORK_ITEMS)),
        json.dumps([state, stamps], sort_keys=True),
        tuple(
            (number, event.rev, event.known_conversation_rev, event.changed_fields) for number, event in reached.pending
        ),
        reached.written,
        world.revs,
        world.outside,
        world.syncs,
        history_key(world.history),
        repr(reached.sight),
    )


def _timeless(document: Document) -> tuple[object, ...]:
    item = work_item_of(document)
    held = (item.assigned_to, item.accepted_by, item.queue, item.routed_to, item.session)
    return (item.id, item.rev, item.status, item.paused, item.queued_count > 0, *held)
