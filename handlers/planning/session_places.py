"""Work-items on sessions: where the sessions hold them, and the moves to where the work-items say they are."""

from collections.abc import Iterable, Mapping, Sequence

from commands.session import Session, SessionMove, SessionPlace, SessionSlot, apply_moves, place_of
from commands.work_item import WorkItem

Placements = Mapping[str, Sequence[SessionPlace]]
"""By work-item id: the places at which the loaded sessions hold it."""


def placements_of(sessions: Iterable[Session]) -> Placements:
    """The places of all work-items on these sessions."""
    places: dict[str, list[SessionPlace]] = {}
    for session in sessions:
        lists = (
            (SessionSlot.WORK_ITEMS, session.work_items),
            (SessionSlot.PAUSED_WORK_ITEMS, session.paused_work_items),
        )
        for slot, entries in lists:
            for entry in entries:
                place = SessionPlace(session=session.id, slot=slot, item_size=entry.item_size)
                places.setdefault(entry.id, []).append(place)
        if session.pending_item is not None:
            place = SessionPlace(session=session.id, slot=SessionSlot.PENDING_ITEM, item_size=0)
            places.setdefault(session.pending_item, []).append(place)
    return places


def moves_to_places(
    items: Sequence[WorkItem], placements: Placements, sessions: Mapping[str, Session]
) -> tuple[SessionMove, ...]:
    """The moves after which the loaded sessions hold each item where it says it is, and nowhere else.

    A session that is not loaded is left alone: it has ended or is another user's. An item takes no pending place that
    another item holds, unless that one is of `items`, too, and leaves it.
    """
    leaving = [
        SessionMove(work_item=item.id, leave=place, take=None)
        for item in items
        for place in placements.get(item.id, ())
        if place != place_of(item)
    ]
    if leaving:
        # An entry leaves its list by the item's id, whatever its size is.
        sessions = {**sessions, **apply_moves(sessions, leaving)}
        placements = placements_of(sessions.values())
    taking = [
        SessionMove(work_item=item.id, leave=place, take=place, only_if_free=True)
        for item in items
        if (place := place_of(item)) is not None
        and placements.get(item.id, ()).count(place) != 1
        and _is_free(place, item, sessions)
    ]
    return (*leaving, *taking)


def _is_free(place: SessionPlace, item: WorkItem, sessions: Mapping[str, Session]) -> bool:
    session = sessions.get(place.session)
    if session is None:
        return False
    return place.slot is not SessionSlot.PENDING_ITEM or session.pending_item in (None, item.id)
