"""JSON texts as values, and whether such a text has the lists that its fields' types say: a list that lost its brackets
may still be JSON."""

import json
from typing import Any

import orjson

from worker.investigate.field_types import UNKNOWN, FieldKind, FieldType


def parsed(text: str) -> Any:
    """The value of a JSON text, which may hold half a surrogate pair, as the worker's reader takes it. Raises
    ValueError."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        if "\\ud" not in text and "\\uD" not in text:
            raise
    try:
        return json.loads(text, parse_constant=_no_constant)
    except RecursionError as error:
        raise ValueError("nests too deep") from error


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def is_sound(text: str, of: FieldType) -> bool:
    """Whether a text is JSON, with a list wherever a field's type is one."""
    try:
        value = parsed(text)
    except ValueError:
        return False
    return has_its_lists(value, of)


def has_its_lists(value: Any, of: FieldType) -> bool:
    """Whether each field whose type is a list holds one, or null."""
    # Loops over exact types: with generators and `isinstance` this takes three times as long, a sixth of an import.
    if type(value) is dict:
        # A text that holds JSON has its fields under the same names.
        fields, others = of.fields, of.others or UNKNOWN
        for name, inner in value.items():
            field = fields.get(name) or others
            kind = field.kind
            if kind is FieldKind.LIST:
                if inner is not None and not _is_list(inner, field):
                    return False
            elif kind is FieldKind.JSON_TEXT:
                if not _is_text_with_its_lists(inner, field):
                    return False
            elif (type(inner) is dict or type(inner) is list) and not has_its_lists(inner, field):
                return False
    elif type(value) is list:
        return _is_list(value, of)
    return True


def _is_list(value: Any, of: FieldType) -> bool:
    item = of.item_type
    return type(value) is list and all(has_its_lists(inner, item) for inner in value)


def _is_text_with_its_lists(value: Any, of: FieldType) -> bool:
    return not isinstance(value, str) or not value.lstrip().startswith("{") or is_sound(value, of)
