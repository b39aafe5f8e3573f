"""A form (`application/x-www-form-urlencoded`) by a few passes of C code.

Byte for byte what `urllib.parse.urlencode` makes, which is what AWS's library sends. urllib goes by each character in
Python: that was a sixth of the worker's time where every event is announced.
"""

from collections.abc import Iterable
from typing import Final

_LEFT_ALONE: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~"
# No UTF-8 has these bytes, so they hold the places of `=` and `&` until those of the text are spelt out.
_EQUALS: Final = b"\xfe"
_AND: Final = b"\xff"


def _spelling(byte: int) -> tuple[bytes, bytes]:
    return bytes([byte]), b"+" if byte == ord(" ") else b"%%%02X" % byte


_ASCII: Final = tuple(
    _spelling(byte)
    # What spellings are written with comes first, or it would be spelt out in them, too.
    for byte in sorted(range(0x80), key=lambda byte: (byte != ord("%"), byte != ord("+"), byte))
    if byte not in _LEFT_ALONE
)
_BEYOND: Final = tuple(_spelling(byte) for byte in range(0x80, 0xF5))
"""Every byte that UTF-8 makes of what is not ASCII."""


def form_of(fields: Iterable[tuple[str, str]]) -> bytes:
    """The form with these names and values. Raises UnicodeEncodeError for a lone surrogate, as urllib does."""
    form = _AND.join([name.encode() + _EQUALS + value.encode() for name, value in fields])
    for plain, spelt in _ASCII:
        form = form.replace(plain, spelt)
    form = form.replace(_EQUALS, b"=").replace(_AND, b"&")
    if not form.isascii():
        for plain, spelt in _BEYOND:
            form = form.replace(plain, spelt)
    return form
