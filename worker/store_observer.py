"""What a store tells of its transactions, so that metrics can count them. Leaves out where the figures go."""

from typing import Final, Protocol


class StoreObserver(Protocol):
    """Told as things happen, in the coroutine that commits: must neither block nor raise."""

    def aborted(self, plans: int) -> None:
        """A transaction of so many plans did not commit, whatever became of the plans afterwards."""
        ...

    def conflict(self) -> None:
        """One plan's fate was a conflict."""
        ...

    def transaction_seconds(self, seconds: float) -> None:
        """How long one transaction took, committed or not."""
        ...


class _Nobody:
    def aborted(self, plans: int) -> None:
        pass

    def conflict(self) -> None:
        pass

    def transaction_seconds(self, seconds: float) -> None:
        pass


NOBODY: Final[StoreObserver] = _Nobody()
"""The observer where nobody watches."""
