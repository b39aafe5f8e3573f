"""The independent count of places: from the raw work-items, which session holds which of them, and where."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any


def places_wrong(sessions: Iterable[Mapping[str, Any]], items: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Sessions that hold other work-items than those that say so, a line each."""
    expected: dict[tuple[str, str], set[tuple[str, float]]] = {}
    for item in items:
        place = _place(item)
        if place is not None:
            expected.setdefault(place, set()).add((item["_id"], _size(item) if place[1] != "pendingItem" else 0))
    for session in sessions:
        for slot in ("workItems", "pausedWorkItems", "pendingItem"):
            wanted = expected.pop((session["_id"], slot), set())
            found = _held(session, slot)
            if found != wanted:
                yield f"{session['_id']} {slot}: {sorted(found - wanted)} too many, {sorted(wanted - found)} missing"
            if slot != "pendingItem" and len(session[slot]) != len(found):
                yield f"{session['_id']} {slot} holds a work-item twice"
    for session_id, slot in expected:
        yield f"{session_id} {slot}: the session is not stored"


def _place(item: Mapping[str, Any]) -> tuple[str, str] | None:
    attributes = item["attributes"]
    session = ((item["relationships"].get("workSession") or {}).get("data") or {}).get("id")
    if session is None:
        return None
    if attributes["status"] in ("assigned", "wrap-up"):
        return session, "pausedWorkItems" if attributes["paused"] else "workItems"
    return (session, "pendingItem") if attributes["status"] == "routed" else None


def _size(item: Mapping[str, Any]) -> float:
    size = item["attributes"].get("itemSize")
    return 1 if size is None else max(float(size), 0)


def _held(session: Mapping[str, Any], slot: str) -> set[tuple[str, float]]:
    if slot == "pendingItem":
        return {(session[slot], 0)} if session[slot] else set()
    return {(entry["id"], float(entry["itemSize"])) for entry in session[slot]}
