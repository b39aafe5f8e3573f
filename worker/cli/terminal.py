"""Settings for a verb, or the end: every fault on standard error, a line each, exit status 2."""

import sys
from typing import TypeVar

import typer
from pydantic_settings import BaseSettings

from worker.settings import SettingErrors, read_settings

S = TypeVar("S", bound=BaseSettings)


def settings_or_exit(kind: type[S], verb: str) -> S:
    """The settings; never returns where they are wrong."""
    settings = read_settings(kind)
    if isinstance(settings, SettingErrors):
        for line in settings.lines:
            sys.stderr.write(f"routing-sync {verb}: {line}\n")
        raise typer.Exit(2)
    return settings
