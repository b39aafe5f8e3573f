"""Kinds of personal data by the form of a text, and one spelling for the same mailbox or telephone."""

import re
import unicodedata
from enum import StrEnum
from functools import lru_cache
from typing import Final

import phonenumbers

_EMAIL: Final = re.compile(r"(?:mailto:)?((?:\"[^\"]{1,64}\"|[^@\s\"]{1,128})@[^@\s]{1,255})", re.IGNORECASE)
_PHONE: Final = re.compile(
    r"(?:tel:)?(?P<number>\+?[\d\s().\-/\u2010-\u2015\u2212]{6,40}?)"
    r"(?:[\s;,]*(?:ext(?:ension)?|x|#)[\s.:=]*(?P<extension>\d{1,8}))?",
    re.IGNORECASE,
)
_SHORT: Final = 128
_PHONE_DIGITS: Final = range(7, 18)
"""Fifteen at most (E.164), behind two of an international prefix."""
_TOKEN: Final = re.compile(
    r"(?i:bearer |basic )\S+|eyJ[\w-]+\.[\w-]+(?:\.[\w-]*)*|(?:AKIA|ASIA)[A-Z0-9]{16}|"
    r"(?:sk|pk|rk|xox[a-z]|gh[a-z]|github_pat|glpat)[-_][\w-]{16,}|[a-z][a-z\d+.-]{1,20}://\S+",
    re.ASCII,
)
_COOKIE: Final = re.compile(r"[\w.-]{1,64}=[^;\s]+(?:; ?[\w.-]{1,64}(?:=[^;]*)?)+")


class PersonalKind(StrEnum):
    """The kind of a value that a stand-in replaces."""

    EMAIL = "email"
    PHONE = "phone"
    TOKEN = "token"  # noqa: S105 - the kind of a value
    """A token, a key of an API, an address with whatever it carries."""
    COOKIE = "cookie"
    NAME = "name"
    TEXT = "text"
    NUMBER = "number"
    FLAG = "flag"
    FIELD_NAME = "field-name"


def kind_of_text(value: str) -> PersonalKind:
    """The kind of a text by its form; TEXT where it has no other."""
    return _read(value)[0]


def canonical(value: str) -> str:
    """One spelling for the same mailbox or telephone; another text as it is."""
    return _read(value)[1]


def _read(value: str) -> tuple[PersonalKind, str]:
    return _short_read(value) if len(value) <= _SHORT else _form_of(value)


def _form_of(value: str) -> tuple[PersonalKind, str]:
    plain = unicodedata.normalize("NFKC", value).strip()
    email = _EMAIL.fullmatch(plain)
    if email is not None:
        return PersonalKind.EMAIL, _mailbox(email[1])
    phone = _phone(plain)
    if phone is not None:
        return PersonalKind.PHONE, phone
    if _TOKEN.fullmatch(plain):
        return PersonalKind.TOKEN, value
    return (PersonalKind.COOKIE if _COOKIE.fullmatch(plain) else PersonalKind.TEXT), value


_short_read: Final = lru_cache(maxsize=4_096)(_form_of)
"""A capture repeats the same hosts, ids and names in each event."""


def _mailbox(address: str) -> str:
    name, _, domain = address.casefold().rpartition("@")
    try:
        return f"{name}@{domain.encode('idna').decode()}"
    except UnicodeError:
        return f"{name}@{domain}"


def _phone(text: str) -> str | None:
    """The number as E.164, or its digits where it names no country, with its extension; None for another text."""
    found = _PHONE.fullmatch(text)
    if found is None:
        return None
    digits = "".join(str(int(each)) for each in found["number"] if each.isdecimal())
    if len(digits) not in _PHONE_DIGITS:
        return None
    extension = f";ext={found['extension']}" if found["extension"] else ""
    international = f"+{digits[2:]}" if digits.startswith("00") else found["number"]
    try:
        number = phonenumbers.parse(international, None)
    except phonenumbers.NumberParseException:
        return f"{digits}{extension}"
    return f"{phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)}{extension}"
