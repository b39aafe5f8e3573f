"""The parts of a question, and their faults. An unknown name is a fault that names the nearest known one.

Source: docs/decide.md.
"""

from collections.abc import Collection, Iterator
from difflib import get_close_matches
from typing import Any, Final, Self, TypeGuard, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from handlers.events.validation import FieldPath, InvalidFields, invalid_fields


class QuestionPart(BaseModel):
    """A part of a question. Its types are strict, and an unknown name is a fault."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    @classmethod
    def read(cls, given: object) -> Self:
        """The part of a parsed question. Raises InvalidFields with every fault."""
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            raise InvalidFields([_with_nearest_name(cls, *fault) for fault in invalid_fields(error).faults]) from error


def unknown_name(name: str, known: Collection[str]) -> str:
    """The message of a fault: `name` is none of the known names."""
    # Without a cutoff there is always a nearest name.
    [nearest] = get_close_matches(name, known, n=1, cutoff=0.0)
    return f"unknown name; the nearest known one is {nearest!r}"


_EXTRA: Final = "Extra inputs are not permitted"
_KEY: Final = "[key]"
"""The end of pydantic's path to a name of a mapping."""


def _with_nearest_name(part: type[QuestionPart], path: FieldPath, message: str) -> tuple[FieldPath, str]:
    if path[-1] == _KEY:
        name = str(path[-2])
        return path[:-1], unknown_name(name, _mapping_names(_annotation(part, path[:-2])))
    if message == _EXTRA:
        return path, unknown_name(str(path[-1]), _part_at(part, path[:-1]).model_fields)
    return path, message


def _part_at(part: type[QuestionPart], path: FieldPath) -> type[QuestionPart]:
    """The part at a path; a list's parts are those of its elements."""
    if not path:
        return part
    return next(kind for kind in _kinds(_annotation(part, path)) if _is_part(kind))


def _annotation(part: type[QuestionPart], path: FieldPath) -> Any:
    names = [name for name in path if isinstance(name, str)]
    return _part_at(part, tuple(names[:-1])).model_fields[names[-1]].annotation


def _is_part(kind: object) -> TypeGuard[type[QuestionPart]]:
    return isinstance(kind, type) and issubclass(kind, QuestionPart)


def _kinds(annotation: Any) -> Iterator[Any]:
    """The annotation and every type within it."""
    yield annotation
    for inner in get_args(annotation):
        yield from _kinds(inner)


def _mapping_names(annotation: Any) -> tuple[str, ...]:
    """The names that a mapping from a Literal may have."""
    literal, _ = get_args(annotation)
    names: tuple[str, ...] = get_args(literal)
    return names
