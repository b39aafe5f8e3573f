"""The independent count: the end of a pair, from the list of its outside writes and what each of them knew.

It reads the raw documents, and shares nothing with the worker's code or with `sync.contract`.

The agent and the queue: the last write of the conversation stands, unless a later write of the work-item knew it; that
one stands then. A write of the work-item that does not say what it knew, or whose event was lost, may stand or not. So
may all of both sides after a lost event of the conversation, because nobody can tell which revision it was that changed
the field. Whoever completes the work-item or sets the conversation done closes both; nothing but its status is handed
over from a completed work-item. `paused` and `ended` are the conversation's; a work-item is in wrap-up if the
conversation is open and has ended, and somebody has the work-item.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct

Side = Literal["conversation", "work-item"]


class NotedWrite(Struct, frozen=True, kw_only=True):
    """An outside write, in the order of the writes of a pair.

    `sets`: the fields that it changed, with their values after it. `known_rev`: the conversation revision that a
    work-item's write knew; None if its event does not say.
    """

    side: Side
    rev: int
    sets: Mapping[str, Any]
    known_rev: int | None = None
    lost: bool = False


def side_of(document: Mapping[str, Any]) -> Side:
    """Which of the two a document is."""
    return "conversation" if document["type"] == "conversation" else "work-item"


def noted_write(
    before: Mapping[str, Any] | None, after: Mapping[str, Any], *, known_rev: int | None, lost: bool
) -> NotedWrite:
    """The write that led from one document to the next. A create sets nothing: all fields begin empty."""
    old, new = values_of(before or after), values_of(after)
    changed = {name: value for name, value in new.items() if old[name] != value}
    return NotedWrite(side=side_of(after), rev=after["rev"], sets=changed, known_rev=known_rev, lost=lost)


def values_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """The values of the fields that both sides share."""
    attributes = document["attributes"]
    if side_of(document) == "conversation":
        users = attributes["assignedUsers"]
        return {
            "agent": users[0] if users else None,
            "queue": _linked(document, "queue"),
            "closed": attributes["status"] == "done",
            "paused": attributes["status"] == "snoozed",
            "ended": attributes["ended"],
        }
    return {
        "agent": _linked(document, "assignedTo"),
        "queue": _linked(document, "queue"),
        "closed": attributes["status"] == "completed",
        "paused": attributes["paused"],
        "ended": attributes["status"] == "wrap-up",
    }


def possible_ends(writes: Sequence[NotedWrite], name: str) -> list[Any]:
    """The values that the agent or the queue may have at the end; mostly one."""
    conversations: Any = None
    last_rev = 0
    possible: list[Any] = [None]
    guessed = False
    for write in writes:
        if name not in write.sets:
            continue
        value = write.sets[name]
        if write.side == "conversation":
            possible = [*possible, value] if write.lost else [value]
            conversations, last_rev, guessed = value, write.rev, write.lost
        elif guessed or write.lost or write.known_rev is None:
            possible = [*possible, value]
        elif write.known_rev >= last_rev:
            possible = [value]
        else:
            # It knew less than an earlier write of the work-item may have known, and has overwritten that one.
            possible = [*possible, conversations]
    return list(dict.fromkeys(possible))


def differences(
    writes: Sequence[NotedWrite], conversation: Mapping[str, Any], item: Mapping[str, Any]
) -> Iterator[str]:
    """How the stored pair differs from the count, a line each."""
    found, items = values_of(conversation), values_of(item)
    closed_by = {write.side for write in writes if write.sets.get("closed")}
    for side, value in (("conversation", found["closed"]), ("work-item", items["closed"])):
        if value is not bool(closed_by):
            yield f"closed of the {side}: {value!r}"
    if any(write.sets.get("ended") for write in writes) is not found["ended"]:
        yield f"ended: {found['ended']!r}"
    if "work-item" not in closed_by:
        yield from _carried_differences(writes, found, items, closed=bool(closed_by))
    if not closed_by:
        yield from _status_differences(writes, found, items)


def _carried_differences(
    writes: Sequence[NotedWrite], found: Mapping[str, Any], items: Mapping[str, Any], *, closed: bool
) -> Iterator[str]:
    for name in ("agent", "queue"):
        possible = possible_ends(writes, name)
        if items[name] not in possible:
            yield f"{name} of the work-item: {items[name]!r}, counted {possible!r}"
        if not closed and items[name] != found[name]:
            yield f"{name}: {found[name]!r} and {items[name]!r}"


def _status_differences(
    writes: Sequence[NotedWrite], found: Mapping[str, Any], items: Mapping[str, Any]
) -> Iterator[str]:
    paused = [write.sets["paused"] for write in writes if write.side == "conversation" and "paused" in write.sets]
    if found["paused"] is not items["paused"] or found["paused"] is not (paused or [False])[-1]:
        yield f"paused: {found['paused']!r} and {items['paused']!r}, counted {(paused or [False])[-1]!r}"
    if not found["paused"] and items["ended"] is not (found["ended"] and items["agent"] is not None):
        yield f"wrap-up: {items['ended']!r} with {items['agent']!r} of a conversation with ended {found['ended']!r}"


def _linked(document: Mapping[str, Any], name: str) -> Any:
    linked = (document.get("relationships") or {}).get(name) or {}
    return (linked.get("data") or {}).get("id")
