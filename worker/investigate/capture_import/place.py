"""Where a text stands in a source, so that what is told names its lines."""

from msgspec import Struct
from msgspec.structs import replace


class Place(Struct, frozen=True):
    """Where a text begins. `lines`: the number of each of its lines, where they are known. `wrappers`: how many stand
    around it. `width`: at which a viewer had wrapped it; 0: at none. `rests`: how many damaged objects stand before it.
    """

    file: str
    line: int
    wrappers: int = 0
    width: int = 0
    rests: int = 0
    lines: tuple[int, ...] = ()

    def below(self, text: str, offset: int) -> "Place":
        """The place of an offset in the text that begins here."""
        return replace(self, line=self.line_at(text, offset), lines=self.lines[self._lines_before(text, offset) :])

    def line_at(self, text: str, offset: int) -> int:
        """The line of an offset in the text. A text in a wrapper stands on the wrapper's line."""
        lines = self._lines_before(text, offset)
        return self.lines[lines] if lines < len(self.lines) else self.line + lines

    def _lines_before(self, text: str, offset: int) -> int:
        if self.wrappers:
            return 0
        return offset // self.width if self.width else text.count("\n", 0, offset)
