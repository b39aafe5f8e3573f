"""Work-sessions, and a work-item's place on them.

A place is a function of the work-item, and a session change is the difference between the place before and the place
after: leave one, take the other. Nothing is counted up or down, so nothing can drift (commands.md, *Sessions*).
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from commands.work_item import Status, WorkItem


class SessionSlot(StrEnum):
    """The lists of a session an item can be in; each item is in at most one, on at most one session."""

    WORK_ITEMS = "workItems"
    PAUSED_WORK_ITEMS = "pausedWorkItems"
    PENDING_ITEM = "pendingItem"


class SessionPlace(Struct, frozen=True, kw_only=True):
    """One item's place: which session, which of its lists, and the capacity it is listed with."""

    session: str
    slot: SessionSlot
    item_size: int


class SessionMove(Struct, frozen=True, kw_only=True):
    """One item leaves a place, takes a place, or both; never neither."""

    work_item: str
    leave: SessionPlace | None
    take: SessionPlace | None


class SessionEntry(Struct, frozen=True, kw_only=True):
    """An entry in a session's list."""

    id: str
    item_size: int


class Session(Struct, frozen=True, kw_only=True):
    """One agent's stretch of work. Counts and capacity in use are derived from the lists, never stored."""

    id: str
    user: str
    active: bool = True
    capacity: int = 0
    work_items: tuple[SessionEntry, ...] = ()
    paused_work_items: tuple[SessionEntry, ...] = ()
    pending_item: str | None = None

    @property
    def used_capacity(self) -> int:
        """The sizes of the items being worked on; may exceed `capacity`, an assignment is never refused for it."""
        return sum(held.item_size for held in self.work_items)

    @property
    def free_capacity(self) -> int:
        """What is left, never below zero nor above the total."""
        return min(max(self.capacity - self.used_capacity, 0), max(self.capacity, 0))

    @property
    def routable(self) -> bool:
        """A pending item takes no capacity but locks the session."""
        return self.active and self.pending_item is None


DEFAULT_ITEM_SIZE = 1


def place_of(item: WorkItem | None) -> SessionPlace | None:
    """Where the item stands on a session, or None for nowhere.

    Assigned or wrap-up: among the session's items, or its paused ones. Routed: its pending item. Else nowhere.
    """
    if item is None or item.session is None:
        return None
    size = DEFAULT_ITEM_SIZE if item.item_size is None else item.item_size
    if item.status in (Status.ASSIGNED, Status.WRAP_UP):
        slot = SessionSlot.PAUSED_WORK_ITEMS if item.paused else SessionSlot.WORK_ITEMS
        return SessionPlace(session=item.session, slot=slot, item_size=size)
    if item.status is Status.ROUTED:
        # A pending item takes no capacity: it is listed by its id alone.
        return SessionPlace(session=item.session, slot=SessionSlot.PENDING_ITEM, item_size=0)
    return None


def move_between(before: WorkItem | None, after: WorkItem) -> SessionMove | None:
    """The session change that a change of the work-item entails, or None."""
    leave, take = place_of(before), place_of(after)
    if leave == take:
        return None
    return SessionMove(work_item=after.id, leave=leave, take=take)


def apply_moves(sessions: Mapping[str, Session], moves: Iterable[SessionMove]) -> dict[str, Session]:
    """The sessions that `moves` change, after them. Sessions not in `sessions` are passed over."""
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
            return replace(session, work_items=tuple(held for held in session.work_items if held.id != item))
        case SessionSlot.PAUSED_WORK_ITEMS:
            rest = tuple(held for held in session.paused_work_items if held.id != item)
            return replace(session, paused_work_items=rest)
        case SessionSlot.PENDING_ITEM:
            return replace(session, pending_item=None if session.pending_item == item else session.pending_item)


def _with(session: Session, place: SessionPlace, item: str) -> Session:
    without = _without(session, place, item)
    held = SessionEntry(id=item, item_size=place.item_size)
    match place.slot:
        case SessionSlot.WORK_ITEMS:
            return replace(without, work_items=(*without.work_items, held))
        case SessionSlot.PAUSED_WORK_ITEMS:
            return replace(without, paused_work_items=(*without.paused_work_items, held))
        case SessionSlot.PENDING_ITEM:
            return replace(without, pending_item=item)
