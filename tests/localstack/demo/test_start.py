"""The demo's start: the settings of its installations, and whether a person watches."""

import os
import pty
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest

from demo.__main__ import is_watched
from demo.installation import SETTINGS
from demo.processes import WORKER_SETTINGS, api_settings
from worker.settings.settings import Settings
from worker.settings.verbs.serve import ServeSettings


def test_its_settings_are_settings_of_both_processes() -> None:
    names = {name.lower() for settings in SETTINGS.values() for name in settings}
    assert names
    assert names <= Settings.model_fields.keys() & ServeSettings.model_fields.keys()
    assert {name.lower() for name in WORKER_SETTINGS} <= Settings.model_fields.keys()
    assert {name.lower() for name in api_settings({})} <= ServeSettings.model_fields.keys()


@pytest.fixture
def terminal() -> Iterator[TextIO]:
    """The end of a terminal at which a program stands."""
    master, slave = pty.openpty()
    with os.fdopen(slave, "r") as stream:
        yield stream
    os.close(master)


def test_a_person_watches_at_a_terminal(terminal: TextIO) -> None:
    assert is_watched({}, terminal, terminal)


@pytest.mark.parametrize("value", ["", "0", "false", "False"])
def test_ci_that_is_off_is_a_person(terminal: TextIO, value: str) -> None:
    assert is_watched({"CI": value}, terminal)


@pytest.mark.parametrize("value", ["true", "1", "woodpecker"])
def test_a_build_is_no_person(terminal: TextIO, value: str) -> None:
    assert not is_watched({"CI": value}, terminal, terminal)


def test_a_script_is_no_person(terminal: TextIO) -> None:
    with Path(os.devnull).open() as nothing:
        assert not is_watched({}, nothing, terminal)
        assert not is_watched({}, terminal, nothing)
