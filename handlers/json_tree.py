"""JSON values: limits on what comes from outside, and when two of them are the same."""

import marshal
from collections.abc import Collection, Mapping
from typing import Any, Final

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
    # What Python finds unequal is so; what it finds equal may hold true for 1 somewhere, which the bytes would tell.
    return one == other and (alike(one, other) or _same(one, other))


def alike(one: Any, other: Any) -> bool:
    """True where both are surely the same, told by C in one go; False says nothing."""
    try:
        # Of this version equal values of equal types have equal bytes; later ones write what is shared by reference.
        return marshal.dumps(one, _MARSHAL) == marshal.dumps(other, _MARSHAL)
    except ValueError:
        # A type of the store's driver.
        return False


_SCALARS: Final = frozenset({str, int, bool, float})
_MARSHAL: Final = 2


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
