"""Work-sessions, and a work-item's place on them.

A place is a function of the work-item. A session change is the difference between the place before and the place after:
leave one, take the other. No count is stored, so none can drift (docs/commands.md, *Sessions*).
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final, assert_never

from msgspec import Struct
from msgspec.structs import replace

from commands.work_item import Status, WorkItem


class SessionSlot(StrEnum):
    """Where on a session an item can be. An item is in at most one slot, of at most one session."""

    WORK_ITEMS = "workItems"
    PAUSED_WORK_ITEMS = "pausedWorkItems"
    PENDING_ITEM = "pendingItem"


class SessionPlace(Struct, frozen=True, kw_only=True):
    """An item's place: a session, a slot of it, and the item's size there."""

    session: str
    slot: SessionSlot
    item_size: float


class SessionMove(Struct, frozen=True, kw_only=True):
    """A change of an item's place: it leaves a place, takes a place, or both.

    `only_if_free`: if another item holds the pending place that this one takes, the move is not written, nor anything
    else of its transaction: it was decided on a session that has changed.
    """

    work_item: str
    leave: SessionPlace | None
    take: SessionPlace | None
    only_if_free: bool = False


class SessionEntry(Struct, frozen=True, kw_only=True):
    """An item in a session's list."""

    id: str
    item_size: float


class Session(Struct, frozen=True, kw_only=True):
    """One agent's stretch of work. Counts and used capacity are derived from the lists, never stored."""

    id: str
    user: str
    active: bool = True
    capacity: int = 0
    work_items: tuple[SessionEntry, ...] = ()
    paused_work_items: tuple[SessionEntry, ...] = ()
    pending_item: str | None = None

    @property
    def used_capacity(self) -> float:
        """The sum of the sizes of `work_items`. It may exceed `capacity`: an assignment is never refused for it."""
        return sum(capacity_of(entry.item_size) for entry in self.work_items)

    @property
    def free_capacity(self) -> float:
        """The capacity left, never below zero nor above the total."""
        return min(max(self.capacity - self.used_capacity, 0), max(self.capacity, 0))

    @property
    def routable(self) -> bool:
        """Whether the router may offer this session an item. A pending item takes no capacity but locks the session."""
        return self.active and self.pending_item is None


DEFAULT_ITEM_SIZE: Final = 1
"""The size of an item whose queue sets none."""


def capacity_of(item_size: float | None) -> float:
    """The capacity that an item of this size takes: a negative size counts as 0, no size as `DEFAULT_ITEM_SIZE`."""
    return DEFAULT_ITEM_SIZE if item_size is None else max(item_size, 0)


def without_item(session: Session, item: str) -> Session:
    """The session as it is without the item: an item's own place never stands in its way."""
    return replace(
        session,
        work_items=tuple(entry for entry in session.work_items if entry.id != item),
        pending_item=None if session.pending_item == item else session.pending_item,
    )


def place_of(item: WorkItem | None) -> SessionPlace | None:
    """The item's place on a session; None: it has none.

    An assigned item or one in wrap-up is among the session's work-items, or the paused ones. A routed item is pending.
    """
    if item is None or item.session is None:
        return None
    size = capacity_of(item.item_size)
    if item.status in (Status.ASSIGNED, Status.WRAP_UP):
        slot = SessionSlot.PAUSED_WORK_ITEMS if item.paused else SessionSlot.WORK_ITEMS
        return SessionPlace(session=item.session, slot=slot, item_size=size)
    if item.status is Status.ROUTED:
        # A pending item takes no capacity: it is listed by its id alone.
        return SessionPlace(session=item.session, slot=SessionSlot.PENDING_ITEM, item_size=0)
    return None


def move_between(before: WorkItem | None, after: WorkItem) -> SessionMove | None:
    """The session change that follows from a change of the work-item; None where its place is the same."""
    leave, take = place_of(before), place_of(after)
    if leave == take:
        return None
    return SessionMove(work_item=after.id, leave=leave, take=take)


def apply_moves(sessions: Mapping[str, Session], moves: Iterable[SessionMove]) -> dict[str, Session]:
    """The sessions that `moves` change, by id, as they are afterwards. A session that `sessions` lacks is ignored."""
    changed: dict[str, Session] = {}
    for move in moves:
        for place, step in ((move.leave, _without), (move.take, _with)):
            if place is None:
                continue
            session = changed.get(place.session) or sessions.get(place.session)
            if session is not None:
                changed[place.session] = step(session, place, move.work_item)
    return {key: session for key, session in changed.items() if session != sessions[key]}


def _without(session: Session, place: SessionPlace, item: str) -> Session:
    match place.slot:
        case SessionSlot.WORK_ITEMS:
            return replace(session, work_items=tuple(entry for entry in session.work_items if entry.id != item))
        case SessionSlot.PAUSED_WORK_ITEMS:
            rest = tuple(entry for entry in session.paused_work_items if entry.id != item)
            return replace(session, paused_work_items=rest)
        case SessionSlot.PENDING_ITEM:
            return replace(session, pending_item=None if session.pending_item == item else session.pending_item)
        case _:
            assert_never(place.slot)


def _with(session: Session, place: SessionPlace, item: str) -> Session:
    without = _without(session, place, item)
    entry = SessionEntry(id=item, item_size=place.item_size)
    match place.slot:
        case SessionSlot.WORK_ITEMS:
            return replace(without, work_items=(*without.work_items, entry))
        case SessionSlot.PAUSED_WORK_ITEMS:
            return replace(without, paused_work_items=(*without.paused_work_items, entry))
        case SessionSlot.PENDING_ITEM:
            return replace(without, pending_item=item)
        case _:
            assert_never(place.slot)
