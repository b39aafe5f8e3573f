"""Two equal copies of a value are one value: equal, with one hash. A compiler that takes `==` for identity, or that
drops what a class statement says, fails here.

Every value class is gone over, on whichever build runs: the source says which there are and what their fields hold,
the copies are made of the class that was imported. No object of one copy is an object of the other.
"""

import ast
import enum
import importlib
import types
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin

import pytest

from server_process import ROOT

PACKAGES = ("commands", "sync", "handlers", "worker")
NO_VALUES = {"worker.consumer.receivers._ReceiveCall", "worker.investigate.field_types.FieldType"}
"""They say `eq=False`: two of them are equal where they are the same object."""


class ValueClass(NamedTuple):
    module: str
    name: str
    frozen: bool
    fields: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"

    @property
    def loaded(self) -> Any:
        return getattr(importlib.import_module(self.module), self.name)

    def sample(self, seed: int, *, other: str | None = None) -> Any:
        """A value with each field of its own. `other` names a field that has another value than with None."""
        scope = {**vars(typing_names()), **vars(importlib.import_module(self.module))}
        return self.loaded(
            **{
                name: sample(eval(kind, scope), seed + number + (1_000 if name == other else 0))
                for number, (name, kind) in enumerate(self.fields)
            }
        )


class Opaque:
    """Equal to its own kind by its number."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Opaque) and other.number == self.number

    def __hash__(self) -> int:
        return hash(self.number)


def typing_names() -> types.ModuleType:
    return importlib.import_module("typing")


def value_classes() -> Iterable[ValueClass]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.ClassDef) and any(_name(base) == "Struct" for base in node.bases):
                    fields = tuple(
                        (one.target.id, ast.unparse(one.annotation))
                        for one in node.body
                        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)
                    )
                    frozen = any(one.arg == "frozen" for one in node.keywords)
                    yield ValueClass(module, node.name, frozen, fields)


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Subscript):
        return _name(node.value)
    return node.id if isinstance(node, ast.Name) else ""


CLASSES = [one for one in value_classes() if str(one) not in NO_VALUES and one.fields]
BY_NAME = {one.name: one for one in CLASSES}


def sample(kind: Any, seed: int) -> Any:
    """A new object of the type: equal to that of the same seed alone, where the type has more than one value."""
    origin, of = get_origin(kind), get_args(kind)
    if isinstance(kind, TypeVar) or kind in (Any, object):
        return Opaque(seed)
    if origin in (Union, types.UnionType):
        return sample(next(one for one in of if one is not type(None)), seed)
    if origin is Literal:
        return of[seed // 1_000 % len(of)]
    if origin is tuple:
        return tuple(sample(one, seed) for one in of[:1])
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
    if isinstance(kind, type) and kind.__name__ in BY_NAME and BY_NAME[kind.__name__].loaded is kind:
        return BY_NAME[kind.__name__].sample(seed)
    return Opaque(seed)


def test_the_classes_are_found() -> None:
    assert {"Conversation", "WorkItem", "SyncState", "Event", "Decision", "Plan", "DraftDocument"} <= set(BY_NAME)
    assert len(CLASSES) > 200


@pytest.mark.parametrize("value", CLASSES, ids=str)
def test_two_equal_copies_are_one_value(value: ValueClass) -> None:
    one, other = value.sample(1), value.sample(1)
    assert one is not other
    assert one == other
    assert (one != other) is False
    assert repr(value.loaded.__name__).strip("'") in repr(one)
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
    one = value.sample(1)
    for name, _ in value.fields:
        other = value.sample(1, other=name)
        if getattr(one, name) != getattr(other, name):
            assert one != other, name
    assert one != Opaque(1)
