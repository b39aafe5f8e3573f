"""JSON values: limits on what comes from outside, and when two of them are the same."""

from collections.abc import Collection, Mapping
from typing import Any, Final

import orjson

INT64_MIN: Final = -(2**63)
INT64_MAX: Final = 2**63 - 1


def depth_of(body: Any, *, stop_above: int) -> int:
    """How deep objects and lists nest, 1 for a flat one; stops counting above `stop_above`. No recursion."""
    depth = 0
    level = [body]
    while level and depth <= stop_above:
        below: list[Any] = []
        for node in level:
            values = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
            for value in values:
                # A parser makes these two and none like them; `isinstance` takes half as long again over it all.
                kind = type(value)
                if kind is dict or kind is list:
                    below.append(value)
        depth += 1
        level = below
    return depth


def unstorable(body: Any) -> str | None:
    """Why the store could not keep `body`: a number beyond 64 bits, or a name with a null character. Else None."""
    nodes = [body]
    while nodes:
        node = nodes.pop()
        if isinstance(node, dict):
            if any("\0" in name for name in node):
                return "a name with a null character"
            nodes.extend(node.values())
        elif isinstance(node, list):
            nodes.extend(node)
        elif isinstance(node, int) and not INT64_MIN <= node <= INT64_MAX:
            return "a number beyond 64 bits"
    return None


def spellable(name: str) -> bool:
    """Whether a dotted path can spell a name: no dot in it, no leading `$`, not empty."""
    return bool(name) and "." not in name and not name.startswith("$")


def all_spellable(names: Collection[str]) -> bool:
    """Whether all of them are; asked of all at once, which takes a third of the time."""
    together = "".join(names)
    return "" not in names and (("." not in together and "$" not in together) or all(map(spellable, names)))


def same(one: Any, other: Any) -> bool:
    """Equality as JSON has it: true is not 1, false not 0, however deep."""
    if one is other:
        return True
    kind = type(one)
    if kind is type(other) and kind in _SCALARS:
        return bool(one == other)
    # What Python finds unequal is so; what it finds equal may hold true for 1 somewhere, which the text tells.
    return one == other and (_alike(one, other) or _same(one, other))


def differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The names that `new` has and `old` has not, or has otherwise: what is not `same`."""
    names = []
    equal_old: dict[str, Any] = {}
    equal_new: dict[str, Any] = {}
    for name, value in new.items():
        was = old.get(name, _ABSENT)
        if was is value:
            continue
        if was != value:
            names.append(name)
        elif type(value) is not type(was) or type(value) not in _SCALARS:
            equal_old[name], equal_new[name] = was, value
    # Whether true stands for 1 in any of it is asked of all at once: to ask of each takes three times as long.
    if equal_new and not _alike(equal_old, equal_new):
        names.extend(name for name, value in equal_new.items() if not same(equal_old[name], value))
    return names


def _alike(one: Any, other: Any) -> bool:
    """True where two values that Python finds equal are surely the same, told by C in one go; False says nothing."""
    try:
        # Equal values can differ only in true for 1, which JSON writes as two things. In a quarter of marshal's time.
        return orjson.dumps(one) == orjson.dumps(other)
    except TypeError:
        # A type of the store's driver.
        return False


_ABSENT: Final = object()
_SCALARS: Final = frozenset({str, int, bool, float})


def _same(one: Any, other: Any) -> bool:
    if one is other:
        return True
    if isinstance(one, bool) or isinstance(other, bool):
        return False
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)
