"""A journal of writes into tables in memory, so that those of a plan that does not hold can be taken back."""

from typing import Any


class Journal:
    """What the tables held before."""

    def __init__(self) -> None:
        """Nothing written yet."""
        self._before: list[tuple[dict[Any, Any], Any, Any]] = []

    def write(self, table: dict[Any, Any], key: Any, value: Any) -> None:
        """Write into the table; None removes."""
        self._before.append((table, key, table.get(key)))
        _put(table, key, value)

    def keep(self) -> None:
        """All that was written stays."""
        self._before.clear()

    def take_back(self) -> None:
        """All that was written since the last `keep` never was."""
        while self._before:
            _put(*self._before.pop())


def _put(table: dict[Any, Any], key: Any, value: Any) -> None:
    if value is None:
        table.pop(key, None)
    else:
        table[key] = value
