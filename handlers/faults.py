"""A failed validation as a dead letter's code and reason: every fault with its path, no word of a customer's."""

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from handlers.event import Fault, Malformed
from handlers.wire import NAMES

_SHOWN_MAX = 10


def fault_of(fault: ValidationError, *, at: tuple[str, ...] = ()) -> Malformed:
    """`BAD_REVISION` where `attributes.rev` is at fault, else `INVALID_FIELD`. A name that is not modelled, which
    somebody may have made up, stands as `*`."""
    revision = any(error["loc"] == ("attributes", "rev") for error in _errors(fault))
    lines = [f"{'.'.join([*at, *(_shown(part) for part in error['loc'])])}: {error['msg']}" for error in _errors(fault)]
    return Malformed(code=Fault.BAD_REVISION if revision else Fault.INVALID_FIELD, reason=_joined(lines))


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
