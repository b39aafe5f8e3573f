"""Whether a JSON text has the lists that its fields' types say: a list that lost its brackets may still be JSON."""

from typing import Any

import orjson

from worker.investigate.field_types import FieldKind, FieldType


def is_sound(text: str, of: FieldType) -> bool:
    """Whether a text is JSON, with a list wherever a field's type is one."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return has_its_lists(value, of)


def has_its_lists(value: Any, of: FieldType) -> bool:
    """Whether each field whose type is a list holds one, or null."""
    if isinstance(value, dict):
        # A text that holds JSON has its fields under the same names.
        return all(_has_list(inner, of.field(name)) for name, inner in value.items())
    if isinstance(value, list):
        return all(has_its_lists(inner, of.item_type) for inner in value)
    return True


def _has_list(value: Any, of: FieldType) -> bool:
    match of.kind:
        case FieldKind.LIST:
            return value is None or (isinstance(value, list) and has_its_lists(value, of))
        case FieldKind.JSON_TEXT:
            return not isinstance(value, str) or not value.lstrip().startswith("{") or is_sound(value, of)
        case _:
            return not isinstance(value, dict | list) or has_its_lists(value, of)
