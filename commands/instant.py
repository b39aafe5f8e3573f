"""Instants as text: ISO 8601, UTC, milliseconds, as in every event and document."""

from datetime import UTC, datetime


def parse_instant(text: str) -> datetime | None:
    """The instant in UTC; None where `text` is not ISO 8601 with a zone."""
    try:
        instant = datetime.fromisoformat(text)
        if instant.tzinfo is UTC:
            return instant
        return instant.astimezone(UTC) if instant.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def format_instant(instant: datetime) -> str:
    """`2022-03-02T19:13:26.158Z`, cut off below the millisecond."""
    utc = instant if instant.tzinfo is UTC else instant.astimezone(UTC)
    return utc.isoformat(timespec="milliseconds").replace("+00:00", "Z")
