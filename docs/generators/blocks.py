"""Generated blocks of Markdown pages, each between `<!-- generated: NAME -->` and `<!-- end -->`.

A block's content comes from the code: a table of a docstring, a table of the settings, the import graph.
"""

import inspect
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Final

import commands.engines.composed
import commands.engines.legacy
import commands.reason
import commands.timings
import commands.update
import handlers.routing.queue_rules
import sync.contract
import sync.gates
import sync.rules_forward
import sync.rules_reverse
import worker.api.errors
from commands.reason import RefusalCode
from docs.generators.decide_examples import decide_examples
from docs.generators.findings import findings_table
from docs.generators.metrics import metrics_table
from docs.generators.structure import structure
from worker.cli.verbs import VERBS
from worker.settings.table import (
    letter_setting_rows,
    protections_table,
    serve_setting_rows,
    setting_rows,
    settings_table,
    verbs_table,
)

ROOT: Final = Path(__file__).parents[2]
_BLOCK: Final = re.compile(r"(<!-- generated: (?P<name>[^>]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def docstring_table(holder: ModuleType | type) -> str:
    """The table in the docstring of a module or a class. Raises ValueError where the docstring has no table."""
    rows = [line for line in inspect.cleandoc(holder.__doc__ or "").splitlines() if line.startswith("|")]
    if not rows:
        raise ValueError(f"the docstring of {holder.__name__} has no table")
    return "\n".join(rows)


def _table_of(holder: ModuleType | type) -> Callable[[], str]:
    return lambda: docstring_table(holder)


BLOCKS: Final[Mapping[str, Callable[[], str]]] = {
    "rules A": _table_of(sync.rules_reverse),
    "rules B": _table_of(sync.rules_forward),
    "gates": _table_of(sync.gates),
    "contract": _table_of(sync.contract),
    "reason codes": _table_of(commands.reason),
    "refusal codes": _table_of(RefusalCode),
    "update fields": _table_of(commands.update),
    "funnel": _table_of(commands.engines.legacy),
    "composed engine": _table_of(commands.engines.composed),
    "timings": _table_of(commands.timings),
    "queue rule operators": _table_of(handlers.routing.queue_rules),
    "decide": decide_examples,
    "api errors": _table_of(worker.api.errors),
    "settings": lambda: settings_table(setting_rows()).strip(),
    "settings of serve": lambda: settings_table(serve_setting_rows()).strip(),
    "settings of letters": lambda: settings_table(letter_setting_rows()).strip(),
    "settings by verb": lambda: verbs_table(list(VERBS)),
    "settings that protect": protections_table,
    "metrics": metrics_table,
    "findings": findings_table,
    "structure": structure,
}
"""The content of each block, by name."""


def pages() -> list[Path]:
    """Every Markdown page of the repository that may hold a block."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def names_in(text: str) -> list[str]:
    """The names of the blocks of a page, in their order."""
    return [match["name"] for match in _BLOCK.finditer(text)]


def with_blocks(text: str) -> str:
    """The page with the present content in every block. Raises KeyError for a block that has no generator."""
    return _BLOCK.sub(lambda match: f"{match[1]}{BLOCKS[match['name']]()}\n{match[3]}", text)
