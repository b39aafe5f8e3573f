"""Stand-ins for personal data: the same value has the same one, and without the key none can be traced back.

A stand-in is known as one by its form, so redacting a redacted capture changes nothing.
"""

import hashlib
import hmac
import re
import secrets
from typing import Final

from worker.investigate.redaction.text_kinds import PersonalKind, canonical, kind_of_text

_DIGEST_CHARACTERS: Final = 16
_STAND_IN: Final = re.compile(
    rf"(?:{'|'.join(PersonalKind)})-[0-9a-f]{{{_DIGEST_CHARACTERS}}}|"
    rf"[0-9a-f]{{{_DIGEST_CHARACTERS}}}@redacted\.invalid"
)
_NUMBER_FROM: Final = -(2**53 - 1)
_NUMBER_TO: Final = -(10**15)
"""Stand-ins of numbers have sixteen digits, are negative, and are exact in every reader of JSON. No telephone, card,
count or amount is such a number."""


class StandIns:
    """The stand-ins of one run. `key`: None takes one by chance, so that two runs have different stand-ins."""

    def __init__(self, key: bytes | None = None) -> None:
        self._key = hashlib.sha256(key).digest() if key is not None else secrets.token_bytes(32)

    def text(self, value: str, kind: PersonalKind = PersonalKind.TEXT) -> str:
        """The stand-in of a text. It goes by the value's form, and by `kind` where the form says nothing: a value has
        the same digest wherever it stands."""
        form = kind_of_text(value)
        digest = self._digest(canonical(value))
        if form is PersonalKind.EMAIL:
            return f"{digest}@redacted.invalid"
        return f"{(kind if form is PersonalKind.TEXT else form).value}-{digest}"

    def number(self, value: int | float) -> int:
        """The stand-in of a number."""
        # 7 and 7.0 are one number.
        written = repr(int(value)) if isinstance(value, float) and value.is_integer() else repr(value)
        return _NUMBER_FROM + int(self._digest(written), 16) % (_NUMBER_TO - _NUMBER_FROM + 1)

    def _digest(self, value: str) -> str:
        message = value.encode("utf-8", "surrogatepass")
        return hmac.new(self._key, message, hashlib.sha256).hexdigest()[:_DIGEST_CHARACTERS]


def is_stand_in(value: object) -> bool:
    """Whether a value has the form of a stand-in."""
    if isinstance(value, str):
        return _STAND_IN.fullmatch(value) is not None
    return isinstance(value, int) and _NUMBER_FROM <= value <= _NUMBER_TO
