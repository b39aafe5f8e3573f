"""The driver's own words for an error, shortened to one line that an operator can read.

The words name neither credentials nor the host of the connection string: a password with a / in it looks like a host.
"""

import re
from typing import Final

_CHARACTERS_MAX: Final = 300
_DETAILS: Final = re.compile(
    r", Timeout: [\d.]+s, Topology Description: .*"  # the driver's view of every server
    r"|, full error: \{.*"  # the server's whole response, cluster time included
    r"| \(configured timeouts: [^)]*\)",
    re.DOTALL,
)
_NOISE: Final = re.compile(
    r" \(_ssl\.c:\d+\)"
    r"| \('[^']*', \d+(?:, \d+)*\)"  # the address, as the socket has it
    r"|(?<![^\s,])[\w.:-]+:\d{1,5}:(?: |$)"
    r"|, certificate is not valid for '[^']*'"  # the host that a certificate lacks
    r"|:? _[\w-]+\._tcp\.\S+|(?<=the query) \S+(?= IN )",  # the name that is looked up
)
_NAME: Final = re.compile(r"^mongodb(?:\+srv)?://|(?<=[?&;])\w+=|(?<=authMechanism=)[\w-]+", re.IGNORECASE)
"""The parts of a connection string that hold no secret: scheme, names of options, the mechanism."""
_WORD: Final = re.compile(r"[^\s'\"(),:;/]{3,}")


def driver_words(error: BaseException) -> str:
    """The text of the driver's error without its details, at most 300 characters; the class's name if it is empty."""
    words = " ".join(_NOISE.sub("", _DETAILS.sub("", str(error))).split()).rstrip(" :.,")
    if len(words) > _CHARACTERS_MAX:
        words = f"{words[: _CHARACTERS_MAX - 1]}…"
    return words or type(error).__name__


def unquoted_words(error: BaseException, uri: str) -> str:
    """The words of an error about the connection string; the class's name if they repeat a part of it."""
    words = driver_words(error)
    secrets = _NAME.sub(" ", uri).lower()
    quoted = any(word.lower() in secrets for word in _WORD.findall(words))
    return type(error).__name__ if quoted else words
