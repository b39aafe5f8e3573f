"""How long events have been under way: a document is old news only if written before all that is still coming."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from handlers.event import Event

IN_TIME: Final = timedelta()
_KEPT_LONGEST: Final = timedelta(days=14)
"""No queue keeps a message for longer (SQS, `MessageRetentionPeriod`): what is older is a capture, played again."""


def lateness(events: Iterable[Event], now: datetime) -> timedelta:
    """From publication to now, of the latest of them; captures count as in time, and so do those that do not say."""
    ages = (now - event.published_at for event in events if event.published_at is not None)
    return max((age for age in ages if IN_TIME < age <= _KEPT_LONGEST), default=IN_TIME)
