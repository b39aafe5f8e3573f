"""The captured syncs, each beside our decision on the event that caused it.

The captured worker syncs in one direction only: a work-item event causes a conversation sync, and a conversation event
causes a work-item sync. The cause of a sync is the newest outside event before it of the other side. A decision is
buffered until `held_max` more decisions have been made. A sync captured in that time is added to the decision that
caused it.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sync.gates import Side
from worker.replay.captured_events import CapturedEvent

_SYNCED_ATTRIBUTES: Final = {
    "conversation": ("status", "assignedUsers", "ended", "deleted"),
    "work-item": ("status", "paused"),
}
_SYNCED_RELATIONSHIPS: Final = {"conversation": ("queue",), "work-item": ("queue", "assignedTo")}
_AUDIT_KEY_BY_SIDE: Final = {"conversation": "updatedConversation", "work-item": "updatedWorkItem"}
_SIDE_EFFECT_FIELDS: Final = frozenset({"status", "ended", "deleted", "paused"})
"""Fields that a sync may change although no rule decided them: a command that un-assigns a work-item sets its status.
Such a change alone is not a difference."""
_CAUSE_SIDE_BY_SYNC_SIDE: Final[Mapping[Side, Side]] = {"conversation": "work-item", "work-item": "conversation"}


@dataclass(slots=True, kw_only=True)
class DecisionLine:
    """One line of the report: an audit record, its time, and the captured syncs added so far.

    `cause_key`: the conversation's id and the side of the outside event that caused the decision; None where no outside
    event did. `recorded`: None without a captured sync, else `{updatedConversation, updatedWorkItem, events}` as in
    docs/replay.md, *Observe*.
    """

    audit_json: Mapping[str, Any]
    at: datetime
    cause_key: tuple[str, Side] | None = None
    recorded: dict[str, Any] | None = None

    @property
    def differs(self) -> bool:
        """Whether the captured syncs wrote other values than the decision; False without a captured sync."""
        if self.recorded is None:
            return False
        return any(
            _is_other_write(self.recorded[key] or {}, self.audit_json[key] or {}) for key in _AUDIT_KEY_BY_SIDE.values()
        )


class RecordedSyncs:
    """Buffers up to `held_max` decisions, adds the captured syncs to them, and passes them to `release` in order."""

    def __init__(self, release: Callable[[DecisionLine], None], held_max: int) -> None:
        self._release = release
        self._held_max = held_max
        self._held: deque[DecisionLine] = deque()
        self._latest: dict[tuple[str, Side], DecisionLine] = {}

    def add(self, line: DecisionLine) -> None:
        """Buffer a decision; the oldest one is released if more than `held_max` are buffered."""
        self._held.append(line)
        if line.cause_key is not None:
            self._latest[line.cause_key] = line
        if len(self._held) > self._held_max:
            self._release_oldest()

    def add_sync(self, captured: CapturedEvent) -> None:
        """Add a captured sync to the decision on its cause. No effect if that decision is already released."""
        event = captured.event
        line = self._latest.get((event.conversation_id, _CAUSE_SIDE_BY_SYNC_SIDE[event.side]))
        if line is None:
            return
        if line.recorded is None:
            line.recorded = {"updatedConversation": None, "updatedWorkItem": None, "events": []}
        key = _AUDIT_KEY_BY_SIDE[event.side]
        written = _written_fields(captured.raw, event.side)
        earlier = line.recorded[key] or {"rev": event.rev - 1}
        # The newest sync's fields come first, in its order, and with its values.
        line.recorded[key] = {**written, **earlier, **written}
        line.recorded["events"].append({"id": event.id, "name": event.name, "rev": event.rev})

    def finish(self) -> None:
        """Release every buffered decision: the capture has ended."""
        while self._held:
            self._release_oldest()

    def _release_oldest(self) -> None:
        line = self._held.popleft()
        if line.cause_key is not None and self._latest[line.cause_key] is line:
            del self._latest[line.cause_key]
        self._release(line)


def _is_other_write(recorded: Mapping[str, Any], decided: Mapping[str, Any]) -> bool:
    """Whether the recorded write and the decided write set different values.

    A field that the decision clears and the recorded write does not name was empty before, so both leave it empty.
    """
    names = {*recorded, *decided} - {"rev"}
    return any(
        _comparable(recorded.get(name)) != _comparable(decided.get(name)) or (name in recorded and name not in decided)
        for name in names
        if name in decided or name not in _SIDE_EFFECT_FIELDS
    )


def _comparable(value: Any) -> Any:
    """The value to compare: of a queue its id, and None for every empty value."""
    return (value.get("id") if isinstance(value, Mapping) else value) or None


def _written_fields(raw: Mapping[str, Any], side: Side) -> dict[str, Any]:
    """The shared fields in the `changes` of a sync, by their names in the audit record, each with its value after."""
    changes = raw.get("changes") or {}
    attributes, relationships = changes.get("attributes") or {}, changes.get("relationships") or {}
    written = {name: attributes[name].get("after") for name in _SYNCED_ATTRIBUTES[side] if name in attributes}
    for name in _SYNCED_RELATIONSHIPS[side]:
        if name in relationships:
            after = ((relationships[name].get("after") or {}).get("data") or {}).get("id")
            written[name] = {"id": after} if name == "queue" else after
    return written
