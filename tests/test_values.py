"""Two equal copies of a value are one value: equal, with one hash. A compiler that takes `==` for identity, or that
drops what a class statement says, fails here.

Every value class is gone over, on whichever build runs: `value_list` says which there are and what their fields hold,
the copies are made of the class that was imported. No object of one copy is an object of the other.
"""

import enum
import importlib
import types
import typing
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import pytest
from msgspec import Struct
from typing_extensions import is_typeddict

from compiled_build.native_values import MARKS_MODULE
from compiled_build.rooms import compiled_modules
from compiled_build.value_list import ValueClass, value_list
from server_process import ROOT
from worker.telemetry.build import BUILD

NO_VALUES = {"worker.consumer.receivers._ReceiveCall", "worker.investigate.field_types.FieldType"}
"""They say `eq=False`: two of them are equal where they are the same object."""


class Opaque:
    """Equal to its own kind by its number."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Opaque) and other.number == self.number

    def __hash__(self) -> int:
        return hash(self.number)


CLASSES = [one for one in value_list(ROOT) if str(one) not in NO_VALUES and one.fields]
BY_NAME = {one.name: one for one in CLASSES}


def loaded(value: ValueClass) -> Any:
    return getattr(importlib.import_module(value.module), value.name)


def made(value: ValueClass, seed: int, *, other: str | None = None) -> Any:
    """A value with each field of its own. `other` names a field that has another value than with None."""
    scope = {**vars(typing), **vars(importlib.import_module(value.module))}
    return loaded(value)(
        **{
            name: sample(eval(kind, scope), seed + number + (1_000 if name == other else 0))
            for number, (name, kind) in enumerate(value.fields)
        }
    )


def sample(kind: Any, seed: int) -> Any:
    """A new object of the type: equal to that of the same seed alone, where the type has more than one value."""
    origin, of = get_origin(kind), get_args(kind)
    if isinstance(kind, TypeVar) or kind in (Any, object):
        return Opaque(seed)
    if origin in (Union, types.UnionType):
        return sample(next(one for one in of if one is not type(None)), seed)
    if origin is Annotated:
        return sample(of[0], seed)
    if origin is Literal:
        return of[seed // 1_000 % len(of)]
    if origin is tuple:
        return tuple(sample(one, seed) for one in (of[:1] if ... in of else of))
    if origin in (frozenset, set):
        return origin([sample(of[0], seed)])
    if origin is type:
        return Opaque
    if origin is not None and issubclass(origin, Mapping):
        return {sample(of[0], seed): sample(of[1], seed)}
    if origin is not None and issubclass(origin, Iterable):
        return [sample(of[0], seed)]
    return _plain(kind, seed)


def _plain(kind: Any, seed: int) -> Any:
    if kind is bool:
        return seed >= 1_000
    if kind in (str, bytes, int, float):
        return kind(f"{seed}0001".encode() if kind is bytes else f"{seed}0001")
    if kind is datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seed)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        members = list(kind)
        return members[seed // 1_000 % len(members)]
    if is_typeddict(kind):
        return {"seed": seed}
    if isinstance(kind, type) and kind.__name__ in BY_NAME and loaded(BY_NAME[kind.__name__]) is kind:
        return made(BY_NAME[kind.__name__], seed)
    return Opaque(seed)


def test_the_classes_are_found() -> None:
    assert {"Conversation", "WorkItem", "SyncState", "Event", "Decision", "Plan", "DraftDocument"} <= set(BY_NAME)
    assert len(CLASSES) > 200


@pytest.mark.skipif(BUILD == "interpreted", reason="nothing is compiled")
def test_a_compiled_build_has_compiled_each_of_its_modules() -> None:
    names = (name for name in compiled_modules(ROOT) if name != MARKS_MODULE)
    compiled = {name.removesuffix(".py").replace("/", ".") for name in names}
    of_them = [one for one in CLASSES if one.module in compiled]
    assert len(of_them) > 100
    assert [str(one) for one in of_them if issubclass(loaded(one), Struct)] == []
    assert [name for name in compiled if str(importlib.import_module(name).__file__).endswith(".py")] == []


@pytest.mark.parametrize("value", CLASSES, ids=str)
def test_two_equal_copies_are_one_value(value: ValueClass) -> None:
    one, other = made(value, 1), made(value, 1)
    assert one is not other
    assert one == other
    assert (one != other) is False
    assert value.name in repr(one)
    if not value.frozen:
        with pytest.raises(TypeError):
            hash(one)
        return
    try:
        expected = hash(tuple(getattr(other, name) for name, _ in value.fields))
    except TypeError:
        with pytest.raises(TypeError):
            hash(one)
    else:
        assert isinstance(expected, int)
        assert hash(one) == hash(other)
        assert len({one, other}) == 1


@pytest.mark.parametrize("value", CLASSES, ids=str)
def test_each_field_counts(value: ValueClass) -> None:
    one = made(value, 1)
    for name, _ in value.fields:
        other = made(value, 1, other=name)
        if getattr(one, name) != getattr(other, name):
            assert one != other, name
    assert one != Opaque(1)
