"""Which value classes the source has, as the tests of the values need it: the names, what is frozen, the fields' types.

In the tree of the compiled build the classes are spelt out, so their own source no longer says which they are. The
tree has the list that was made of the source, and a class that the build lost or changed differs from it.
"""

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from compiled_build.native_values import is_value
from compiled_build.rooms import PACKAGES

FILE: Final = "value-classes.json"
"""At the top of a compiled tree, and nowhere else."""


class ValueClass(NamedTuple):
    """A class of the source that is a Struct. `fields` are pairs of a name and the source of its type."""

    module: str
    name: str
    frozen: bool
    fields: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


def value_list(root: Path) -> list[ValueClass]:
    """The value classes of the packages in `root`; of a compiled tree, those that its source had."""
    kept = root / FILE
    if not kept.exists():
        return list(_of_source(root))
    rows = json.loads(kept.read_text())
    return [ValueClass(module, name, frozen, tuple(map(tuple, fields))) for module, name, frozen, fields in rows]


def write_value_list(root: Path, folder: Path) -> None:
    """Writes the list of the source in `root` into the compiled tree `folder`."""
    (folder / FILE).write_text(json.dumps(list(_of_source(root)), indent=1))


def _of_source(root: Path) -> Iterator[ValueClass]:
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            module = ".".join(path.relative_to(root).with_suffix("").parts)
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.ClassDef) and is_value(node):
                    yield ValueClass(module, node.name, _is_frozen(node), tuple(_fields(node)))


def _is_frozen(node: ast.ClassDef) -> bool:
    return any(one.arg == "frozen" for one in node.keywords)


def _fields(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for one in node.body:
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name):
            yield one.target.id, ast.unparse(one.annotation)
