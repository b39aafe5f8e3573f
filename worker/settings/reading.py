"""Reading settings from the environment: the settings, or every error in them, a line each."""

from typing import TypeVar

from msgspec import Struct
from pydantic import ValidationError
from pydantic_settings import BaseSettings

from worker.settings.errors import setting_error_line

S = TypeVar("S", bound=BaseSettings)


class SettingErrors(Struct, frozen=True, kw_only=True):
    """Every error in the environment, a line each: the variable, what is wrong with it, and the remedy."""

    lines: tuple[str, ...]


def read_settings(kind: type[S]) -> S | SettingErrors:
    """The settings of that class from the environment, or all their errors. No error repeats a secret."""
    try:
        return kind()
    except ValidationError as invalid:
        errors = invalid.errors(include_input=False)
        return SettingErrors(lines=tuple(setting_error_line(kind, dict(error)) for error in errors))
