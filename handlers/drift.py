"""Drift as data: what the sweep finds of a pair, and what becomes of it (docs/rules.md, *The sweep*)."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, assert_never

from msgspec import Struct
from msgspec.structs import replace

from commands.instant import format_instant
from commands.reason import ReasonCode
from commands.session import SessionMove, SessionPlace
from handlers.ports import Announcement
from sync.audit import AuditRecord
from sync.conversation import Field


class DriftClass(StrEnum):
    """The classes of drift. A pair with several of them is told under the first."""

    UNREADABLE = "UNREADABLE"
    """A document of the pair cannot be read, or the plan cannot be written."""
    NO_CONVERSATION = "NO_CONVERSATION"
    """An active work-item of a conversation that the store never had."""
    RESTORED = "RESTORED"
    """A document has a lower revision than was stored before: a restored database."""
    CLOSED_CONVERSATION = "CLOSED_CONVERSATION"
    """An active work-item of a conversation that is done or deleted."""
    CHANGED_BY_HAND = "CHANGED_BY_HAND"
    """A value of the conversation changed while its revision stayed."""
    OUT_OF_STEP = "OUT_OF_STEP"
    """An open rule would write a field, and no event of the pair is in flight."""
    UNOBSERVED = "UNOBSERVED"
    """Both records agree, and the event of a stored revision never came."""
    SESSION_PLACE = "SESSION_PLACE"
    """A session holds the work-item at another place than the work-item says, or not at all."""
    NO_WORK_ITEM = "NO_WORK_ITEM"
    """With CREATE_WORK_ITEMS: an open conversation, neither ended nor deleted, without an active work-item."""
    NEVER_QUEUED = "NEVER_QUEUED"
    """A work-item has been in ivr for IVR_SECONDS and was never queued."""
    LEFT_IN_OUTBOX = "LEFT_IN_OUTBOX"
    """Announcements wait in the outbox for long, or were set aside."""


class DriftEnd(StrEnum):
    """What becomes of a drift."""

    REPAIRED = "repaired"
    PLANNED = "planned"
    """The sweep only tells: the repair is known, and nothing was written."""
    TOLD = "told"
    """The sweep has no repair."""
    REFUSED = "refused"
    """The commands refused the update."""
    WAITS = "waits"
    """The pair was written a short time ago, by clocks that may be wrong: it waits for its events by SQS's clock, and
    the gap poll repairs it."""


class LeftAlone(StrEnum):
    """Why a sweep has not judged a pair that differs."""

    WRITTEN = "written"
    """It was written since the watermark: an event of it may be in flight."""
    WAITS = "waits"
    """It waits for an event: the gap poll decides it."""
    CONFLICTS = "conflicts"
    """Other writers were faster, each time."""


class LeftPair(Struct, frozen=True, kw_only=True):
    """A pair that differs and was not judged."""

    conversation_id: str
    why: LeftAlone


class FieldDrift(Struct, frozen=True, kw_only=True):
    """A shared field on which the records differ: both values, which side wins, and the revisions that say so.

    `winner` is `CONVERSATION_IS_NEWER` or `WORK_ITEM_IS_NEWER`, or `FIELD_WAITS` where an event may still decide.
    `changed_rev`: the conversation revision that last changed the field; `known_rev`: the one that the work-item's last
    write of it knew.
    """

    field: Field
    conversation: Any
    work_item: Any
    winner: ReasonCode
    changed_rev: int
    known_rev: int

    def as_wire(self) -> dict[str, Any]:
        """The JSON shape that the sweep prints."""
        return {
            "field": self.field,
            "conversation": self.conversation,
            "workItem": self.work_item,
            "winner": self.winner.value,
            "conversationRev": self.changed_rev,
            "knownRev": self.known_rev,
        }


class Drift(Struct, frozen=True, kw_only=True):
    """One pair's drift. `since`: the later time of writing of its documents; None: it is not known.

    `conversation_fields`, `work_item_fields`: what the repair writes; `creates`: the latter are of a new work-item.
    `moves`: how it moves the work-item on sessions.
    `detail` says more in words, without customers' content.
    """

    kind: DriftClass
    end: DriftEnd
    conversation_id: str | None
    work_item_id: str | None = None
    since: datetime | None = None
    fields: tuple[FieldDrift, ...] = ()
    conversation_fields: Mapping[str, Any] | None = None
    work_item_fields: Mapping[str, Any] | None = None
    creates: bool = False
    moves: tuple[SessionMove, ...] = ()
    detail: str | None = None

    def also_writing(
        self,
        conversation_fields: Mapping[str, Any] | None,
        work_item_fields: Mapping[str, Any] | None,
        work_item_id: str | None,
        *,
        creates: bool,
    ) -> "Drift":
        """The drift whose repair also writes these fields; `creates`: of a new work-item with this id."""
        return replace(
            self,
            work_item_id=work_item_id or self.work_item_id,
            creates=creates,
            conversation_fields=_both(self.conversation_fields, conversation_fields),
            work_item_fields=_both(self.work_item_fields, work_item_fields),
        )

    def as_wire(self) -> dict[str, Any]:
        """The JSON shape that the sweep prints and logs."""
        return {
            "drift": self.kind.value,
            "end": self.end.value,
            "conversationId": self.conversation_id,
            "workItemId": self.work_item_id,
            "since": None if self.since is None else format_instant(self.since),
            "fields": [each.as_wire() for each in self.fields],
            "updatedConversation": None if self.conversation_fields is None else dict(self.conversation_fields),
            "updatedWorkItem": None if self.work_item_fields is None else dict(self.work_item_fields),
            "moves": [_move_as_wire(move) for move in self.moves],
            "detail": self.detail,
        }


class SweepLimits(Struct, frozen=True, kw_only=True):
    """Which pairs a sweep repairs.

    - `watermark`: the time, by SQS's clock, before which nothing sent to the queue is still undelivered. A pair that
      was written since is left alone.
    - `certain_before`: a pair that was written before it has no event in flight, however wrong its writer's clock is.
      A pair that was written between the two, or at an unknown time, waits for its unobserved revisions. The same as
      `watermark`: nothing is in flight.
    - `repair` False: nothing is written, and the drift tells the plan.
    """

    watermark: datetime
    certain_before: datetime
    repair: bool


class SweptPair(Struct, frozen=True, kw_only=True):
    """The ending of a pair in which the sweep found drift; `audit` None: nothing was written."""

    drift: Drift
    audit: AuditRecord | None = None
    announcements: tuple[Announcement, ...] = ()


def told_drift(
    kind: DriftClass,
    conversation_id: str | None,
    *,
    work_item_id: str | None = None,
    since: datetime | None = None,
    detail: str | None = None,
) -> SweptPair:
    """The ending of a pair whose drift the sweep only tells."""
    drift = Drift(
        kind=kind,
        end=DriftEnd.TOLD,
        conversation_id=conversation_id,
        work_item_id=work_item_id,
        since=since,
        detail=detail,
    )
    return SweptPair(drift=drift)


class SweptPage(Struct, frozen=True, kw_only=True):
    """The ending of one call of the sweep: the pairs with drift, those that differ and were left alone, and how many
    repairs were committed."""

    pairs: tuple[SweptPair, ...] = ()
    left_alone: tuple[LeftPair, ...] = ()
    repairs: int = 0


def is_settled(end: DriftEnd) -> bool:
    """Whether nothing of the drift is left for a person."""
    match end:
        case DriftEnd.REPAIRED | DriftEnd.WAITS:
            return True
        case DriftEnd.PLANNED | DriftEnd.TOLD | DriftEnd.REFUSED:
            return False
        case _:
            assert_never(end)


def _both(first: Mapping[str, Any] | None, second: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    return None if first is None and second is None else {**(first or {}), **(second or {})}


def _move_as_wire(move: SessionMove) -> dict[str, Any]:
    return {"workItemId": move.work_item, "leaves": _place_as_wire(move.leave), "takes": _place_as_wire(move.take)}


def _place_as_wire(place: SessionPlace | None) -> dict[str, Any] | None:
    return None if place is None else {"session": place.session, "slot": place.slot.value, "itemSize": place.item_size}
