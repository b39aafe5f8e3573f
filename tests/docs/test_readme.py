"""The README's tables are those of the code: a rule, gate or setting that changes in one place changes in both."""

import re
from pathlib import Path
from types import ModuleType

import pytest

import commands.composed_engine
import sync.gates
import sync.rules_forward
import sync.rules_reverse
from docs.generators.permutations import page
from server_process import ROOT
from worker.settings import settings_table

README = (ROOT / "README.md").read_text()


def table_after(mark: str) -> list[str]:
    """The rows of the README's table behind `<!-- mark -->`."""
    lines = README.partition(f"<!-- {mark} -->\n")[2].splitlines()
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append(line)
    return rows


def table_of(module: ModuleType) -> list[str]:
    """The rows of the table in a module's docstring."""
    return [line for line in (module.__doc__ or "").splitlines() if line.startswith("|")]


@pytest.mark.parametrize(
    ("mark", "module", "rows"),
    [("rules A", sync.rules_reverse, 6), ("rules B", sync.rules_forward, 10), ("gates", sync.gates, 7)],
    ids=["A", "B", "gates"],
)
def test_the_readmes_tables_are_the_codes(mark: str, module: ModuleType, rows: int) -> None:
    assert len(table_of(module)) == rows + 2
    assert table_after(mark) == table_of(module)


def test_the_permutations_are_those_of_the_engines() -> None:
    """`make docs` writes the page; it has a row for every combination in every active status."""
    shown = (ROOT / "docs" / "permutations.md").read_text()
    assert shown == page()
    assert shown.count("\n| ") == 5 * (80 + 1)


def test_the_settings_are_all_there() -> None:
    assert table_after("settings") == settings_table().strip().splitlines()


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))], ids=lambda page: page.name
)
def test_nothing_is_left_to_be_filled_in(page: Path) -> None:
    assert re.findall(r"@[A-Z]+@", page.read_text()) == []


def test_the_composed_table_names_every_field_of_an_update() -> None:
    told = "\n".join(table_of(commands.composed_engine))
    for name in ("queue", "assignedTo", "status", "paused", "resume", "routed", "accepted"):
        assert f"`{name}" in told
