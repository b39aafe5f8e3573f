"""Stand-ins for personal data: the same value has the same one, and without the key none can be traced back."""

import hashlib
import hmac
import re
import secrets
from enum import StrEnum
from typing import Final

import phonenumbers

_EMAIL: Final = re.compile(r"[^@\s]{1,128}@[^@\s]{1,255}")
_PHONE_LIKE: Final = re.compile(r"\+?[\d\s().\-/]{6,40}")
_TOKEN: Final = re.compile(
    r"(?i:bearer |basic )\S+|eyJ[\w-]+\.[\w-]+(?:\.[\w-]*)?|(?:AKIA|ASIA)[A-Z0-9]{16}|"
    r"(?:sk|pk|xox[a-z]|gh[a-z])[-_][\w-]{16,}"
)
_COOKIE: Final = re.compile(r"[\w.-]{1,64}=[^;\s]+(?:; ?[\w.-]{1,64}(?:=[^;]*)?)+")
_DIGEST_CHARACTERS: Final = 16
_NUMBER_BELOW: Final = 10**9


class PersonalKind(StrEnum):
    """The kind of a value that a stand-in replaces."""

    EMAIL = "email"
    PHONE = "phone"
    TOKEN = "token"  # noqa: S105 - the kind of a value
    COOKIE = "cookie"
    NAME = "name"
    TEXT = "text"
    NUMBER = "number"
    FLAG = "flag"
    FIELD_NAME = "field-name"


class StandIns:
    """The stand-ins of one run. `key`: None takes one by chance, so that two runs have different stand-ins."""

    def __init__(self, key: bytes | None = None) -> None:
        self._key = hashlib.sha256(key).digest() if key is not None else secrets.token_bytes(32)

    def text(self, kind: PersonalKind, value: str) -> str:
        """The stand-in of a text, a token, a name."""
        digest = self._digest(kind, _canonical(kind, value))
        return f"{digest}@redacted.invalid" if kind is PersonalKind.EMAIL else f"{kind.value}-{digest}"

    def number(self, value: str) -> str:
        """The stand-in of a number, as JSON."""
        return str(int(self._digest(PersonalKind.NUMBER, value), 16) % _NUMBER_BELOW)

    def _digest(self, kind: PersonalKind, value: str) -> str:
        message = f"{kind.value}\0{value}".encode("utf-8", "surrogatepass")
        return hmac.new(self._key, message, hashlib.sha256).hexdigest()[:_DIGEST_CHARACTERS]


def kind_of_text(value: str) -> PersonalKind:
    """The kind of a text that no rule keeps."""
    stripped = value.strip()
    if _EMAIL.fullmatch(stripped):
        return PersonalKind.EMAIL
    if _phone(stripped) is not None:
        return PersonalKind.PHONE
    if _TOKEN.fullmatch(stripped):
        return PersonalKind.TOKEN
    return PersonalKind.COOKIE if _COOKIE.fullmatch(stripped) else PersonalKind.TEXT


def _canonical(kind: PersonalKind, value: str) -> str:
    """One spelling for the same mailbox or telephone."""
    match kind:
        case PersonalKind.EMAIL:
            return value.strip().lower()
        case PersonalKind.PHONE:
            return _phone(value.strip()) or value
        case _:
            return value


def _phone(value: str) -> str | None:
    """The number as E.164, or its digits where it names no country; None for another text."""
    if not _PHONE_LIKE.fullmatch(value) or sum(map(str.isdigit, value)) < 7:
        return None
    try:
        number = phonenumbers.parse(value, None)
    except phonenumbers.NumberParseException:
        return "".join(filter(str.isdigit, value))
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
