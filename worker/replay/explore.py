"""`explore`: every order in which a conversation's events could have been delivered, and where each order ends.

Outside writes keep their captured order; the event of a write may be delivered at any time after the write. So n
writes have 1·3·5·…·(2n-1) interleavings, and more with duplicate deliveries. Delivering our own syncs changes nothing,
so it is no step.

The search goes layer by layer, one step a layer. Interleavings that reach the same state are counted together.
"""

import json
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from handlers.dry_run.flat_form import shown_conversation, shown_work_item
from handlers.outcome import HandledEvent, Retry
from handlers.ports import Pair
from worker.errors import TooManyStates
from worker.replay.contract_check import OutsideWrites
from worker.replay.pairs.pair_archive import work_item_in
from worker.replay.state_space import REDELIVER, ExplorationState, ExplorationStep, WriteHistory

StepPath = tuple[ExplorationStep, ...]


class EndState(Struct, frozen=True, kw_only=True):
    """Interleavings that end alike. The pair is that of the example, the shortest path to this end."""

    count: int
    pair: Pair
    violations: tuple[Mapping[str, Any], ...]
    example: StepPath
    sync_writes: int

    @property
    def rank(self) -> tuple[int, int, StepPath]:
        """The lowest rank is shown as the example: the fewest steps, then the fewest syncs, then writes first."""
        return (len(self.example), self.sync_writes, self.example)


class _ReachedState(Struct, frozen=True, kw_only=True):
    """A state, the number of interleavings that reach it, and the first of their paths."""

    state: ExplorationState
    count: int
    path: StepPath


class Exploration:
    """The search of one conversation's state space. `advance` is called once for each state."""

    def __init__(self, history: WriteHistory, *, duplicates: int, states_max: int, advance: Callable[[], None]) -> None:
        self._history = history
        self._duplicates = duplicates
        self._states_max = states_max
        self._advance = advance
        self._states = 0
        self._end_states: dict[str, EndState] = {}

    async def run(self) -> list[EndState]:
        """The end states, the most frequent first. Raises TooManyStates and NotReenacted."""
        start = _ReachedState(state=self._history.start(self._duplicates), count=1, path=())
        layer: dict[object, _ReachedState] = {self._history.key(start.state): start}
        while layer:
            layer = await self._next_layer(layer)
        return sorted(self._end_states.values(), key=lambda end_state: (-end_state.count, end_state.rank))

    async def retrace(self, path: StepPath) -> tuple[list[HandledEvent | None], Pair]:
        """What each step of a path did (None for a write), and the pair at its end."""
        state = self._history.start(self._duplicates)
        steps: list[HandledEvent | None] = []
        for step in path:
            state, handled = await self._history.after(state, step)
            steps.append(handled)
        return steps, self._history.pair(await self._history.polled(state))

    async def _next_layer(self, layer: Mapping[object, _ReachedState]) -> dict[object, _ReachedState]:
        following: dict[object, _ReachedState] = {}
        for reached in layer.values():
            self._states += 1
            self._advance()
            if self._states > self._states_max:
                raise TooManyStates
            is_end = True
            for step in self._history.steps(reached.state):
                state, handled = await self._history.after(reached.state, step)
                if handled is not None and isinstance(handled.outcome, Retry):
                    continue
                is_end = is_end and step[0] == REDELIVER
                _merge(
                    following,
                    self._history.key(state),
                    _ReachedState(state=state, count=reached.count, path=(*reached.path, step)),
                )
            if is_end:
                await self._add_end_state(reached)
        return following

    async def _add_end_state(self, reached: _ReachedState) -> None:
        state = await self._history.polled(reached.state)
        pair = self._history.pair(state)
        outside = reduce(OutsideWrites.with_write, state.written, OutsideWrites())
        violations = tuple(outside.violations(pair, state.sync_writes))
        end_state = EndState(
            count=reached.count,
            pair=pair,
            violations=violations,
            example=reached.path,
            sync_writes=state.sync_writes,
        )
        key = json.dumps([_shown(pair), violations], sort_keys=True)
        known = self._end_states.get(key)
        if known is not None:
            first = min(known, end_state, key=lambda each: each.rank)
            end_state = replace(first, count=known.count + end_state.count, violations=violations)
        self._end_states[key] = end_state


def _merge(following: dict[object, _ReachedState], key: object, reached: _ReachedState) -> None:
    """Count the interleavings that reach one state together, and keep the first of their paths."""
    known = following.get(key)
    if known is None:
        following[key] = reached
    else:
        first = known if known.path <= reached.path else reached
        following[key] = replace(first, count=known.count + reached.count)


_CONVERSATION_NOT_COMPARED = frozenset({"id", "rev"})
_WORK_ITEM_COMPARED = ("status", "assignedTo", "queue", "paused")


def _shown(pair: Pair) -> list[Any]:
    """What a user sees of the pair. Ends that look alike are one end state, whatever their revisions and times."""
    conversation, item = pair.conversation, work_item_in(pair)
    shown: dict[str, Any] | None = None
    if conversation is not None:
        flat = shown_conversation(conversation)
        shown = {name: value for name, value in flat.items() if name not in _CONVERSATION_NOT_COMPARED}
    if item is None:
        return [shown, None]
    flat_item = shown_work_item(item)
    return [shown, item["_id"], {name: flat_item.get(name) for name in _WORK_ITEM_COMPARED}]
