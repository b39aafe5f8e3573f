"""A source's lines as text: a file or standard input, gzip or not, UTF-8 or UTF-16, with a bound on a line's length."""

import codecs
import gzip
import io
import sys
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from worker.captures import CHARACTERS_MAX, STANDARD_INPUT

_GZIP_MAGIC: Final = b"\x1f\x8b"
_BUFFER_BYTES: Final = 1_048_576
_PEEKED_BYTES: Final = 65_536
_UTF_16: Final = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


class SourceUnreadable(Exception):
    """A source that cannot be read, or not to its end; the message says why, and what to do."""


class Source:
    """A source that is open. `beginning`: its first characters, for a look at its format."""

    def __init__(self, raw: IO[bytes]) -> None:
        buffered = io.BufferedReader(raw, _BUFFER_BYTES) if isinstance(raw, io.RawIOBase) else raw
        head = _peeked(buffered, 2)
        if head == _GZIP_MAGIC:
            buffered = io.BufferedReader(gzip.GzipFile(fileobj=buffered), _BUFFER_BYTES)
        start = _peeked(buffered, _PEEKED_BYTES)
        self._encoding = _UTF_16.get(start[:2], "utf-8")
        self._raw = buffered
        self.beginning = start.decode(self._encoding, "replace").removeprefix("\ufeff")

    def lines(self) -> Generator[tuple[int, str | None], None, None]:
        """The lines with their numbers, with their line ends. None for a line that is too long.

        Bytes that are no text become half surrogates, which no JSON text has.
        """
        text = io.TextIOWrapper(self._raw, encoding=self._encoding, errors="surrogateescape", newline="\n")
        number, is_rest = 0, False
        try:
            while chunk := text.readline(CHARACTERS_MAX + 1):
                is_whole = chunk.endswith("\n") or len(chunk) <= CHARACTERS_MAX
                if not is_rest:
                    number += 1
                    yield number, (chunk.removeprefix("\ufeff") if number == 1 else chunk) if is_whole else None
                is_rest = not is_whole
        finally:
            # Without this, dropping the text would close standard input.
            if not self._raw.closed:
                text.detach()


@contextmanager
def opened(path: Path) -> Iterator[Source]:
    """The source of that path, `-` for standard input. Raises SourceUnreadable, while it is read as well."""
    try:
        if str(path) == "-":
            yield Source(sys.stdin.buffer)
        else:
            with path.open("rb") as raw:
                yield Source(raw)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise SourceUnreadable(f"the gzip file is damaged: {error}: fetch it again") from error
    except OSError as error:
        raise SourceUnreadable(f"cannot be read: {error.strerror}: name an existing file of logs or notes") from error


def shown_name(path: Path) -> str:
    """The source's name in reports."""
    return STANDARD_INPUT if str(path) == "-" else str(path)


def _peeked(raw: IO[bytes], size: int) -> bytes:
    peek = getattr(raw, "peek", None)
    return b"" if peek is None else bytes(peek(size)[:size])
