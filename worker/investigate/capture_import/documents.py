"""The parts of a source by its format: Markdown notes, CSV exports, or lines.

| format | known by | parts |
|---|---|---|
| Markdown | its file name, or a line that opens a fenced block, or an object in a quote | fenced blocks, the rest |
| CSV | a first line of column names, `@message`, `Message` or `Content` among them | the cells that hold JSON |
| anything else | – | all its lines: log lines, NDJSON, arrays, wiki notes |

Lines and CSV are read as they come. Notes are read whole, up to `NOTES_CHARACTERS_MAX`; longer ones are read as lines.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token
from msgspec import Struct

from worker.captures import CHARACTERS_MAX
from worker.investigate.capture_import.log_lines import LogLine, log_lines
from worker.investigate.capture_import.safety_net import passed_over_in_note
from worker.investigate.capture_import.sources import Source

NOTES_CHARACTERS_MAX: Final = 16_777_216
_NOTES_SUFFIXES: Final = (".md", ".markdown")
_NOTES: Final = re.compile(r"^ {0,3}(?:(?:>\s?)?(?:```|~~~)|>\s?\{)", re.MULTILINE)
_COLUMN: Final = re.compile(r"[\w@ ./()-]{0,64}")
_TEXT_COLUMNS: Final = frozenset({"@message", "message", "content", "log", "event", "@log", "attributes", "body"})
_SKIPPED_RULES: Final = ("reference", "html_block")

csv.field_size_limit(CHARACTERS_MAX)


class Part(Struct, frozen=True):
    """Lines that belong together. An object does not go on in the next part."""

    lines: Iterable[LogLine]


class UnreadLine(Struct, frozen=True):
    """Lines that are left out, and why. `last_line` 0: it is one line."""

    line: int
    reason: str
    last_line: int = 0


def parts_of(source: Source, file_name: str) -> Iterator[Part | UnreadLine]:
    """The parts of a source. The lines of a part are read before the next part is asked for."""
    too_long: list[UnreadLine] = []
    lines = _without_long_lines(source.lines(), too_long)
    beginning = source.beginning
    if file_name.lower().endswith(_NOTES_SUFFIXES) or _NOTES.search(beginning):
        yield from _note_parts(lines)
    elif is_csv_header(beginning.partition("\n")[0]):
        yield from _csv_parts(lines)
    else:
        yield Part(log_lines(lines))
    yield from too_long


def _without_long_lines(
    lines: Iterable[tuple[int, str | None]], too_long: list[UnreadLine]
) -> Iterator[tuple[int, str]]:
    for number, text in lines:
        if text is None:
            too_long.append(UnreadLine(number, f"longer than {CHARACTERS_MAX} characters"))
        else:
            yield number, text


def _note_parts(lines: Iterator[tuple[int, str]]) -> Iterator[Part | UnreadLine]:
    held: list[tuple[int, str]] = []
    size = 0
    for number, text in lines:
        held.append((number, text))
        size += len(text)
        if size > NOTES_CHARACTERS_MAX:
            yield Part(log_lines(chain(held, lines)))
            return
    parts = list(_blocks_of_note(held))
    for part in parts:
        yield Part(log_lines(part))
    for line in passed_over_in_note(held, parts):
        yield UnreadLine(line, "an event or audit line begins in a part of the note that shows no text")


def _blocks_of_note(note: Sequence[tuple[int, str]]) -> Iterator[Sequence[tuple[int, str]]]:
    """The numbered lines of each fenced block, and of the rest between two of them."""
    rest: list[tuple[int, str]] = []
    for token in _markdown().parse("".join(text for _, text in note)):
        if token.map is None or token.type not in _CONTENT_TOKENS:
            continue
        if token.type == "fence":
            yield rest
            rest = []
            yield _content_lines(token, note)
        elif token.level > (token.type == "inline"):
            rest += _content_lines(token, note)
        else:
            # As it stands: an object's lines have their indentation. An indented block may be the rest of an object,
            # whose lost bracket left an empty line.
            rest += note[token.map[0] : token.map[1]]
    yield rest


def _content_lines(token: Token, note: Sequence[tuple[int, str]]) -> list[tuple[int, str]]:
    """The lines of a block without its marks: the fence, the `>` of a quote, the indentation of a list's item."""
    assert token.map is not None, "a block has lines"
    begin = note[0][0] + token.map[0]
    # A chat writes the first line directly behind the fence, where Markdown has the name of the language.
    beside_fence = [token.info if "{" in token.info else ""] if token.type == "fence" else []
    return [(begin + index, f"{text}\n") for index, text in enumerate([*beside_fence, *token.content.split("\n")])]


_CONTENT_TOKENS: Final = frozenset({"fence", "code_block", "inline"})


def _markdown() -> MarkdownIt:
    """A parser that leaves the text as it stands: no links taken away, no characters replaced."""
    parser = MarkdownIt("commonmark").enable("table").disable([*_SKIPPED_RULES])
    parser.core.ruler.disable(["inline", "normalize"])
    return parser


def is_csv_header(line: str) -> bool:
    """Whether a file's first line names the columns of an export, one of which holds log lines."""
    if "{" in line:
        return False
    try:
        columns = next(csv.reader([line.strip("\r\n")]), [])
    except csv.Error:
        return False
    names = [column.strip().lower() for column in columns]
    return bool(names) and all(map(_COLUMN.fullmatch, names)) and not _TEXT_COLUMNS.isdisjoint(names)


def _csv_parts(lines: Iterator[tuple[int, str]]) -> Iterator[Part | UnreadLine]:
    rows = csv.reader(text.replace("\0", "") for _, text in lines)
    while True:
        begin = rows.line_num + 1
        try:
            row = next(rows, None)
        except csv.Error:
            yield UnreadLine(begin, f"a cell is longer than {CHARACTERS_MAX} characters", rows.line_num)
            continue
        if row is None:
            return
        for cell in row:
            if "{" in cell:
                yield Part(log_lines((begin, f"{text}\n") for text in cell.split("\n")))
