"""Dead letters summed up: how many of which code, reason and event name, how old, and whether they can be put back."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from msgspec import Struct

from commands.instant import format_instant
from worker.letters.letter import CodeSource, Letter
from worker.telemetry.status_page.dead_letter_counts import OTHER_REASONS, reason_class

GROUPS_MAX: Final = 500
"""So many groups are told apart; the reasons of further ones are summed up as `OTHER_REASONS`."""

_Key = tuple[str, CodeSource, str, str | None, bool]


class LetterGroup(Struct, kw_only=True):
    """The letters of one code, reason and event name. `is_readable`: the worker could read them now."""

    code: str
    code_source: CodeSource
    reason: str
    name: str | None
    is_readable: bool
    oldest: datetime
    newest: datetime
    count: int = 0

    def as_wire(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "count": self.count,
            "code": self.code,
            "codeSource": self.code_source.value,
            "reason": self.reason,
            "name": self.name,
            "readable": self.is_readable,
            "oldest": format_instant(self.oldest),
            "newest": format_instant(self.newest),
        }


class LetterSummary:
    """Sums letters up, in memory that their number does not bound but `GROUPS_MAX` does."""

    def __init__(self) -> None:
        """No letter yet."""
        self.count = 0
        self.readable = 0
        self.oldest: datetime | None = None
        self._groups: dict[_Key, LetterGroup] = {}

    def add(self, letter: Letter) -> None:
        """Count the letter."""
        self.count += 1
        self.readable += letter.is_readable
        self.oldest = letter.sent_at if self.oldest is None else min(self.oldest, letter.sent_at)
        reason = reason_class(letter.reason)
        key = (letter.code, letter.code_source, reason, letter.name, letter.is_readable)
        if key not in self._groups and len(self._groups) >= GROUPS_MAX:
            key = (letter.code, letter.code_source, OTHER_REASONS, None, letter.is_readable)
        group = self._groups.get(key)
        if group is None:
            code, source, reason, name, readable = key
            group = self._groups[key] = LetterGroup(
                code=code,
                code_source=source,
                reason=reason,
                name=name,
                is_readable=readable,
                oldest=letter.sent_at,
                newest=letter.sent_at,
            )
        group.count += 1
        group.oldest, group.newest = min(group.oldest, letter.sent_at), max(group.newest, letter.sent_at)

    def groups(self) -> Sequence[LetterGroup]:
        """The groups, the largest first."""
        return sorted(
            self._groups.values(), key=lambda group: (-group.count, group.code, group.reason, group.name or "")
        )
