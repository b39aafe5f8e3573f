"""An undo log for the in-memory tables: it restores the old values if a transaction fails."""

from typing import Any


class Journal:
    """Keeps the old value of each write since the last `keep`."""

    def __init__(self) -> None:
        self._before: list[tuple[dict[Any, Any], Any, Any]] = []

    def write(self, table: dict[Any, Any], key: Any, value: Any) -> None:
        """Write `value` under `key`; None removes the key."""
        self._before.append((table, key, table.get(key)))
        _put(table, key, value)

    def keep(self) -> None:
        """Make the writes so far final: `roll_back` no longer undoes them."""
        self._before.clear()

    def roll_back(self) -> None:
        """Undo the writes since the last `keep`, the latest first."""
        while self._before:
            _put(*self._before.pop())


def _put(table: dict[Any, Any], key: Any, value: Any) -> None:
    if value is None:
        table.pop(key, None)
    else:
        table[key] = value
