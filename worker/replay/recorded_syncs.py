"""The captured syncs, each beside our decision on the event that caused it.

The worker that made the capture syncs in the event's direction: an event of the work-item causes a sync of the
conversation, and the other way round. The cause of a sync is the latest outside event of the other side before it.
Decisions are held back until the next thousand decisions are made, so that the syncs in between find their causes.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sync.gates import Side
from worker.replay.captured_events import CapturedEvent

_ATTRIBUTES: Final = {
    "conversation": ("status", "assignedUsers", "ended", "deleted"),
    "work-item": ("status", "paused"),
}
_RELATIONSHIPS: Final = {"conversation": ("queue",), "work-item": ("queue", "assignedTo")}
_UPDATED: Final = {"conversation": "updatedConversation", "work-item": "updatedWorkItem"}
_FOLLOWS: Final = frozenset({"status", "ended", "deleted", "paused"})
"""Fields that the worker's command may write beside the decided ones: no difference by themselves."""
_CAUSE: Final[Mapping[Side, Side]] = {"conversation": "work-item", "work-item": "conversation"}


@dataclass(slots=True, kw_only=True)
class DecisionLine:
    """A decision to be printed: its audit record, its time, and the captured syncs that its event caused.

    `event`: the conversation's id and the event's side; None where no outside event caused the decision.
    """

    wire: Mapping[str, Any]
    at: datetime
    event: tuple[str, Side] | None = None
    recorded: dict[str, Any] | None = field(default=None)

    @property
    def differs(self) -> bool:
        """Whether the captured syncs wrote something else than we decide; False where no sync was captured."""
        if self.recorded is None:
            return False
        return any(_differs(self.recorded[name] or {}, self.wire[name] or {}) for name in _UPDATED.values())


class RecordedSyncs:
    """Holds `held_max` decisions back, adds the captured syncs to them, and releases them in their order."""

    def __init__(self, release: Callable[[DecisionLine], None], held_max: int) -> None:
        self._release = release
        self._held_max = held_max
        self._held: deque[DecisionLine] = deque()
        self._latest: dict[tuple[str, Side], DecisionLine] = {}

    def add(self, line: DecisionLine) -> None:
        """The next decision."""
        self._held.append(line)
        if line.event is not None:
            self._latest[line.event] = line
        if len(self._held) > self._held_max:
            self._release_oldest()

    def add_sync(self, captured: CapturedEvent) -> None:
        """A captured sync, added to the decision on its cause; without effect if that decision is released already."""
        event = captured.event
        line = self._latest.get((event.conversation_id, _CAUSE[event.side]))
        if line is None:
            return
        if line.recorded is None:
            line.recorded = {"updatedConversation": None, "updatedWorkItem": None, "events": []}
        name = _UPDATED[event.side]
        written = _written(captured.raw, event.side)
        earlier = line.recorded[name] or {"rev": event.rev - 1}
        # The fields stand first in the order of the latest sync, and hold its values.
        line.recorded[name] = {**written, **earlier, **written}
        line.recorded["events"].append({"id": event.id, "name": event.name, "rev": event.rev})

    def finish(self) -> None:
        """The capture has ended: release every decision that is left."""
        while self._held:
            self._release_oldest()

    def _release_oldest(self) -> None:
        line = self._held.popleft()
        if line.event is not None and self._latest[line.event] is line:
            del self._latest[line.event]
        self._release(line)


def _differs(recorded: Mapping[str, Any], ours: Mapping[str, Any]) -> bool:
    """Whether the two writes differ. A field that ours empties and the recorded one does not name was empty before."""
    names = {*recorded, *ours} - {"rev"}
    return any(
        _comparable(recorded.get(name)) != _comparable(ours.get(name)) or (name in recorded and name not in ours)
        for name in names
        if name in ours or name not in _FOLLOWS
    )


def _comparable(value: Any) -> Any:
    """The value, a queue as its id, and an empty value as None."""
    return (value.get("id") if isinstance(value, Mapping) else value) or None


def _written(raw: Mapping[str, Any], side: Side) -> dict[str, Any]:
    """The shared fields that a sync changed, by their names in the audit record."""
    changes = raw.get("changes") or {}
    attributes, relationships = changes.get("attributes") or {}, changes.get("relationships") or {}
    written = {name: attributes[name].get("after") for name in _ATTRIBUTES[side] if name in attributes}
    for name in _RELATIONSHIPS[side]:
        if name in relationships:
            after = ((relationships[name].get("after") or {}).get("data") or {}).get("id")
            written[name] = {"id": after} if name == "queue" else after
    return written
