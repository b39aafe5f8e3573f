"""A work-item update, parsed from JSON.

| field | values |
|---|---|
| `queue` | null, `{id: null}`, an id, or `{id or key, rule?, enteredAt?}` |
| `assignedTo` | null or a user id |
| `status` | `wrap-up` or `completed` (also `wrapUp`, `wrapup`, `complete`) |
| `paused` | true or false |
| `routed` | `{to: user, workSession?}`, `{rejectedBy: user}` or `{timedOut: user}` |
| `accepted` | `{by: user, workSession?}` |
| `resume` | true; from the sync only (rule B10) |
| `rev` | the work-item revision that the sender expects |
| `resource` | `{rev}`: the revision of the work-item's conversation that the sender knew; other parts are ignored |

`null` clears a field; a field that is missing stays as it is. Nested keys (`{"queue": {"id": q}}`) and dotted keys
(`{"queue.id": q}`) mean the same. A refusal names every fault at once.
"""

import reprlib
from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import Any, Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from commands.instant import format_instant, parse_instant
from commands.reason import Refusal, RefusalCode
from commands.work_item import STATUS_ALIASES, Status


class Unset(Enum):
    """The type of `UNSET`: the update leaves a field as it is. None clears the field."""

    UNSET = "unset"


UNSET: Final = Unset.UNSET

_FIELDS: Final = ("queue", "assignedTo", "status", "paused", "routed", "accepted", "rev")
_RESOURCE: Final = "resource"
"""Read from another service's update alone: the sync hands the revision that it knew to the commands itself."""
_ID_CHARACTERS_MAX: Final = 256
_REVISION_MAX: Final = 2**53 - 1
"""The reader of events takes no higher one: JSON's numbers are exact up to here."""
_SHOWN_CHARACTERS_MAX: Final = 40
_SHORT: Final = reprlib.Repr()
"""Looks into a wrong value no deeper than it is shown: JSON nests deeper than Python's recursion goes."""
_SHORT.maxlevel = 3
_SHORT.maxstring = _SHORT.maxlong = _SHORT.maxother = 2 * _SHOWN_CHARACTERS_MAX


class QueueChoice(Struct, frozen=True, kw_only=True):
    """The queue that an update names, by id or by key. `entered_at` keeps an older place in it."""

    id: str | None = None
    key: str | None = None
    rule: str | None = None
    entered_at: datetime | None = None


class Offer(Struct, frozen=True, kw_only=True):
    """`routed`: the item is offered to a user, or comes back from one."""

    kind: Literal["to", "rejectedBy", "timedOut"]
    user: str
    session: str | None = None


class Acceptance(Struct, frozen=True, kw_only=True):
    """`accepted`: a user takes the item."""

    by: str
    session: str | None = None


class Update(Struct, frozen=True, kw_only=True):
    """A parsed update: at least one field besides `rev` and `resource_rev` is set."""

    queue: QueueChoice | Unset | None = UNSET
    assigned_to: str | Unset | None = UNSET
    status: Literal[Status.WRAP_UP, Status.COMPLETED] | Unset = UNSET
    paused: bool | Unset = UNSET
    routed: Offer | Unset = UNSET
    accepted: Acceptance | Unset = UNSET
    resume: bool = False
    rev: int | Unset = UNSET
    resource_rev: int | Unset = UNSET

    def as_wire(self) -> dict[str, Any]:
        """The update as JSON with nested keys, without `rev` and `resource`."""
        wire: dict[str, Any] = {}
        if not isinstance(self.queue, Unset):
            wire["queue"] = _queue_as_wire(self.queue)
        if not isinstance(self.assigned_to, Unset):
            wire["assignedTo"] = self.assigned_to
        if not isinstance(self.status, Unset):
            wire["status"] = self.status.value
        if not isinstance(self.paused, Unset):
            wire["paused"] = self.paused
        if not isinstance(self.routed, Unset):
            wire["routed"] = _with_session({self.routed.kind: self.routed.user}, self.routed.session)
        if not isinstance(self.accepted, Unset):
            wire["accepted"] = _with_session({"by": self.accepted.by}, self.accepted.session)
        if self.resume:
            wire["resume"] = True
        return wire


_NOTHING: Final = Update()


def parse_update(raw: object, *, from_sync: bool = False) -> Update | Refusal:
    """Parse an update's JSON, or refuse it: `INVALID_UPDATE` names every fault, `UNSUPPORTED_COMBINATION` both fields.

    `resume` is accepted only where the update comes from the sync.
    """
    if not isinstance(raw, Mapping):
        return _invalid([f"the update must be an object, not {_shown(raw)}"])
    reader = _Reader()
    nested = reader.nested(raw)
    known = (*_FIELDS, "resume") if from_sync else _FIELDS
    for name in nested:
        if name not in known and name != _RESOURCE:
            reader.fault(f"unknown field {_shown(name)}: an update may have {', '.join(known)}")
    update = Update(
        queue=reader.queue(nested["queue"]) if "queue" in nested else UNSET,
        assigned_to=reader.user("assignedTo", nested["assignedTo"]) if "assignedTo" in nested else UNSET,
        status=reader.status(nested["status"]) if "status" in nested else UNSET,
        paused=reader.flag("paused", nested["paused"]) if "paused" in nested else UNSET,
        routed=reader.offer(nested["routed"]) if "routed" in nested else UNSET,
        accepted=reader.acceptance(nested["accepted"]) if "accepted" in nested else UNSET,
        resume=from_sync and reader.flag("resume", nested.get("resume", False)) is True,
        rev=reader.revision("rev", nested["rev"]) if "rev" in nested else UNSET,
        resource_rev=UNSET if from_sync else reader.resource_rev(nested.get(_RESOURCE, {})),
    )
    if not reader.faults and replace(update, rev=UNSET, resource_rev=UNSET) == _NOTHING:
        reader.fault(f"the update is empty: name at least one of {', '.join(_FIELDS[:-1])}")
    if reader.faults:
        return _invalid(reader.faults)
    return _unsupported(update) or update


def _unsupported(update: Update) -> Refusal | None:
    if isinstance(update.routed, Unset) and isinstance(update.accepted, Unset):
        return None
    names = list(update.as_wire())
    alone = "routed" if "routed" in names else "accepted"
    clashing = [name for name in names if name != alone and not (alone == "accepted" and name == "paused")]
    if not clashing:
        return None
    return Refusal(
        code=RefusalCode.UNSUPPORTED_COMBINATION,
        message=f"{alone!r} cannot go with {', '.join(map(repr, clashing))}: send them as two updates",
    )


def _invalid(faults: list[str]) -> Refusal:
    return Refusal(
        code=RefusalCode.INVALID_UPDATE, message="; ".join(faults), faults=tuple(faults) if len(faults) > 1 else ()
    )


def _shown(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case _:
            shown = _SHORT.repr(value)
            return shown if len(shown) <= _SHOWN_CHARACTERS_MAX else f"{shown[: _SHOWN_CHARACTERS_MAX - 3]}..."


def _queue_as_wire(queue: QueueChoice | None) -> dict[str, Any] | None:
    if queue is None:
        return None
    wire: dict[str, Any] = {"id": queue.id} if queue.id is not None else {"key": queue.key}
    if queue.rule is not None:
        wire["rule"] = queue.rule
    if queue.entered_at is not None:
        wire["enteredAt"] = format_instant(queue.entered_at)
    return wire


def _with_session(wire: dict[str, Any], session: str | None) -> dict[str, Any]:
    return wire if session is None else {**wire, "workSession": session}


class _Reader:
    """Reads the fields of one update and collects every fault."""

    def __init__(self) -> None:
        self.faults: list[str] = []

    def fault(self, message: str) -> None:
        self.faults.append(message)

    def nested(self, raw: Mapping[Any, Any]) -> dict[str, Any]:
        """The update with dotted keys folded into nested ones. A field that stands in both forms is a fault."""
        nested: dict[str, Any] = {}
        dotted: dict[str, dict[str, Any]] = {}
        for key, value in raw.items():
            head, dot, tail = str(key).partition(".")
            if dot:
                dotted.setdefault(head, {})[tail] = value
            else:
                nested[head] = value
        for head, parts in dotted.items():
            whole = nested.get(head, {})
            if not isinstance(whole, Mapping) or any(part in whole for part in parts):
                self.fault(f"{_shown(head)} stands twice, nested and dotted: send it once")
            else:
                nested[head] = {**whole, **parts}
        return nested

    def queue(self, value: object) -> QueueChoice | None:
        if value is None:
            return None
        if isinstance(value, str):
            return QueueChoice(id=self._id("queue", value))
        parts = self._object("queue", value, ("id", "key", "rule", "enteredAt"), "null, an id or an object")
        if parts is None:
            return None
        if parts.get("id") is None and parts.get("key") is None:
            if "id" not in parts:
                self.fault("'queue' names no queue: give its id or key, or null to leave the queue")
            elif len([part for part in parts if parts[part] is not None]) > 0:
                self.fault("'queue.id' is null, so 'queue' can have no other part")
            return None
        if parts.get("id") is not None and parts.get("key") is not None:
            self.fault("'queue' has an id and a key: give one of them")
        return QueueChoice(
            id=self._optional_id("queue.id", parts.get("id")),
            key=self._optional_id("queue.key", parts.get("key")),
            rule=self._optional_id("queue.rule", parts.get("rule")),
            entered_at=self._instant("queue.enteredAt", parts.get("enteredAt")),
        )

    def user(self, name: str, value: object) -> str | None:
        return self._optional_id(name, value, "null or a user id")

    def status(self, value: object) -> Literal[Status.WRAP_UP, Status.COMPLETED] | Unset:
        match STATUS_ALIASES.get(value) if isinstance(value, str) else None:
            case Status.WRAP_UP:
                return Status.WRAP_UP
            case Status.COMPLETED:
                return Status.COMPLETED
            case _:
                self.fault(f"'status' cannot be set to {_shown(value)}: only to 'wrap-up' or 'completed'")
                return UNSET

    def flag(self, name: str, value: object) -> bool | Unset:
        if isinstance(value, bool):
            return value
        self.fault(f"{name!r} must be true or false, not {_shown(value)}")
        return UNSET

    def revision(self, name: str, value: object) -> int | Unset:
        # JSON has one kind of number: 3.0 is whole.
        whole = int(value) if isinstance(value, float) and value.is_integer() else value
        if isinstance(whole, int) and not isinstance(whole, bool) and 0 < whole <= _REVISION_MAX:
            return whole
        self.fault(f"{name!r} must be a whole number above 0, not {_shown(value)}")
        return UNSET

    def resource_rev(self, value: object) -> int | Unset:
        if not isinstance(value, Mapping):
            self.fault(f"'resource' must be an object, not {_shown(value)}")
            return UNSET
        return self.revision("resource.rev", value["rev"]) if value.get("rev") is not None else UNSET

    def offer(self, value: object) -> Offer | Unset:
        parts = self._object("routed", value, ("to", "rejectedBy", "timedOut", "workSession"), "an object")
        if parts is None:
            return UNSET
        kinds = [kind for kind in ("to", "rejectedBy", "timedOut") if kind in parts]
        if len(kinds) != 1:
            self.fault("'routed' must have exactly one of 'to', 'rejectedBy', 'timedOut'")
            return UNSET
        kind: Literal["to", "rejectedBy", "timedOut"] = (
            "to" if kinds == ["to"] else "rejectedBy" if kinds == ["rejectedBy"] else "timedOut"
        )
        if kind != "to" and "workSession" in parts:
            self.fault("'routed.workSession' goes with 'routed.to' alone")
        session = self._optional_id("routed.workSession", parts.get("workSession"))
        return Offer(kind=kind, user=self._id(f"routed.{kind}", parts[kind]), session=session)

    def acceptance(self, value: object) -> Acceptance | Unset:
        parts = self._object("accepted", value, ("by", "workSession"), "an object")
        if parts is None:
            return UNSET
        session = self._optional_id("accepted.workSession", parts.get("workSession"))
        return Acceptance(by=self._id("accepted.by", parts.get("by")), session=session)

    def _object(self, name: str, value: object, known: tuple[str, ...], wanted: str) -> Mapping[str, Any] | None:
        if not isinstance(value, Mapping):
            self.fault(f"{name!r} must be {wanted}, not {_shown(value)}")
            return None
        for part in value:
            if part not in known:
                self.fault(f"unknown field {_shown(f'{name}.{part}')}: {name!r} may have {', '.join(known)}")
        return value

    def _id(self, name: str, value: object, wanted: str = "an id") -> str:
        if not isinstance(value, str) or not value:
            self.fault(f"{name!r} must be {wanted}, not {_shown(value)}")
            return ""
        # The reader of events refuses a longer one, so the write's own event could not be handled.
        if len(value) > _ID_CHARACTERS_MAX:
            self.fault(f"{name!r} must have at most {_ID_CHARACTERS_MAX} characters, not {len(value)}")
        return value

    def _optional_id(self, name: str, value: object, wanted: str = "null or an id") -> str | None:
        return None if value is None else self._id(name, value, wanted)

    def _instant(self, name: str, value: object) -> datetime | None:
        if value is None:
            return None
        instant = parse_instant(value) if isinstance(value, str) else None
        if instant is None:
            self.fault(f"{name!r} must be an ISO 8601 time with a zone, not {_shown(value)}")
        return instant
