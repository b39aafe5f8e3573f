"""A second reading of the work-sessions of docs/commands.md, for the commands' oracle: which one, what it holds."""

from typing import Any

Json = dict[str, Any]


def active_session(user: str, wanted: str | None, sessions: list[Json]) -> str | None:
    """A user's active session, the requested one before others, or none; of several the one that can take it."""
    theirs = [session for session in sessions if session["user"] == user and session["active"]]
    ids = [session["id"] for session in theirs]
    if wanted in ids or not ids:
        return wanted if ids else None
    unlocked = [session for session in theirs if session["pendingItem"] is None] or theirs
    most = max(free(session) for session in unlocked)
    best: str = min(session["id"] for session in unlocked if free(session) == most)
    return best


def session_named(update: Json, sessions: list[Json]) -> str | None:
    """The session on which an offer is made."""
    return active_session(update["routed"]["to"], update["routed"].get("workSession"), sessions)


def without(session: Json, item: Json) -> Json:
    """The session without the work-item, whose own place does not stand in its way."""
    return {
        **session,
        "workItems": [held for held in session["workItems"] if held["id"] != item["id"]],
        "pendingItem": None if session["pendingItem"] == item["id"] else session["pendingItem"],
    }


def used(session: Json) -> float:
    """The sum of the sizes; a negative one counts as 0."""
    total: float = sum(max(held["itemSize"], 0) for held in session["workItems"])
    return total


def free(session: Json) -> float:
    """Never below zero nor above the total."""
    capacity: float = session["capacity"]
    return min(max(capacity - used(session), 0), capacity)


def place_of(item: Json) -> tuple[str, str] | None:
    """`(session, list)`: a function of the work-item."""
    if item["session"] is None:
        return None
    if item["status"] in ("assigned", "wrap-up"):
        return item["session"], "pausedWorkItems" if item["paused"] else "workItems"
    if item["status"] == "routed":
        return item["session"], "pendingItem"
    return None


def sessions_with(item: Json, sessions: list[Json]) -> list[Json]:
    """The sessions with the item at its place and nowhere else, capacity derived; other entries untouched."""
    place = place_of(item)
    size = 1 if item["itemSize"] is None else max(item["itemSize"], 0)
    result = []
    for session in sessions:
        seen = dict(session)
        for name in ("workItems", "pausedWorkItems"):
            seen[name] = [held for held in session[name] if held["id"] != item["id"]]
            if place == (session["id"], name):
                seen[name] = [*seen[name], {"id": item["id"], "itemSize": size}]
        if place == (session["id"], "pendingItem"):
            seen["pendingItem"] = item["id"]
        elif seen["pendingItem"] == item["id"]:
            seen["pendingItem"] = None
        seen["used"] = used(seen)
        seen["free"] = free(seen)
        seen["routable"] = session["active"] and seen["pendingItem"] is None
        result.append(seen)
    return result
