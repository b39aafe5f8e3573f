"""A journal of writes into tables in memory: the writes of a plan that does not hold are undone from it."""

from typing import Any


class Journal:
    """Remembers, for each write since the last `keep`, what the table held before."""

    def __init__(self) -> None:
        self._before: list[tuple[dict[Any, Any], Any, Any]] = []

    def write(self, table: dict[Any, Any], key: Any, value: Any) -> None:
        """Write `value` under `key`; None removes the key."""
        self._before.append((table, key, table.get(key)))
        _put(table, key, value)

    def keep(self) -> None:
        """Forget how to undo the writes so far."""
        self._before.clear()

    def take_back(self) -> None:
        """Undo the writes since the last `keep`, the latest first."""
        while self._before:
            _put(*self._before.pop())


def _put(table: dict[Any, Any], key: Any, value: Any) -> None:
    if value is None:
        table.pop(key, None)
    else:
        table[key] = value
