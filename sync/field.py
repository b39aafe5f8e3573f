"""The shared fields: what both records say of the same piece of work (sync-rules.md)."""

from typing import Final, Literal

Field = Literal["assignee", "queue", "status", "ended", "paused"]
"""`status`: done or completed, or not. `ended`: ended or wrap-up, or not. `paused`: snoozed or paused, or not."""

FIELDS: Final[tuple[Field, ...]] = ("assignee", "queue", "status", "ended", "paused")
