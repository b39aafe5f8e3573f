"""The source step: a value class that is spelt out does what msgspec's does."""

from typing import Any

import msgspec
import pytest

from compiled_build.native_values import UnknownValueClass, value_classes, with_native_replace, with_native_values

SOURCE = '''"""A module."""

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct, field
from msgspec.structs import replace


class Value(Struct, frozen=True, kw_only=True):
    """A value."""

    name: str
    size: float = 1
    """In pieces."""
    more: Mapping[str, int] = field(default_factory=dict)
    names: tuple[str, ...] = ()

    @property
    def twice(self) -> float:
        return self.size * 2


class Draft(Struct, kw_only=True):
    value: Value | None = None


class Port(Protocol):
    def ask(self) -> float: ...


def grown(value: Value, by: float) -> Value:
    return replace(value, size=value.size + by)
'''


def _run(source: str) -> dict[str, Any]:
    scope: dict[str, Any] = {"__name__": "made", "mypyc_attr": lambda **_: lambda marked: marked}
    exec("\n".join(line for line in source.splitlines() if "native_" not in line), scope)
    scope.setdefault("replace", lambda value, **changes: value.replaced(changes))
    return scope


@pytest.fixture(params=["as written", "spelt out"])
def module(request: pytest.FixtureRequest) -> dict[str, Any]:
    return _run(SOURCE if request.param == "as written" else with_native_values(SOURCE, "made.py"))


def test_the_step_leaves_no_struct() -> None:
    made = with_native_values(SOURCE, "made.py")
    assert value_classes(SOURCE) == ["Value", "Draft"]
    assert value_classes(made) == []
    assert not issubclass(_run(made)["Value"], msgspec.Struct)


def test_equality_hash_repr_and_copies(module: dict[str, Any]) -> None:
    one, same, other = (module["Value"](name=name, names=("a",)) for name in ("x", "x", "y"))
    assert (one == same, one == other, one == "x") == (True, False, False)
    assert repr(one) == "Value(name='x', size=1, more={}, names=('a',))"
    assert module["grown"](one, 2) == module["Value"](name="x", size=3, names=("a",))
    assert (one.size, one.twice, type(one.size)) == (1, 2, int)
    assert module["Value"].__struct_fields__ == ("name", "size", "more", "names")
    with pytest.raises(TypeError):
        hash(one)
    with pytest.raises(TypeError):
        hash(module["Draft"]())
    with pytest.raises(TypeError):
        module["Value"]("x")
    with pytest.raises(TypeError):
        module["replace"](one, nome="z")


def test_a_default_of_a_factory_is_of_each_value_its_own(module: dict[str, Any]) -> None:
    one, other = module["Value"](name="x"), module["Value"](name="x")
    assert one.more == {}
    assert one.more is not other.more


def test_a_hash_goes_by_every_field(module: dict[str, Any]) -> None:
    values = {module["Value"](name="x", size=size, more=()) for size in (1, 1, 2)}
    assert len(values) == 2


def test_no_float_stays_in_an_annotation_and_protocols_stay_interpreted() -> None:
    made = with_native_values(SOURCE, "made.py")
    assert "float" not in made
    assert "@mypyc_attr(native_class=False)\nclass Port(Protocol):" in made
    assert made.index("from commands.native_marks import mypyc_attr") < made.index("@mypyc_attr")


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("class Value(Struct, frozen=True, kw_only=True):", "frozen=True, kw_only=True, eq=False"),
        ("class Value(Struct, frozen=True, kw_only=True):", "frozen=True"),
        ("field(default_factory=dict)", "field(name='other')"),
    ],
)
def test_what_the_step_does_not_know_is_refused(line: str, named: str) -> None:
    wrong = f"class Value(Struct, {named}):" if line.startswith("class") else named
    with pytest.raises(UnknownValueClass, match=r"made\.py, (class Value|field more): the compiled build takes"):
        with_native_values(SOURCE.replace(line, wrong), "made.py")


@pytest.mark.parametrize(
    "form", ["class Form(Base, kw_only=True):\n    id: str", "class Form(Base):\n    id: str = field(name='_id')"]
)
def test_a_form_that_msgspec_reads_by_its_annotations_is_refused(form: str) -> None:
    with pytest.raises(UnknownValueClass, match=r"made\.py, class Form: .* name the module in INTERPRETED"):
        with_native_values(f"{SOURCE}\n\n{form}\n", "made.py")


def test_interpreted_modules_get_the_same_replace() -> None:
    assert "from commands.native_replace import replace\n" in with_native_replace(SOURCE)
