"""The moves of work-items on work-sessions, merged into one change per session and transaction.

The result equals that of the moves one after the other (`commands.session.apply_moves`). A change has two steps, which
a database can execute on a session that it has not read: first all removals, then all additions. An item that takes a
place is removed from that place first, so that a new size replaces the old one and a repeated move changes nothing.
"""

from collections.abc import Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from commands.session import Session, SessionEntry, SessionMove, SessionPlace, SessionSlot

_LIST_SLOTS = (SessionSlot.WORK_ITEMS, SessionSlot.PAUSED_WORK_ITEMS)
"""The slots that are lists of entries. The third slot, the pending item, holds one id or none."""


class SessionChange(Struct, frozen=True, kw_only=True):
    """The change of one session.

    `pulled` has the ids to remove from each list, `added` the entries to append to it, in order. The pending item is
    removed if it is one of `pending_leaves`. `pending` is empty, or holds the pending item's new value.
    `pending_allowed`: the change is not written if the session has another pending item than one of these; None: it is
    written whichever it has.
    """

    session: str
    pulled: Mapping[SessionSlot, tuple[str, ...]]
    added: Mapping[SessionSlot, tuple[SessionEntry, ...]]
    pending_leaves: tuple[str, ...]
    pending: tuple[()] | tuple[str | None]
    pending_allowed: tuple[str, ...] | None = None


def session_changes(moves: Iterable[SessionMove]) -> tuple[SessionChange, ...]:
    """One change for each session that the moves name, in the order of the sessions' ids."""
    drafts: dict[str, _SessionChangeDraft] = {}
    for move in moves:
        if move.leave is not None:
            drafts.setdefault(move.leave.session, _SessionChangeDraft()).leave(move.leave, move.work_item)
        if move.take is not None:
            drafts.setdefault(move.take.session, _SessionChangeDraft()).take(
                move.take, move.work_item, only_if_free=move.only_if_free
            )
    return tuple(drafts[session].change(session) for session in sorted(drafts))


def is_pending_place_taken(session: Session, change: SessionChange) -> bool:
    """Whether another item holds the pending place that the change may take only if it is free."""
    allowed = change.pending_allowed
    return allowed is not None and session.pending_item is not None and session.pending_item not in allowed


def changed_session(session: Session, change: SessionChange) -> Session:
    """The session after the change."""
    pending = None if session.pending_item in change.pending_leaves else session.pending_item
    return replace(
        session,
        work_items=_changed(session.work_items, SessionSlot.WORK_ITEMS, change),
        paused_work_items=_changed(session.paused_work_items, SessionSlot.PAUSED_WORK_ITEMS, change),
        pending_item=change.pending[0] if change.pending else pending,
    )


def _changed(entries: tuple[SessionEntry, ...], slot: SessionSlot, change: SessionChange) -> tuple[SessionEntry, ...]:
    pulled = change.pulled.get(slot, ())
    return (*(entry for entry in entries if entry.id not in pulled), *change.added.get(slot, ()))


class _SessionChangeDraft:
    """Collects the moves of one session."""

    def __init__(self) -> None:
        self._pulled: dict[SessionSlot, dict[str, None]] = {slot: {} for slot in _LIST_SLOTS}
        self._added: dict[SessionSlot, dict[str, float]] = {slot: {} for slot in _LIST_SLOTS}
        self._pending_leaves: dict[str, None] = {}
        self._pending: tuple[()] | tuple[str | None] = ()
        self._only_if_free = False

    def leave(self, place: SessionPlace, item: str) -> None:
        if place.slot is not SessionSlot.PENDING_ITEM:
            self._pulled[place.slot][item] = None
            self._added[place.slot].pop(item, None)
        elif self._pending == ():
            self._pending_leaves[item] = None
        elif self._pending == (item,):
            self._pending = (None,)

    def take(self, place: SessionPlace, item: str, *, only_if_free: bool) -> None:
        if place.slot is SessionSlot.PENDING_ITEM:
            self._pending, self._only_if_free = (item,), only_if_free
            return
        self.leave(place, item)
        self._added[place.slot][item] = place.item_size

    def change(self, session: str) -> SessionChange:
        return SessionChange(
            session=session,
            pulled={slot: tuple(ids) for slot, ids in self._pulled.items() if ids},
            added={
                slot: tuple(SessionEntry(id=item, item_size=size) for item, size in sizes.items())
                for slot, sizes in self._added.items()
                if sizes
            },
            pending_leaves=() if self._pending else tuple(self._pending_leaves),
            pending=self._pending,
            pending_allowed=self._allowed() if self._only_if_free else None,
        )

    def _allowed(self) -> tuple[str, ...]:
        taking = (item for item in self._pending if item is not None)
        return tuple(dict.fromkeys((*taking, *self._pending_leaves)))
