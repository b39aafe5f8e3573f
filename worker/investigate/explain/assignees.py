"""Whom a write assigned and un-assigned, by its changes."""

from collections.abc import Iterator, Sequence
from typing import Final

from worker.investigate.timeline.entry import TimelineEntry

_USERS: Final = ("assignedUsers", "assignedTo")


def unassigned_by(entry: TimelineEntry) -> tuple[str, ...]:
    """The agents whom the write un-assigned."""
    return tuple(user for before, after in _changed(entry) for user in before if user not in after)


def assigned_by(entry: TimelineEntry) -> tuple[str, ...]:
    """The agents whom the write assigned."""
    return tuple(user for before, after in _changed(entry) for user in after if user not in before)


def _changed(entry: TimelineEntry) -> Iterator[tuple[Sequence[str], Sequence[str]]]:
    """The agents before and after each change of them."""
    for change in entry.changes or ():
        if change.name in _USERS:
            yield _ids(change.before), _ids(change.after)


def _ids(value: object) -> Sequence[str]:
    if isinstance(value, str):
        return [value]
    return [each for each in value if isinstance(each, str)] if isinstance(value, list | tuple) else []
