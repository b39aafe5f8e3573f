"""The source step of the compiled build: msgspec's value classes become classes that mypyc compiles natively.

mypyc drops the arguments of a class statement without a word, so `class Write(Struct, frozen=True)` would be compiled
as a value that can be changed and has no hash; and it reaches the attributes of a Struct only through the
interpreter. In the build's copy of the source each value class therefore gets its constructor, equality, hash and
copy spelt out. A decorator of our own would not do: mypyc then compiles `==` as identity.

The source in the repository stays as it is. The types of frozen values are checked there: a compiled value can be
changed by code that mypy has not checked.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

REPLACE_MODULE: Final = "commands/native_replace.py"
"""The module that only the build has: `replace` for native values and for Structs. It is compiled."""

REPLACE_SOURCE: Final = '''"""`replace` for native values and for Structs. Made by the compiled build."""

from typing import Any, TypeVar, cast

import msgspec.structs
from msgspec import Struct

Value = TypeVar("Value")


def replace(value: Value, /, **changes: Any) -> Value:
    """A copy of the value with these changes. Raises TypeError for a field that the value does not have."""
    if isinstance(value, Struct):
        return cast(Value, msgspec.structs.replace(value, **changes))
    return cast(Value, cast(Any, value).replaced(changes))
'''

MARKS_MODULE: Final = "commands/native_marks.py"
"""The module that only the build has: mypyc's mark for the compiler, not needed at run time. It is not compiled."""

MARKS_SOURCE: Final = '''"""The compiler's mark, without its package at run time. Made by the compiled build."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_extensions import mypyc_attr as mypyc_attr
else:

    def mypyc_attr(**_):
        return lambda marked: marked
'''

_IMPORT_OF_REPLACE: Final = re.compile(r"^from msgspec\.structs import replace\b", re.MULTILINE)
_INDENT: Final = "    "


class UnknownValueClass(Exception):
    """A value class has a form that the step does not know. The message names the class and the remedy."""


class _Field(NamedTuple):
    name: str
    type: str
    default: str | None
    factory: str | None


def with_native_replace(source: str) -> str:
    """The module with the `replace` that takes native values, too."""
    return _IMPORT_OF_REPLACE.sub("from commands.native_replace import replace", source)


def with_native_values(source: str, path: str) -> str:
    """A module that is going to be compiled: its value classes spelt out, its protocols left to the interpreter.

    `path` names the module in errors. Raises UnknownValueClass.
    """
    source = _without_floats(source)
    lines = source.splitlines()
    tree = ast.parse(source)
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    protocols = False
    for node in reversed(classes):
        assert node.end_lineno is not None
        if is_value(node):
            lines[node.lineno - 1 : node.end_lineno] = _native_class(node, source.splitlines(), path)
        elif node.keywords or any(_is_named_field(one) for one in node.body):
            dropped = (
                "mypyc drops the arguments of its class statement or of its fields: name the module in INTERPRETED."
            )
            raise UnknownValueClass(f"{path}, class {node.name}: the compiled build takes no such class, {dropped}")
        elif any(_name(base) == "Protocol" for base in node.bases):
            # A native protocol is a trait, and takes only classes that are compiled with it.
            lines.insert(node.lineno - 1, "@mypyc_attr(native_class=False)")
            protocols = True
    head = _after_docstring(tree)
    lines[head:head] = ["from typing import Any as _Any, ClassVar as _ClassVar"]
    if protocols:
        lines.insert(head, "from commands.native_marks import mypyc_attr")
    return with_native_replace("\n".join(lines) + "\n")


def value_classes(source: str) -> list[str]:
    """The names of the module's value classes."""
    return [node.name for node in ast.parse(source).body if isinstance(node, ast.ClassDef) and is_value(node)]


def _without_floats(source: str) -> str:
    """The source without `float` in annotations. mypyc would make 2.0 of a 2, and MongoDB stores the two apart."""
    lines = [line.encode() for line in source.splitlines()]
    annotations = (found for node in ast.walk(ast.parse(source)) for found in _annotations(node))
    names = [one for found in annotations for one in ast.walk(found) if isinstance(one, ast.Name) and one.id == "float"]
    for one in sorted(names, key=lambda name: -name.col_offset):
        line, end = lines[one.lineno - 1], one.end_col_offset
        lines[one.lineno - 1] = line[: one.col_offset] + b"_Any" + line[end:]
    return b"\n".join(lines).decode() + "\n"


def _annotations(node: ast.AST) -> Iterable[ast.expr]:
    match node:
        case ast.AnnAssign(annotation=found) | ast.arg(annotation=ast.expr() as found):
            return (found,)
        case ast.FunctionDef(returns=ast.expr() as found) | ast.AsyncFunctionDef(returns=ast.expr() as found):
            return (found,)
        case _:
            return ()


def is_value(node: ast.ClassDef) -> bool:
    """Whether the class is a value class: a Struct by its own class statement."""
    return any(_name(base) == "Struct" for base in node.bases)


def _is_named_field(statement: ast.stmt) -> bool:
    """Whether the statement is a field that says more of itself than its type, as msgspec's forms do."""
    value = statement.value if isinstance(statement, ast.AnnAssign) else None
    return isinstance(value, ast.Call) and _name(value.func) == "field"


def _native_class(node: ast.ClassDef, source: Sequence[str], path: str) -> list[str]:
    config = {one.arg: ast.literal_eval(one.value) for one in node.keywords}
    if node.decorator_list or not config.pop("kw_only", False) or set(config) - {"frozen"}:
        known = "without decorators, and with no argument but frozen=True beside kw_only=True"
        raise UnknownValueClass(f"{path}, class {node.name}: the compiled build takes a Struct {known}.")
    frozen = bool(config.get("frozen"))
    fields = [_field(one, path) for one in node.body if isinstance(one, ast.AnnAssign)]
    bases = ", ".join(ast.unparse(base) for base in node.bases if _name(base) != "Struct")
    head = f"class {node.name}({bases}):" if bases else f"class {node.name}:"
    body = [*_constructor(fields), *_equality(node.name, fields, frozen=frozen), *_repr(node.name, fields)]
    body += _copy(node.name, fields)
    body.append(f"__struct_fields__: _ClassVar[tuple[str, ...]] = {tuple(one.name for one in fields)!r}")
    kept = [line for one in node.body for line in _kept(one, source)]
    return [head, *(_INDENT + line if line else "" for line in body), *kept]


def _kept(statement: ast.stmt, source: Sequence[str]) -> list[str]:
    """The lines of a method; the fields and the docstrings are spelt out, or gone."""
    if isinstance(statement, ast.AnnAssign | ast.Expr):
        return []
    first = min([statement.lineno, *(one.lineno for one in getattr(statement, "decorator_list", ()))])
    assert statement.end_lineno is not None
    return ["", *source[first - 1 : statement.end_lineno]]


def _field(node: ast.AnnAssign, path: str) -> _Field:
    assert isinstance(node.target, ast.Name)
    name, kind = node.target.id, ast.unparse(node.annotation)
    if not isinstance(node.value, ast.Call) or _name(node.value.func) != "field":
        return _Field(name, kind, None if node.value is None else ast.unparse(node.value), None)
    if [one.arg for one in node.value.keywords] != ["default_factory"] or node.value.args:
        raise UnknownValueClass(f"{path}, field {name}: the compiled build takes only field(default_factory=...).")
    return _Field(name, kind, None, ast.unparse(node.value.keywords[0].value))


def _constructor(fields: Sequence[_Field]) -> Iterator[str]:
    yield from (f"{one.name}: {one.type}" for one in fields)
    if not fields:
        return
    yield "def __init__(self, *, " + ", ".join(map(_parameter, fields)) + ") -> None:"
    for one in fields:
        made = "" if one.factory is None else f"{one.factory}() if {one.name} is None else "
        yield f"    self.{one.name} = {made}{one.name}"


def _parameter(field: _Field) -> str:
    if field.factory is not None:
        return f"{field.name}: {field.type} | None = None"
    return f"{field.name}: {field.type}" + ("" if field.default is None else f" = {field.default}")


def _equality(name: str, fields: Sequence[_Field], *, frozen: bool) -> Iterator[str]:
    yield "def __eq__(self, other: object) -> bool:"
    yield f"    if not isinstance(other, {name}):"
    yield "        return NotImplemented"
    compared = " and ".join(f"self.{one.name} == other.{one.name}" for one in fields) or "True"
    yield f"    return self is other or ({compared})"
    yield "def __hash__(self) -> int:"
    if frozen:
        yield "    return hash((" + "".join(f"self.{one.name}, " for one in fields) + "))"
    else:
        yield f"    raise TypeError(\"unhashable type: '{name}'\")"


def _repr(name: str, fields: Sequence[_Field]) -> Iterator[str]:
    shown = ", ".join(f"{one.name}={{self.{one.name}!r}}" for one in fields)
    yield "def __repr__(self) -> str:"
    yield f'    return f"{name}({shown})"'


def _copy(name: str, fields: Sequence[_Field]) -> Iterator[str]:
    yield f'def replaced(self, _changes: dict[str, _Any]) -> "{name}":'
    yield "    _taken = 0"
    for one in fields:
        yield f"    {one.name} = self.{one.name}"
        yield f'    if "{one.name}" in _changes:'
        yield f'        {one.name} = _changes["{one.name}"]'
        yield "        _taken += 1"
    yield "    if _taken != len(_changes):"
    yield f'        raise TypeError(f"{name} has no such field among {{list(_changes)}}")'
    yield f"    return {name}(" + ", ".join(f"{one.name}={one.name}" for one in fields) + ")"


def _name(node: ast.expr) -> str:
    """The last name of an expression: `Struct`, and of `Generic[T]`, `Generic`."""
    if isinstance(node, ast.Subscript):
        return _name(node.value)
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _after_docstring(tree: ast.Module) -> int:
    """The number of the lines before the first statement that is no docstring."""
    first = tree.body[0] if tree.body else None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        return first.end_lineno or 0
    return 0
