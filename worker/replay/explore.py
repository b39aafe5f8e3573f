"""`explore`: every order in which a conversation's events could have been delivered, and where each of them ends.

Outside writes keep the order in which they were captured; the event of a write may be delivered at any time after it.
So n events have 1·3·5·…·(2n-1) interleavings, and more with events delivered again. States are searched layer by
layer, a step a layer; ways that meet are counted together. Deliveries of our own syncs do nothing and are no steps.
"""

import json
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

from msgspec import Struct

from handlers.dry_run.flat_form import shown_conversation, shown_work_item
from handlers.outcome import HandledEvent, Retry
from worker.errors import TooManyStates
from worker.replay.contract_check import OutsideWrites
from worker.replay.pair_archive import PairState
from worker.replay.state_space import AGAIN, ExplorationState, ExplorationStep, WriteHistory

StepPath = tuple[ExplorationStep, ...]


class EndState(Struct, frozen=True, kw_only=True):
    """Interleavings that end alike; the documents are those of the example, the shortest way there."""

    count: int
    pair_state: PairState
    violations: tuple[Mapping[str, Any], ...]
    example: StepPath
    sync_writes: int

    @property
    def rank(self) -> tuple[int, int, StepPath]:
        """The least is the one to show: the fewest steps, then the fewest writes of ours, then writes first."""
        return (len(self.example), self.sync_writes, self.example)


class _Reached(Struct, frozen=True, kw_only=True):
    """A state, how many ways lead to it, and the first of them."""

    state: ExplorationState
    count: int
    path: StepPath


class Exploration:
    """One conversation's search. `advance` is called for every state."""

    def __init__(self, history: WriteHistory, *, duplicates: int, states_max: int, advance: Callable[[], None]) -> None:
        self._history = history
        self._duplicates = duplicates
        self._states_max = states_max
        self._advance = advance
        self._states = 0
        self._ends: dict[str, EndState] = {}

    async def run(self) -> list[EndState]:
        """The end states, most frequent first. Raises TooManyStates and NotReenacted."""
        start = _Reached(state=await self._history.start(self._duplicates), count=1, path=())
        layer: dict[object, _Reached] = {self._history.key(start.state): start}
        while layer:
            layer = await self._next(layer)
        return sorted(self._ends.values(), key=lambda end: (-end.count, end.rank))

    async def handled(self, path: StepPath) -> tuple[list[HandledEvent | None], PairState]:
        """What came of each step of a way, None for a write, and how the pair stands at its end."""
        state = await self._history.start(self._duplicates)
        ends: list[HandledEvent | None] = []
        for step in path:
            state, end = await self._history.after(state, step)
            ends.append(end)
        return ends, self._history.pair_state(await self._history.polled(state))

    async def _next(self, layer: Mapping[object, _Reached]) -> dict[object, _Reached]:
        following: dict[object, _Reached] = {}
        for reached in layer.values():
            self._states += 1
            self._advance()
            if self._states > self._states_max:
                raise TooManyStates
            blocked = True
            for step in self._history.steps(reached.state):
                state, end = await self._history.after(reached.state, step)
                if end is not None and isinstance(end.outcome, Retry):
                    continue
                blocked = blocked and step[0] == AGAIN
                _meet(following, self._history.key(state), state, reached, step)
            if blocked:
                await self._note_end(reached)
        return following

    async def _note_end(self, reached: _Reached) -> None:
        state = await self._history.polled(reached.state)
        pair_state = self._history.pair_state(state)
        told = tuple(
            reduce(OutsideWrites.with_write, state.written, OutsideWrites()).broken(pair_state, state.sync_writes)
        )
        end = EndState(
            count=reached.count,
            pair_state=pair_state,
            violations=told,
            example=reached.path,
            sync_writes=state.sync_writes,
        )
        key = json.dumps([_alike(pair_state), told], sort_keys=True)
        known = self._ends.get(key)
        if known is None:
            self._ends[key] = end
        else:
            first = min(known, end, key=lambda each: each.rank)
            self._ends[key] = EndState(
                count=known.count + end.count,
                pair_state=first.pair_state,
                violations=told,
                example=first.example,
                sync_writes=first.sync_writes,
            )


def _meet(
    following: dict[object, _Reached], key: object, state: ExplorationState, reached: _Reached, step: ExplorationStep
) -> None:
    path = (*reached.path, step)
    met = following.get(key)
    if met is None:
        following[key] = _Reached(state=state, count=reached.count, path=path)
    else:
        first = met if met.path <= path else _Reached(state=state, count=0, path=path)
        following[key] = _Reached(state=first.state, count=met.count + reached.count, path=first.path)


_NOT_COMPARED = frozenset({"id", "rev"})
_COMPARED_OF_ITEM = ("status", "assignedTo", "queue", "paused")


def _alike(pair_state: PairState) -> list[Any]:
    """What two ends have in common that are shown as one: neither revisions nor times nor how often it was queued."""
    conversation, item = pair_state.conversation, pair_state.work_item
    of_conversation = None
    if conversation is not None:
        flat = shown_conversation(conversation)
        of_conversation = {name: value for name, value in flat.items() if name not in _NOT_COMPARED}
    if item is None:
        return [of_conversation, None]
    flat_item = shown_work_item(item)
    return [of_conversation, item["_id"], {name: flat_item.get(name) for name in _COMPARED_OF_ITEM}]
