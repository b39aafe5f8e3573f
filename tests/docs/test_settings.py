"""docs/settings.md has every setting of every verb, and says of every number what it protects."""

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterable, Iterator
from types import NoneType
from typing import Annotated, get_args

import pytest
from pydantic import Field
from pydantic_settings import BaseSettings

import worker
from docs.generators.blocks import ROOT
from worker.cli.verbs import VERBS
from worker.settings.protection import Protection, protection_of
from worker.settings.table import SETTINGS_BY_VERB

PAGE = (ROOT / "docs" / "settings.md").read_text()


def _subclasses(kind: type[BaseSettings]) -> Iterator[type[BaseSettings]]:
    for below in kind.__subclasses__():
        yield below
        yield from _subclasses(below)


def _ours() -> list[type[BaseSettings]]:
    """Every class of settings in the package `worker`, wherever it stands."""
    for module in pkgutil.walk_packages(worker.__path__, "worker."):
        importlib.import_module(module.name)
    return [kind for kind in _subclasses(BaseSettings) if kind.__module__.startswith("worker.")]


def _absent(kinds: Iterable[type[BaseSettings]]) -> set[str]:
    """The settings that the page's tables do not have."""
    shown = set(re.findall(r"^\| `([A-Z_]+)` \|", PAGE, re.MULTILINE))
    return {name.upper() for kind in kinds for name in kind.model_fields} - shown


def _unprotected(kinds: Iterable[type[BaseSettings]]) -> set[str]:
    """The numbers, ports left out, and the settings with MAX in their names, that do not say what they protect."""
    return {
        name.upper()
        for kind in kinds
        for name, field in kind.model_fields.items()
        if (
            set(get_args(field.annotation) or [field.annotation]) - {NoneType} <= {int, float}
            or "max" in name.split("_")
        )
        and not name.endswith("port")
        and protection_of(field) is None
    }


class Elsewhere(BaseSettings):
    """Settings of a module that the generator does not know."""

    cup_of_tea: str = Field("green", description="the tea")
    cups: int | None = Field(None, description="how many")
    tea_port: int = Field(1, description="a port")
    sugar_max: Annotated[str, Protection("teeth", "bitter", "sweet")] = Field("", description="a limit that says why")
    milk_max: str = Field("", description="a limit that does not")


def test_every_setting_of_every_class_is_on_the_page() -> None:
    kinds = _ours()
    assert set(SETTINGS_BY_VERB.values()) <= set(kinds)
    assert _absent(kinds) == set()


def test_a_setting_of_another_class_would_be_missed() -> None:
    assert _absent([Elsewhere]) == {"CUP_OF_TEA", "CUPS", "TEA_PORT", "SUGAR_MAX", "MILK_MAX"}


def test_every_number_says_what_it_protects() -> None:
    assert _unprotected(_ours()) == set()


def test_a_number_that_does_not_say_so_would_be_missed() -> None:
    assert _unprotected([Elsewhere]) == {"CUPS", "MILK_MAX"}


def _verbs_with_settings() -> dict[str, str]:
    """The class that a verb hands to `settings_or_exit`, by verb, as the code of `worker/cli/` has it."""
    found: dict[str, str] = {}
    for path in (ROOT / "worker" / "cli").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Name("settings_or_exit"), args=[ast.Name(kind), ast.Constant(str(verb))]):
                    found[verb] = kind
                case ast.Call(func=ast.Name("settings_or_exit")):
                    pytest.fail(f"{path.name}:{node.lineno}: name the class and the verb where the call stands")
                case _:
                    pass
    return found


def test_the_verbs_read_the_settings_that_the_page_says() -> None:
    """The doctor reads those of another verb, without `settings_or_exit`, to find all faults at once."""
    told = {verb: kind.__name__ for verb, kind in SETTINGS_BY_VERB.items() if verb != "doctor"}
    assert _verbs_with_settings() == told
    assert SETTINGS_BY_VERB.keys() <= VERBS.keys()
