"""A worker's report as a document of the collection `fleet`, and back."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from worker.ports.status import WorkerReport

REPORT_PREFIX: Final = "worker/"
"""The `_id` of a report is this and the worker's name."""
LEASE_PREFIX: Final = "lease/"
"""The `_id` of a lease is this and its name."""


def report_fields(report: WorkerReport) -> dict[str, Any]:
    """The document's field `report`."""
    fields: dict[str, Any] = msgspec.to_builtins(report, builtin_types=(datetime,))
    return fields


def report_of(document: Mapping[str, Any]) -> WorkerReport | None:
    """The report that a document holds. None if it has another form: a worker of another version has left it."""
    try:
        return msgspec.convert(document.get("report"), WorkerReport)
    except msgspec.ValidationError:
        return None


def prefix_range(prefix: str) -> dict[str, str]:
    """The condition on `_id` for the texts that begin with the prefix, which ends with `/`."""
    return {"$gte": prefix, "$lt": f"{prefix[:-1]}0"}
