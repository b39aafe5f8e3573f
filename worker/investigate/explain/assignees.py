"""Whom a write assigned and un-assigned, by its changes."""

from collections.abc import Sequence
from typing import Final

from worker.investigate.timeline.entry import TimelineEntry

_USERS: Final = ("assignedUsers", "assignedTo")


def unassigned_by(entry: TimelineEntry) -> tuple[str, ...]:
    """The agents whom the write un-assigned."""
    return tuple(
        user
        for change in entry.changes or ()
        if change.name in _USERS
        for user in _ids(change.before)
        if user not in _ids(change.after)
    )


def assigned_by(entry: TimelineEntry) -> tuple[str, ...]:
    """The agents whom the write assigned."""
    return tuple(
        user
        for change in entry.changes or ()
        if change.name in _USERS
        for user in _ids(change.after)
        if user not in _ids(change.before)
    )


def _ids(value: object) -> Sequence[str]:
    if isinstance(value, str):
        return [value]
    return [each for each in value if isinstance(each, str)] if isinstance(value, list | tuple) else []
