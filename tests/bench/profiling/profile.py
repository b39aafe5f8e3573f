"""Shares of the worker's time by package and by function, from a cProfile file. C code counts for its caller.

cProfile adds a cost to every Python call, so packages of many small functions look larger than they are: the shares
show where to look, and the cost table shows how much it is.
"""

import pstats
import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct

from server_process import ROOT

_PACKAGE: Final = re.compile(r"site-packages/([\w]+)")
_STANDARD: Final = re.compile(r"/lib/python[\d.]+/(\w+)")

Function = tuple[str, int, str]


class Share(Struct, frozen=True, kw_only=True):
    """A package or function, and its share of the total time, from 0 to 1."""

    name: str
    share: float


class Profile(Struct, frozen=True, kw_only=True):
    """Packages and functions, the largest share first."""

    packages: tuple[Share, ...]
    functions: tuple[Share, ...]


def profile_of(path: Path) -> Profile:
    """The shares in a file that cProfile wrote."""
    stats: Mapping[Function, tuple[int, int, float, float, Mapping[Function, tuple[int, int, float, float]]]]
    stats = pstats.Stats(str(path)).stats  # type: ignore[attr-defined] # not in the stubs, and the only way to it
    packages: defaultdict[str, float] = defaultdict(float)
    functions: defaultdict[str, float] = defaultdict(float)
    for function, (_, _, own_s, _, callers) in stats.items():
        if "select.epoll" in function[2]:
            # The event loop waits here.
            continue
        if function[0] != "~":
            packages[_package(function)] += own_s
            functions[_name(function)] += own_s
            continue
        for caller, (_, _, called_s, _) in callers.items():
            packages[_package(caller)] += called_s
            functions[_name(caller)] += called_s
    return Profile(packages=_shares(packages), functions=_shares(functions))


def _shares(seconds: Mapping[str, float]) -> tuple[Share, ...]:
    total = sum(seconds.values()) or 1
    ordered = sorted(seconds.items(), key=lambda item: -item[1])
    return tuple(Share(name=name, share=each / total) for name, each in ordered)


def _package(function: Function) -> str:
    path = function[0]
    installed, standard = _PACKAGE.search(path), _STANDARD.search(path)
    if installed is not None:
        return installed[1]
    if path.startswith(str(ROOT)):
        return f"our {Path(path).relative_to(ROOT).parts[0]}"
    return f"Python's {standard[1]}" if standard is not None else "built in"


def _name(function: Function) -> str:
    path, _, name = function
    if path == "~":
        return name
    # Two rooms may have a file of the same name.
    below = Path(path).relative_to(ROOT).parts[1:-1] if path.startswith(str(ROOT)) else ()
    return f"{_package(function)}: {'/'.join([*below, Path(path).stem])}.{name}"
