"""The end of a process that failed: its log lines, and one line for the operator."""

from collections.abc import Sequence

from worker.errors import SetupError
from worker.telemetry.logs import Log, error_fields


def log_failure(group: BaseExceptionGroup[BaseException], log: Log) -> str:
    """Log the errors that ended the process; returns one line for the operator."""
    errors = _single_errors(group)
    for error in errors:
        if isinstance(error, SetupError):
            log.error("cannot start", reason=str(error))
            return str(error)
    for error in errors:
        log.error("stopped by a fault in our code", **error_fields(error))
    fields = error_fields(errors[0])
    return f"stopped by a fault in our code: {fields['error']} at {(fields['stack'] or ['?'])[-1]}"


def _single_errors(group: BaseExceptionGroup[BaseException]) -> Sequence[BaseException]:
    errors: list[BaseException] = []
    for error in group.exceptions:
        errors.extend(_single_errors(error) if isinstance(error, BaseExceptionGroup) else [error])
    return errors
