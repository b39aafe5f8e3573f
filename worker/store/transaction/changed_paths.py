"""The paths of a document that a write changes. A write sets these paths and never replaces the whole document."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from handlers.documents.json_values import all_spellable, differing
from handlers.documents.stored_values import in_type_of
from handlers.ports import Document

_NESTED: Final = ("attributes", "relationships")


class ChangedPaths(Struct, frozen=True, kw_only=True):
    """Dotted paths to set, with their values, and paths to unset."""

    set: Mapping[str, Any]
    unset: tuple[str, ...]


def changed_paths(before: Document, after: Document) -> ChangedPaths:
    """The difference of two documents, by top-level names and by names in `attributes` and `relationships`.

    A value keeps the type in which the value before it stood in the store.

    A path cannot spell a name that is empty, has a dot or starts with `$`. If such a name changes, the whole level is
    set instead.
    """
    to_set: dict[str, Any] = {}
    unset = [name for name in before if name not in after]
    for name in differing(before, after):
        old, new = before.get(name), after[name]
        if name in _NESTED and isinstance(old, Mapping) and isinstance(new, Mapping):
            _add_nested_paths(name, old, new, to_set, unset)
        else:
            to_set[name] = in_type_of(old, new)
    return ChangedPaths(set=to_set, unset=tuple(unset))


def _add_nested_paths(
    level: str, old: Mapping[str, Any], new: Mapping[str, Any], to_set: dict[str, Any], unset: list[str]
) -> None:
    changed = differing(old, new)
    removed = [name for name in old if name not in new]
    if not all_spellable((*changed, *removed)):
        to_set[level] = in_type_of(old, dict(new))
        return
    for name in changed:
        to_set[f"{level}.{name}"] = in_type_of(old.get(name), new[name])
    unset.extend(f"{level}.{name}" for name in removed)


def with_paths(document: Document, paths: ChangedPaths) -> dict[str, Any]:
    """The document after the paths are set and unset, as the server does it. A path has two levels at most."""
    after = dict(document)
    for path, value in paths.set.items():
        level, _, name = path.partition(".")
        after[level] = {**after.get(level, {}), name: value} if name else value
    for path in paths.unset:
        level, _, name = path.partition(".")
        if not name:
            after.pop(level, None)
        elif level in after:
            after[level] = {each: value for each, value in after[level].items() if each != name}
    return after
