"""What the commands must know of a queue: how large and how urgent its items are."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """A queue; None for a size or priority that the queue does not set."""

    id: str
    key: str | None = None
    item_size: int | None = None
    priority: int | None = None
