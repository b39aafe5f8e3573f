"""Which modules are compiled: those that decide, plan, turn documents and sign calls, and wait for nothing."""

import ast
from pathlib import Path
from typing import Final

PACKAGES: Final = ("commands", "sync", "handlers", "worker")
"""The packages of the wheel."""

COMPILED: Final = (
    "commands/",
    "sync/",
    "handlers/documents/",
    "handlers/drift.py",
    "handlers/events/",
    "handlers/options.py",
    "handlers/outcome.py",
    "handlers/planning/",
    "handlers/ports.py",
    "handlers/routing/",
    "worker/aws/sigv4.py",
    "worker/mongo/batch/write_commands.py",
    "worker/outbox/topic_message.py",
    "worker/store/pair_assembly.py",
    "worker/store/state_document.py",
    "worker/store/transaction/",
)
"""Folders and modules."""

INTERPRETED: Final = {
    "handlers/documents/stored_forms.py": "msgspec reads its forms by their annotations, which mypyc does not keep",
    "handlers/documents/stored_values.py": "its numbers are subclasses of int, and mypyc's int is no object",
    "handlers/events/half_surrogates.py": "mypyc takes no half of a surrogate pair in a literal",
    "handlers/events/own_sync_forms.py": "msgspec reads its forms by their annotations, which mypyc does not keep",
    "handlers/events/schema.py": "pydantic reads its annotations",
    "handlers/events/validation.py": "pydantic reads its annotations",
    "handlers/routing/queue_rules.py": "msgspec reads its forms by their annotations, which mypyc does not keep",
}
"""Modules in these folders that stay interpreted, each with its reason."""


def compiled_modules(root: Path) -> list[str]:
    """The paths of the modules to compile, relative to `root`, which holds the packages."""
    paths = (path for package in PACKAGES for path in sorted((root / package).rglob("*.py")))
    names = [path.relative_to(root).as_posix() for path in paths if path.name != "__init__.py"]
    return [name for name in names if name.startswith(COMPILED) and name not in INTERPRETED]


def awaits(source: str) -> bool:
    """Whether the module waits for anything: in mypyc 2.4.1 an `await` in a `finally` leaks the exception."""
    kinds = (ast.Await, ast.AsyncFor, ast.AsyncWith)
    return any(isinstance(node, kinds) for node in ast.walk(ast.parse(source)))
