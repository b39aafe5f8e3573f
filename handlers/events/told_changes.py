"""What an event tells of the write's changes, as the audit record shows it: the shared fields and the status alone.

| of a conversation | of a work-item |
|---|---|
| `status`, `assignedUsers`, `queue`, `ended`, `deleted` | `status`, `assignedTo`, `routedTo`, `queue`, `paused` |

The values in `changes` are not checked when an event is read, and a producer may put a customer's words there. So a
value is shown only in the form of its field: a known status, a flag, an id, a short list of ids.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from commands.work_item import STATUS_ALIASES
from handlers.events.schema import FieldChange
from sync.conversation import ConversationStatus
from sync.gates import Side

_ID: Final = re.compile(r"[\w.:/@+-]{1,128}", re.ASCII)
_USERS_MAX: Final = 10
"""A conversation has at most ten users (docs/events.md)."""
_STATUSES: Final = frozenset({*STATUS_ALIASES, *(status.value for status in ConversationStatus)})
_UNKNOWN: Final = object()
"""Stands for a value that has not the form of its field."""


def _status(value: Any) -> Any:
    return value if value is None or (isinstance(value, str) and value in _STATUSES) else _UNKNOWN


def _flag(value: Any) -> Any:
    return value if value is None or isinstance(value, bool) else _UNKNOWN


def _id(value: Any) -> Any:
    return value if isinstance(value, str) and _ID.fullmatch(value) else _UNKNOWN


def _users(value: Any) -> Any:
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > _USERS_MAX:
        return _UNKNOWN
    return value if all(_id(user) is not _UNKNOWN for user in value) else _UNKNOWN


def _user(value: Any) -> Any:
    match value:
        case None | {"data": None}:
            return None
        case {"data": {"id": target}} | {"id": target}:
            return _id(target)
        case _:
            return _UNKNOWN


def _queue(value: Any) -> Any:
    target = _user(value)
    return target if target is None or target is _UNKNOWN else {"id": target}


_Shown = Mapping[str, Callable[[Any], Any]]
_ATTRIBUTES: Final[Mapping[Side, _Shown]] = {
    "conversation": {"status": _status, "assignedUsers": _users, "ended": _flag, "deleted": _flag},
    "work-item": {"status": _status, "paused": _flag},
}
_RELATIONSHIPS: Final[Mapping[Side, _Shown]] = {
    "conversation": {"queue": _queue},
    "work-item": {"assignedTo": _user, "routedTo": _user, "queue": _queue},
}


def told_changes(
    side: Side, attributes: Mapping[str, FieldChange], relationships: Mapping[str, FieldChange]
) -> Mapping[str, Any] | None:
    """`{field: {before, after}}` of those fields of `changes` that the write changed; None: the event tells of none.

    A value in another form than its field's is left out.
    """
    told: dict[str, Any] = {}
    for shown, changes in ((_ATTRIBUTES[side], attributes), (_RELATIONSHIPS[side], relationships)):
        for name, form in shown.items() if changes else ():
            change = changes.get(name)
            if change is None:
                continue
            before, after = form(change.get("before")), form(change.get("after"))
            if before is _UNKNOWN or after is _UNKNOWN or before != after:
                told[name] = {
                    key: value for key, value in (("before", before), ("after", after)) if value is not _UNKNOWN
                }
    return told or None


def told_creation(side: Side, snapshot: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """`{field: {after}}` of what a creation gave the document: its status, and its users and queue where it has any.

    `snapshot`: checked already.
    """
    told: dict[str, Any] = {}
    for shown, values in (
        (_ATTRIBUTES[side], snapshot["attributes"]),
        (_RELATIONSHIPS[side], snapshot.get("relationships") or {}),
    ):
        for name, form in shown.items():
            value = form(values.get(name))
            if value is not _UNKNOWN and value:
                told[name] = {"after": value}
    return told or None
