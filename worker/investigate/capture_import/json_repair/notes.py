"""The repairs of a text while it is read: what changes in it, and what is told of that."""

from collections.abc import Sequence
from typing import Final

from worker.investigate.capture_import.json_repair.cut_tail import Frame
from worker.investigate.capture_import.json_repair.repairs import Repair, RepairKind
from worker.investigate.capture_import.json_repair.text_mending import MendedText, QuotedText
from worker.investigate.edits import Edit


class RepairNotes:
    """Takes repairs. `frames`: the open objects and lists of the reading, which name the field that a repair is in."""

    def __init__(self, frames: Sequence[Frame]) -> None:
        self.edits: Final[list[Edit]] = []
        self.repairs: Final[list[Repair]] = []
        self._frames = frames
        self._has_odd_quotes = False
        self._has_odd_blanks = False

    def mend(self, kind: RepairKind, at: int, text: str, assumed: str, *, length: int = 0) -> None:
        """So many characters at `at` become `text`."""
        self.edits.append(Edit(at, at + length, text))
        self._add(kind, at, assumed)

    def mend_blanks(self, start: int, end: int) -> None:
        """No-break blanks from `start` to `end` become one blank. They are told once."""
        self.edits.append(Edit(start, end, " "))
        if not self._has_odd_blanks:
            self._add(RepairKind.BLANKS, start, "no-break blanks are blanks")
        self._has_odd_blanks = True

    def mend_text(self, quoted: QuotedText, mended: MendedText | None) -> None:
        """A text gets straight quotes, and its repaired content. Its quotes are told once."""
        content = quoted.content if mended is None else mended.content
        if quoted.is_smart:
            if not self._has_odd_quotes:
                self._add(RepairKind.QUOTES, quoted.start, "typographic quotes stand for straight ones")
            self._has_odd_quotes = True
        if mended is not None:
            self._add(mended.kind, quoted.start, mended.assumed)
            for repair in mended.inner:
                self._add(repair.kind, quoted.start, repair.assumed)
        if mended is not None or quoted.is_smart:
            self.edits.append(Edit(quoted.start, quoted.end, f'"{content}"'))

    def _add(self, kind: RepairKind, at: int, assumed: str) -> None:
        frame = self._frames[-1] if self._frames else None
        path = (*frame.path, *frame.last_name) if frame is not None else ()
        self.repairs.append(Repair(kind=kind, offset=at, path=path, assumed=assumed))
