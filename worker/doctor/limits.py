"""The limits between the settings and what AWS and MongoDB are set to. The start of the worker holds the same."""

from typing import Final

from handlers.options import PolicyInUse
from worker.findings import Finding, FindingCode
from worker.settings.settings import Settings

TRANSACTION_LIFETIME_S_MAX: Final = 10
"""For so many seconds, MongoDB's `transactionLifetimeLimitSeconds`, the locks of a killed worker block the others."""


def gap_finding(settings: Settings, visibility_timeout_s: int) -> Finding | None:
    """The gap must be longer than the visibility timeout, under the policies that know it."""
    gap_s = settings.sync_gap_seconds
    if settings.sync_policy is PolicyInUse.LEGACY or gap_s > visibility_timeout_s:
        return None
    return Finding(
        code=FindingCode.VISIBILITY_ABOVE_GAP,
        subject=f"SYNC_GAP_SECONDS {gap_s:g}",
        found=f"it must be more than the queue's visibility timeout ({visibility_timeout_s} s), as an event in flight "
        "is not lost",
        remedy="raise it or shorten the timeout",
    )


def is_visibility_short(settings: Settings, visibility_timeout_s: int) -> bool:
    """Whether a message may come back while its batch is tried a second time."""
    return visibility_timeout_s < 2 * settings.store_deadline_seconds


def is_lifetime_long(lifetime_s: int | None) -> bool:
    """Whether a killed worker's locks block the others for long; None: MongoDB does not say."""
    return lifetime_s is not None and lifetime_s > TRANSACTION_LIFETIME_S_MAX
