"""How much of the world a search may do."""

from msgspec import Struct


class Budget(Struct, frozen=True, kw_only=True):
    """The number of acts still allowed, and their kinds."""

    writes: int
    conversation_kinds: tuple[str, ...]
    work_item_kinds: tuple[str, ...]
    creations: bool = True
    touches: bool = True
    silent: bool = False
    late: bool = True
    removals: int = 0
    repeats: int = 0
    meetings: int = 0
    batches: int = 0
    losses: int = 0
    foreign: int = 0
