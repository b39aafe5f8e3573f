"""A failed validation as a dead letter's code and reason: every fault with its path, no word of a customer's."""

from collections.abc import Callable
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, SchemaValidator
from pydantic_core.core_schema import str_schema, typed_dict_field, typed_dict_schema, union_schema

from handlers.events.event import Malformed, RejectionCode
from handlers.events.schema import NAMES, is_instant

_SHOWN_MAX = 10


def fault_of(fault: ValidationError, *, at: tuple[str, ...] = ()) -> Malformed:
    """`BAD_REVISION` where `attributes.rev` is at fault, else `INVALID_FIELD`. A name that is not modelled, which
    somebody may have made up, stands as `*`."""
    revision = any(error["loc"] == ("attributes", "rev") for error in _errors(fault))
    lines = [f"{'.'.join([*at, *(_shown(part) for part in error['loc'])])}: {error['msg']}" for error in _errors(fault)]
    return Malformed(
        code=RejectionCode.BAD_REVISION if revision else RejectionCode.INVALID_FIELD, reason=_joined(lines)
    )


def told(fault: ValidationError, *, at: tuple[str, ...] = ()) -> str:
    """The faults of what somebody asked, for whoever asked it: with the names he used, and no values."""
    return _joined(
        [f"{'.'.join(str(part)[:64] for part in (*at, *error['loc']))}: {error['msg']}" for error in _errors(fault)]
    )


def _errors(fault: ValidationError) -> list[ErrorDetails]:
    return fault.errors(include_url=False, include_input=False, include_context=False)


def _shown(part: str | int) -> str:
    return str(part) if isinstance(part, int) or part in NAMES else "*"


def _joined(lines: list[str]) -> str:
    more = f"; and {len(lines) - _SHOWN_MAX} more" if len(lines) > _SHOWN_MAX else ""
    return "; ".join(lines[:_SHOWN_MAX]) + more


_INSTANT: Final = r"^[12][0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3])(:[0-5][0-9]){2}\.[0-9]{3}Z$"
"""An instant as nearly all are written, on a day that every month has: known for one without Python's being called from
Rust, which takes half a microsecond each time."""


def check_of(model: type[BaseModel]) -> Callable[[object], None]:
    """A check that raises the model's ValidationError. What passes holds what the strict model would: nothing is made
    of a value that is not the value."""
    assert model.model_config.get("strict"), "else the model may read a value as another"
    is_valid = SchemaValidator(_of_dicts(model.__pydantic_core_schema__)).isinstance_python

    def check(value: object) -> None:
        if not is_valid(value):
            model.model_validate(value)

    return check


def _of_dicts(schema: Any) -> Any:
    """A model's schema with a dict of its fields in the place of every model."""
    if isinstance(schema, list):
        return [_of_dicts(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("type") == "function-after" and schema["function"]["function"] is is_instant:
        return union_schema([str_schema(pattern=_INSTANT), schema], mode="left_to_right")
    if schema.get("type") != "model":
        return {key: _of_dicts(part) for key, part in schema.items()}
    fields = {}
    for name, field in schema["schema"]["fields"].items():
        inner = field["schema"]
        optional = inner["type"] == "default"
        fields[name] = typed_dict_field(_of_dicts(inner["schema"] if optional else inner), required=not optional)
    return typed_dict_schema(fields, config=schema["config"], ref=schema.get("ref"))
