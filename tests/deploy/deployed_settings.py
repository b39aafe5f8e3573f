"""The settings that deployment files give to a process, read as the process reads them."""

import os
from collections.abc import Mapping
from typing import Final

import pytest

from worker.settings.reading import SettingErrors, near_misses, read_settings
from worker.settings.settings import Settings
from worker.settings.verbs.serve import ServeSettings

KINDS: Final[Mapping[str, type[Settings]]] = {"run": Settings, "serve": ServeSettings}
"""The settings of each verb."""
SECRETS: Final = {
    "MONGODB_URI": "mongodb://user:password@mongo.example/?replicaSet=rs0&tls=true",
    "API_TOKENS": f"desk:read:{'0' * 64}",
}
"""What stands for the values that the files only refer to."""
_NAMES: Final = {"REGION": "eu-central-1", "ACCOUNT": "123456789012", "QUEUE": "events"}


def filled_in(text: str) -> str:
    """The text with names in the place of the words in capitals that an installation replaces."""
    for word, name in _NAMES.items():
        text = text.replace(f"{word}.", f"{name}.").replace(f":{word}:", f":{name}:").replace(f"/{word}", f"/{name}")
        text = name if text == word else text
    return text


def unknown_variables(variables: Mapping[str, str]) -> list[str]:
    """The variables that are no setting of any verb."""
    return sorted(name for name in variables if name.lower() not in ServeSettings.model_fields)


def read_as(verb: str, variables: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings of the verb from these variables alone. An error fails, as does nearly a setting's name."""
    for name in list(os.environ):
        if name.lower() in ServeSettings.model_fields or name.startswith("AWS_"):
            monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, filled_in(value))
    settings = read_settings(KINDS[verb])
    assert not isinstance(settings, SettingErrors), settings
    assert near_misses(KINDS[verb], variables) == []
    return settings
