"""What a repaired event says against its repair."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from worker.investigate.capture_import.json_repair.repairs import Repair
from worker.investigate.captured_fields import CAPTURED

_AROUND_EVENTS: Final = ("publishedAt", "version", "producer", "hostname", "dd", "time")
"""Names of the objects around an event."""


def field_around(value: Mapping[str, Any]) -> str | None:
    """The first field that the event has, and that belongs to a message or log line around it: the event's closing
    brace is lost before the field. None: it has none."""
    event = _event_in(value)
    return next((name for name in _AROUND_EVENTS if name in event), None)


def contradicted_repair(value: Mapping[str, Any], repairs: Sequence[Repair]) -> str | None:
    """Why a repaired event contradicts itself: a repaired field has one value in `changes` and another in the snapshot.
    None: it does not."""
    event = _event_in(value)
    data, changes = event.get("data"), event.get("changes")
    if not isinstance(data, dict) or not isinstance(changes, dict):
        return None
    for part in ("attributes", "relationships"):
        now, changed = data.get(part), changes.get(part)
        if not isinstance(now, dict) or not isinstance(changed, dict):
            continue
        for repair in repairs:
            for name in set(repair.path) & set(changed):
                change = changed[name]
                if isinstance(change, dict) and "after" in change and change["after"] != now.get(name):
                    shown = name if name in CAPTURED.field("data").field(part).fields else "field"
                    return f"the repaired {shown} contradicts itself: `changes` and the snapshot have two values"
    return None


def _event_in(value: Mapping[str, Any]) -> Mapping[str, Any]:
    while isinstance(inner := value.get("body"), dict):
        value = inner
    return value
