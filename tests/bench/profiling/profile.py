"""Where the worker's time goes: cProfile's figures by package, what C code takes put to whoever called it.

cProfile makes calls of Python dearer than they are, and so rooms of many small functions larger: shares are a map, the
figures are in the other table.
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
    """One package or function, and its share of all time, from 0 to 1."""

    name: str
    share: float


class Profile(Struct, frozen=True, kw_only=True):
    """Packages and single functions, the dearest first."""

    packages: tuple[Share, ...]
    functions: tuple[Share, ...]


def profile_of(path: Path) -> Profile:
    """What is in a file of cProfile's."""
    stats: Mapping[Function, tuple[int, int, float, float, Mapping[Function, tuple[int, int, float, float]]]]
    stats = pstats.Stats(str(path)).stats  # type: ignore[attr-defined] # not in the stubs, and the only way to it
    packages: defaultdict[str, float] = defaultdict(float)
    functions: defaultdict[str, float] = defaultdict(float)
    for function, (_, _, own_s, _, callers) in stats.items():
        if "select.epoll" in function[2]:
            # Waiting is no work.
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
    return f"{_package(function)}: {Path(path).stem}.{name}" if path != "~" else name
