"""A subscription's filter policy, judged by the names of the events that must come through.

The grammar is that of "Amazon SNS subscription filter policies": a key has a list of conditions, of which one must
hold; every key must hold.
"""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final

import orjson
from msgspec import Struct

_NAME: Final = "name"
_BODY: Final = "MessageBody"


class FilterJudgement(Struct, frozen=True, kw_only=True):
    """What a filter policy does. `blocked`: the names that it lets not through. `others`: the other keys that it asks
    for, which some events may lack."""

    blocked: tuple[str, ...]
    others: tuple[str, ...] = ()


def judged_filter(policy: str | None, scope: str | None, names: Sequence[str]) -> FilterJudgement:
    """What the policy does to events of these names. By attributes it blocks all of them: the worker's own events and
    heartbeats have none to go by. Raises ValueError if it is no JSON object.
    """
    filtered = _parsed(policy)
    if not filtered:
        return FilterJudgement(blocked=())
    if scope != _BODY:
        return FilterJudgement(blocked=tuple(names))
    others = tuple(key for key in filtered if key != _NAME)
    conditions = filtered.get(_NAME)
    if conditions is None:
        return FilterJudgement(blocked=(), others=others)
    choices = conditions if isinstance(conditions, list) else [conditions]
    blocked = tuple(name for name in names if not any(_holds(each, name) for each in choices))
    return FilterJudgement(blocked=blocked, others=others)


def _parsed(policy: str | None) -> dict[str, Any]:
    if not policy:
        return {}
    try:
        parsed = orjson.loads(policy)
    except orjson.JSONDecodeError as error:
        raise ValueError("it is not JSON") from error
    if not isinstance(parsed, dict):
        raise ValueError("it is not an object")
    return parsed


def _holds(condition: object, name: str) -> bool:
    match condition:
        case str():
            return condition == name
        case Mapping() if len(condition) == 1:
            ((operator, value),) = condition.items()
            return _operator_holds(str(operator), value, name)
        case _:
            return False


def _operator_holds(operator: str, value: object, name: str) -> bool:
    match operator, value:
        case "prefix", str():
            return name.startswith(value)
        case "suffix", str():
            return name.endswith(value)
        case "equals-ignore-case", str():
            return name.lower() == value.lower()
        case "wildcard", str():
            # SNS knows the asterisk alone.
            return fnmatchcase(name, value.replace("[", "[[]").replace("?", "[?]"))
        case "exists", bool():
            return value
        case "anything-but", list():
            return name not in value
        case "anything-but", str():
            return name != value
        case "anything-but", Mapping():
            return not _holds(value, name)
        case _:
            return False
