"""Where the code sends metrics: the calls of `count`, `gauge` and `distribution` with a member of `Metric`."""

import ast
from collections.abc import Iterator
from functools import cache

from msgspec import Struct

from server_process import ROOT
from worker.telemetry.metric_form import MetricKind

_KINDS = {kind.value: kind for kind in MetricKind}


class Emission(Struct, frozen=True, kw_only=True):
    """One call. `member`: the name of the member of `Metric`."""

    place: str
    member: str
    kind: MetricKind
    tags: frozenset[str]


@cache
def emissions() -> list[Emission]:
    """The calls of the whole package `worker`."""
    return [
        emission
        for path in sorted((ROOT / "worker").rglob("*.py"))
        for emission in _in_source(path.read_text(), str(path.relative_to(ROOT)))
    ]


def _in_source(source: str, name: str) -> Iterator[Emission]:
    if "Metric." not in source:
        return
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(
                func=ast.Attribute(attr=method),
                args=[ast.Attribute(value=ast.Name(id="Metric"), attr=member), *_],
                keywords=keywords,
            ) if method in _KINDS:
                tags = frozenset(keyword.arg or "**" for keyword in keywords)
                yield Emission(place=f"{name}:{node.lineno}", member=member, kind=_KINDS[method], tags=tags)
