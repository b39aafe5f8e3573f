"""A failed validation as a dead letter's code and reason: every fault with its path, no value of a customer's."""

from pydantic import ValidationError

from handlers.event import Fault, Malformed

_SHOWN_MAX = 10


def fault_of(fault: ValidationError, *, at: tuple[str, ...] = ()) -> Malformed:
    """`BAD_REVISION` where `attributes.rev` is at fault, else `INVALID_FIELD`."""
    errors = fault.errors(include_url=False, include_input=False, include_context=False)
    lines = [f"{'.'.join(str(part)[:64] for part in (*at, *error['loc']))}: {error['msg']}" for error in errors]
    more = f"; and {len(lines) - _SHOWN_MAX} more" if len(lines) > _SHOWN_MAX else ""
    revision = any(error["loc"] == ("attributes", "rev") for error in errors)
    return Malformed(
        code=Fault.BAD_REVISION if revision else Fault.INVALID_FIELD,
        reason="; ".join(lines[:_SHOWN_MAX]) + more,
    )
