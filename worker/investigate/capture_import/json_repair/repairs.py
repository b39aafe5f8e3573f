"""What a repair of damaged JSON assumed, and why a damaged text is left out."""

from enum import StrEnum

from msgspec import Struct


class RepairKind(StrEnum):
    """The kind of damage that was repaired."""

    LIST_BRACKETS = "list-brackets"
    EMPTY_LIST = "empty-list"
    LAST_BRACE = "last-brace"
    CUT_TAIL = "cut-tail"
    QUOTES = "quotes"
    TRAILING_COMMA = "trailing-comma"
    LINE_BREAK = "line-break"
    BLANKS = "blanks"
    JSON_TEXT = "json-text"


class Repair(Struct, frozen=True, kw_only=True):
    """One repair. `offset`: its place in the text. `path`: the names down to the field. `assumed`: for the reader of
    the report; it shows no customer's words."""

    kind: RepairKind
    offset: int
    path: tuple[str, ...]
    assumed: str


class Unreadable(Exception):
    """A text that no value can be read from without a guess. `offset`: where; the message says why."""

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(reason)
        self.offset = offset
        self.reason = reason


class Ended(Exception):
    """The text ended inside a value, at `offset`."""

    def __init__(self, offset: int) -> None:
        super().__init__()
        self.offset = offset


def lost_brace(offset: int, name: str) -> Unreadable:
    """The field of that name belongs to an object around the one that it stands in."""
    return Unreadable(offset, f"a closing brace is lost before {name}")
