"""Reading settings from the environment: the settings, or every error in them, a line each.

A value is used as it is set. A blank or a line break around it is refused, and not taken away: the variable came from a
file or a secret store, where the same value is read by others, too.
"""

import os
import re
import unicodedata
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Final, TypeVar

from msgspec import Struct
from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings

from worker.settings.errors import SettingError, setting_error, shown_value

S = TypeVar("S", bound=BaseSettings)

_OTHERS_CHECKED: Final = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE"})
"""Variables of AWS's library without its prefix."""
_AWS: Final = "AWS_"
_NOT_OURS: Final = ("AWS_ENDPOINT_URL_", "DD_", "LINES")
"""Names of others that differ from ours by a letter or two."""
_SIMILARITY_MIN: Final = 0.85


class SettingErrors(Struct, frozen=True, kw_only=True):
    """Every error in the environment."""

    errors: tuple[SettingError, ...]

    @property
    def lines(self) -> tuple[str, ...]:
        """A line for each: the variable, what is wrong with it, and the remedy."""
        return tuple(error.line for error in self.errors)


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
        return SettingErrors(errors=tuple(blanks.values()))
    except ValidationError as invalid:
        errors = invalid.errors(include_input=False)
        others = [error for error in errors if not error["loc"] or str(error["loc"][0]).upper() not in blanks]
        # The first by name, if several are near.
        mistyped = {miss.setting: miss.variable for miss in reversed(near_misses(kind, os.environ))}
        found = [setting_error(kind, dict(error), mistyped) for error in others]
        return SettingErrors(errors=(*blanks.values(), *found))
    return SettingErrors(errors=tuple(blanks.values())) if blanks else settings


def read_what_can_be(kind: type[S], stand_ins: Mapping[str, object]) -> tuple[S | None, frozenset[str]]:
    """The settings with defaults in the places of those that are wrong, and the wrong ones' names in lower case.

    `stand_ins` holds values for settings without a default. A setting that a default contradicts has its default, too.
    None where the rest contradicts itself all the same.
    """
    wrong = {name.lower() for name in _blank_errors(kind, os.environ)}
    replaced = set(wrong)
    known = {name: field.get_default() for name, field in kind.model_fields.items() if not field.is_required()}
    known |= stand_ins
    for _ in kind.model_fields:
        try:
            return kind(**{name: known[name] for name in replaced & known.keys()}), frozenset(wrong)
        except UnicodeEncodeError:
            break
        except ValidationError as invalid:
            errors = [error for error in invalid.errors(include_input=False) if error["loc"]]
        newly = {str(error["loc"][0]) for error in errors} - wrong
        wrong |= newly
        partners = newly or {name for error in errors for name in _named_in_remedy(kind, dict(error))} - replaced
        if not partners:
            break
        replaced |= partners
    return None, frozenset(wrong)


def _named_in_remedy(kind: type[BaseSettings], invalid: dict[str, Any]) -> set[str]:
    """The settings that the remedy of a contradiction names."""
    remedy = setting_error(kind, invalid, {}).remedy
    return {word.lower() for word in re.findall(r"[A-Z][A-Z_]+", remedy)} & kind.model_fields.keys()


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


def _blank_errors(kind: type[BaseSettings], environment: Mapping[str, str]) -> dict[str, SettingError]:
    """An error for each variable with a blank around its value, or a line break or bytes that are no text in it, by the
    variable's name."""
    found: dict[str, SettingError] = {}
    for variable, value in environment.items():
        name = variable.upper()
        field = kind.model_fields.get(name.lower())
        wrong = _blank_in(value)
        if wrong is None or not (field or variable.startswith(_AWS) or name in _OTHERS_CHECKED):
            continue
        shown = "it" if field is None or field.annotation is SecretStr else shown_value(value)
        remedy = "remove it, a value is used as it is set"
        found[name] = SettingError(variable=name, wrong=f"{shown} {wrong}", remedy=remedy)
    return found


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
