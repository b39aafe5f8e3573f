"""How many distinct ids there are, in bounded memory."""

import heapq
from hashlib import blake2b
from typing import Final

_KEPT_MAX: Final = 4_096
_HASH_BYTES: Final = 8


class DistinctIds:
    """Counts distinct ids: exactly up to 4,096, beyond that within about 3 %.

    It keeps the lowest hashes. The highest of them says how dense all hashes lie (*k minimum values*, Bar-Yossef et
    al., 2002).
    """

    def __init__(self) -> None:
        self._kept: set[int] = set()
        self._highest_first: list[int] = []

    def add(self, name: str) -> None:
        """Note an id."""
        # A log may hold half a surrogate pair.
        digest = blake2b(name.encode(errors="surrogatepass"), digest_size=_HASH_BYTES).digest()
        self._add_hash(int.from_bytes(digest, "big"))

    def merge(self, other: "DistinctIds") -> None:
        """Note the ids of another."""
        for number in other._kept:  # noqa: SLF001 - of the same class
            self._add_hash(number)

    def _add_hash(self, number: int) -> None:
        if number in self._kept:
            return
        if len(self._kept) < _KEPT_MAX:
            heapq.heappush(self._highest_first, -number)
        elif number < -self._highest_first[0]:
            self._kept.discard(-heapq.heapreplace(self._highest_first, -number))
        else:
            return
        self._kept.add(number)

    @property
    def is_exact(self) -> bool:
        """Whether the count is no estimate."""
        return len(self._kept) < _KEPT_MAX

    @property
    def count(self) -> int:
        """The number of distinct ids."""
        if self.is_exact:
            return len(self._kept)
        return (_KEPT_MAX - 1) * (1 << 8 * _HASH_BYTES) // -self._highest_first[0]
