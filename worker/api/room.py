"""The room for what is under way at the same time: in all, and for each client."""

from collections import Counter
from typing import Final

from msgspec import Struct

_LOCAL: Final = "-"
"""The client on loopback, where there are no tokens."""


class RoomTaken(Struct, frozen=True, kw_only=True):
    """Why there is no room for one more. `by_client`: the client itself has its share."""

    by_client: bool
    detail: str


class Room:
    """Room for `most` at the same time. Where several tokens are known, each has half of it: a client whose requests
    hang leaves the other half to the others.

    `things`: what is counted, for messages: `requests`. `tokens`: how many there are.
    """

    def __init__(self, things: str, *, most: int, tokens: int) -> None:
        self._things = things
        self._most = most
        self._share = max(most // 2, 1) if tokens > 1 else most
        self._under_way: Counter[str] = Counter()

    def taken(self, client: str | None) -> RoomTaken | None:
        """Why the client, a token's name, cannot have room for one more; None: it can."""
        in_all, own = self._under_way.total(), self._under_way[client or _LOCAL]
        if in_all >= self._most:
            return RoomTaken(by_client=False, detail=f"{in_all} {self._things} are under way: try again later")
        if own < self._share:
            return None
        detail = (
            f"{own} {self._things} of the token {client} under way, its share of API_CONCURRENCY_MAX: try again later"
        )
        return RoomTaken(by_client=True, detail=detail)

    def enter(self, client: str | None) -> None:
        """One more is under way."""
        self._under_way[client or _LOCAL] += 1

    def leave(self, client: str | None) -> None:
        """One is done."""
        self._under_way[client or _LOCAL] -= 1
