"""What the worker that made the capture did about an event, as far as the capture tells: its syncs.

That worker synced in the event's own direction, so a sync of the conversation was caused by an event of the work-item
and the other way round: by the latest outside one before it. It is looked for among the next thousand events; that
long a decision is held back before it is told.
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
"""What a write of other fields may bring with it: no difference by itself."""
_CAUSE: Final[Mapping[Side, Side]] = {"conversation": "work-item", "work-item": "conversation"}


@dataclass(slots=True, kw_only=True)
class DecisionLine:
    """A decision to be told, the time, and what was recorded about its event; `event` None: no captured one asked."""

    wire: Mapping[str, Any]
    at: datetime
    event: tuple[str, Side] | None = None
    recorded: dict[str, Any] | None = field(default=None)

    @property
    def differs(self) -> bool:
        """Whether what was recorded is something else than what we decided. Where nothing was, nobody knows."""
        if self.recorded is None:
            return False
        return any(_differ(self.recorded[name] or {}, self.wire[name] or {}) for name in _UPDATED.values())


class RecordedSyncs:
    """Holds lines back until what follows them is known; hands them on in their order."""

    def __init__(self, hand_on: Callable[[DecisionLine], None], held_max: int) -> None:
        self._hand_on = hand_on
        self._held_max = held_max
        self._held: deque[DecisionLine] = deque()
        self._latest: dict[tuple[str, Side], DecisionLine] = {}

    def add(self, line: DecisionLine) -> None:
        """The next decision."""
        self._held.append(line)
        if line.event is not None:
            self._latest[line.event] = line
        if len(self._held) > self._held_max:
            self._release()

    def add_sync(self, captured: CapturedEvent) -> None:
        """A captured sync: it belongs to the event that caused it, if that is still at hand."""
        event = captured.event
        line = self._latest.get((event.conversation_id, _CAUSE[event.side]))
        if line is None:
            return
        if line.recorded is None:
            line.recorded = {"updatedConversation": None, "updatedWorkItem": None, "events": []}
        name = _UPDATED[event.side]
        before = line.recorded[name] or {"rev": event.rev - 1}
        line.recorded[name] = {**_written(captured.raw, event.side), **before, **_written(captured.raw, event.side)}
        line.recorded["events"].append({"id": event.id, "name": event.name, "rev": event.rev})

    def finish(self) -> None:
        """Nothing follows."""
        while self._held:
            self._release()

    def _release(self) -> None:
        line = self._held.popleft()
        if line.event is not None and self._latest[line.event] is line:
            del self._latest[line.event]
        self._hand_on(line)


def _differ(recorded: Mapping[str, Any], ours: Mapping[str, Any]) -> bool:
    """A field that ours empties and the record does not name was empty before."""
    names = {*recorded, *ours} - {"rev"}
    return any(
        _plain(recorded.get(name)) != _plain(ours.get(name)) or (name in recorded and name not in ours)
        for name in names
        if name in ours or name not in _FOLLOWS
    )


def _plain(value: Any) -> Any:
    """A queue's id without its object; what is empty is None."""
    return (value.get("id") if isinstance(value, Mapping) else value) or None


def _written(raw: Mapping[str, Any], side: Side) -> dict[str, Any]:
    """The shared fields that a sync changed, in the names of the audit."""
    changes = raw.get("changes") or {}
    attributes, relationships = changes.get("attributes") or {}, changes.get("relationships") or {}
    written = {name: attributes[name].get("after") for name in _ATTRIBUTES[side] if name in attributes}
    for name in _RELATIONSHIPS[side]:
        if name in relationships:
            after = ((relationships[name].get("after") or {}).get("data") or {}).get("id")
            written[name] = {"id": after} if name == "queue" else after
    return written
