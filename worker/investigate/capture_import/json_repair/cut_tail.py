"""The end of a text that is cut off: closed where nothing of the event is lost, else Unreadable.

| the text ends | result |
|---|---|
| after a field of the outermost object | its brace is added: the last brace was lost |
| in the log line or message around a whole event | closed after the last whole field; the fields behind it are lost |
| inside the event | Unreadable: fields of the event are lost, and without them it would say something else |
"""

import re
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from worker.investigate.capture_import.heads import BEGINNING
from worker.investigate.capture_import.json_repair.repairs import Repair, RepairKind, Unreadable
from worker.investigate.captured_fields import CAPTURED
from worker.investigate.edits import Edit
from worker.investigate.field_types import FieldType

_LONGEST_SHOWN: Final = 64
_COMMA_BETWEEN: Final = re.compile(r"\s*,\r?\n?")


class Frame(Struct, kw_only=True):
    """An object or list that is open while it is read.

    `closer`: its closing bracket. `path`: the names down to it. `good_end`: where its last whole field or item ends;
    `previous_end`: the one before.
    """

    closer: str
    of: FieldType
    path: tuple[str, ...]
    good_end: int
    previous_end: int = -1
    names: set[str] = set()
    name: str | None = None

    @property
    def last_name(self) -> tuple[str, ...]:
        """The name of the field that is being read, none in a list."""
        return () if self.name is None else (self.name,)

    @property
    def shown_name(self) -> str:
        """The same for a message: a name that is not known may be a customer's words."""
        return self.name if self.name is not None and self.name in self.of.fields else "a field"

    def add_name(self, name: str, around: Sequence["Frame"]) -> bool:
        """The next field has this name. Returns whether the name belongs to an object around this one: then a closing
        brace was lost before it."""
        self.names.add(name)
        self.name = name
        return bool(self.of.fields) and name not in self.of.fields and any(name in one.of.fields for one in around)

    def end_value(self, position: int) -> None:
        """A field or item ended there."""
        self.previous_end, self.good_end = self.good_end, position


class ClosedText(Struct, frozen=True, kw_only=True):
    """A closed text: `keep` ends what stays of it, `edit` closes it, `end` is where reading goes on."""

    keep: int
    end: int
    edit: Edit
    repair: Repair


def close_cut_text(
    text: str, start: int, ended_at: int, frames: Sequence[Frame], *, event_is_whole: bool
) -> ClosedText:
    """Close the text that begins at `start` and whose reading ended in these frames. Raises Unreadable."""
    root = frames[0]
    rest = text[frames[-1].good_end : ended_at].strip()
    # Behind a comma stands the next value of a list. Behind a comma, a line break and blanks stood the next field.
    is_complete = not rest or _COMMA_BETWEEN.fullmatch(text, frames[-1].good_end, ended_at) is not None
    if len(frames) == 1 and root.names and is_complete:
        return _closed(frames, root.good_end, ended_at, RepairKind.LAST_BRACE, "only the last brace was lost")
    if not event_is_whole:
        raise Unreadable(start, "the text is cut off inside the event")
    open_frames = list(frames)
    while open_frames and open_frames[-1].previous_end < 0:
        open_frames.pop()
    if not open_frames:
        raise Unreadable(start, "the text is cut off inside the event")
    innermost = open_frames[-1]
    keep = innermost.good_end
    # A text that is cut off runs into the value behind it.
    behind = BEGINNING.search(text, keep, ended_at)
    ended_at = ended_at if behind is None else behind.start()
    if not rest and keep == ended_at and text[keep - 1].isdigit() and len(open_frames) == len(frames):
        # The cut may have gone through the number.
        keep = innermost.previous_end
    path = ".".join([*CAPTURED.shown_path(innermost.path), "…"])[-_LONGEST_SHOWN:]
    return _closed(
        open_frames, keep, ended_at, RepairKind.CUT_TAIL, f"the event is whole; what follows in {path} is lost"
    )


def _closed(frames: Sequence[Frame], keep: int, end: int, kind: RepairKind, assumed: str) -> ClosedText:
    closers = "".join(frame.closer for frame in reversed(frames))
    repair = Repair(kind=kind, offset=keep, path=frames[-1].path, assumed=assumed)
    return ClosedText(keep=keep, end=end, edit=Edit(keep, end, closers), repair=repair)
