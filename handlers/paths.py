"""Which paths of a document a write changes: so that a write sets those, never the whole document."""

from collections.abc import Mapping
from typing import Any, Final

from commands.record import record
from handlers.json_tree import alike, same, spellable
from handlers.ports import Document

_NESTED: Final = ("attributes", "relationships")


@record
class Paths:
    """Dotted paths to set, with their values, and paths to unset."""

    set: Mapping[str, Any]
    unset: tuple[str, ...]


def changed_paths(before: Document, after: Document) -> Paths:
    """The difference of two documents, one level into `attributes` and `relationships`.

    A changed name that a path cannot spell (with a dot, a leading `$`, or empty) sets the whole level instead.
    """
    to_set: dict[str, Any] = {}
    unset: list[str] = []
    for name in before.keys() | after.keys():
        old, new = before.get(name), after.get(name)
        if name in _NESTED and isinstance(old, Mapping) and isinstance(new, Mapping):
            # Most writes leave the relationships as they are.
            if not alike(old, new):
                _nested(name, old, new, to_set, unset)
        elif name not in after:
            unset.append(name)
        elif name not in before or not same(old, new):
            to_set[name] = new
    return Paths(set=to_set, unset=tuple(unset))


def _nested(
    level: str, old: Mapping[str, Any], new: Mapping[str, Any], to_set: dict[str, Any], unset: list[str]
) -> None:
    changed = [name for name in new if name not in old or not same(old[name], new[name])]
    gone = [name for name in old if name not in new]
    if not all(spellable(name) for name in (*changed, *gone)):
        to_set[level] = dict(new)
        return
    to_set.update({f"{level}.{name}": new[name] for name in changed})
    unset.extend(f"{level}.{name}" for name in gone)
