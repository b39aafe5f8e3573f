"""Reading settings from the environment: the settings, or every error in them, a line each.

A value is used as it is set. A blank or a line break around it is refused, and not taken away: the variable came from a
file or a secret store, where the same value is read by others, too.
"""

import os
import unicodedata
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Final, TypeVar

from msgspec import Struct
from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings

from worker.settings.errors import setting_error_line, shown_value

S = TypeVar("S", bound=BaseSettings)

_OTHERS_CHECKED: Final = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE"})
"""Variables of AWS's library without its prefix."""
_AWS: Final = "AWS_"
_NOT_OURS: Final = ("AWS_ENDPOINT_URL_", "DD_", "LINES")
"""Names of others that differ from ours by a letter or two."""
_SIMILARITY_MIN: Final = 0.85


class SettingErrors(Struct, frozen=True, kw_only=True):
    """Every error in the environment, a line each: the variable, what is wrong with it, and the remedy."""

    lines: tuple[str, ...]


class NearMiss(Struct, frozen=True, kw_only=True):
    """A variable that is no setting, with the setting that has nearly its name."""

    variable: str
    setting: str


def read_settings(kind: type[S]) -> S | SettingErrors:
    """The settings of that class from the environment, or all their errors. No error repeats a secret."""
    blanks = _blank_errors(kind, os.environ)
    try:
        settings = kind()
    except UnicodeEncodeError:
        # Of a value that is not UTF-8, which `_blank_errors` has named. Pydantic checks no other variable then.
        return SettingErrors(lines=tuple(blanks.values()))
    except ValidationError as invalid:
        errors = invalid.errors(include_input=False)
        others = [error for error in errors if not error["loc"] or str(error["loc"][0]).upper() not in blanks]
        # The first by name, if several are near.
        mistyped = {miss.setting: miss.variable for miss in reversed(near_misses(kind, os.environ))}
        lines = [setting_error_line(kind, dict(error), mistyped) for error in others]
        return SettingErrors(lines=(*blanks.values(), *lines))
    return SettingErrors(lines=tuple(blanks.values())) if blanks else settings


def near_misses(kind: type[BaseSettings], variables: Iterable[str]) -> list[NearMiss]:
    """The variables that were probably meant to be settings of that class."""
    settings = [name.upper() for name in kind.model_fields]
    found: list[NearMiss] = []
    for variable in sorted(variables):
        name = variable.upper()
        if name in settings or name.startswith(_NOT_OURS):
            continue
        similar = get_close_matches(name, settings, n=1, cutoff=_SIMILARITY_MIN)
        found.extend(NearMiss(variable=variable, setting=setting) for setting in similar)
    return found


def _blank_errors(kind: type[BaseSettings], environment: Mapping[str, str]) -> dict[str, str]:
    """A line for each variable with a blank around its value, or a line break or bytes that are no text in it, by the
    variable's name."""
    lines: dict[str, str] = {}
    for variable, value in environment.items():
        name = variable.upper()
        field = kind.model_fields.get(name.lower())
        wrong = _blank_in(value)
        if wrong is None or not (field or variable.startswith(_AWS) or name in _OTHERS_CHECKED):
            continue
        shown = "it" if field is None or field.annotation is SecretStr else shown_value(value)
        lines[name] = f"{name}: {shown} {wrong}: remove it, a value is used as it is set"
    return lines


def _blank_in(value: str) -> str | None:
    """What is wrong with the value; None: nothing."""
    if not value:
        return None
    ends = [("begins", value[0]), ("ends", value[-1])]
    for verb, character in ends:
        if _is_blank(character):
            kind = "a line break" if character in "\r\n" else "a blank"
            return f"{verb} with {kind}"
    if any(unicodedata.category(character) == "Cs" for character in value):
        return "has bytes in it that are not UTF-8"
    if any(unicodedata.category(character) in {"Cc", "Zl", "Zp"} for character in value):
        return "has a line break or another control character in it"
    return None


def _is_blank(character: str) -> bool:
    """Whether it is white space, a control character, or one that shows nothing, as a byte-order mark."""
    return character.isspace() or unicodedata.category(character) in {"Cc", "Cf"}
