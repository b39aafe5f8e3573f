"""Which dead letters are meant: by code, reason, age, event name, conversation and id."""

from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from msgspec import Struct

from worker.letters.letter import Letter


class LetterFilter(Struct, frozen=True, kw_only=True):
    """All conditions hold; of each condition's values any. An empty condition accepts every letter.

    `reason`: a part of the reason, in any case of letters. `names`: event names, with `*` for any characters.
    `ids`: of the letter, of the message that it was, or of its event. `older_than`, `newer_than`: its age.
    """

    codes: AbstractSet[str] = frozenset()
    reason: str = ""
    names: tuple[str, ...] = ()
    conversations: AbstractSet[str] = frozenset()
    ids: AbstractSet[str] = frozenset()
    older_than: timedelta | None = None
    newer_than: timedelta | None = None

    @property
    def accepts_all(self) -> bool:
        """Whether there is no condition."""
        return self == LetterFilter()

    def accepts(self, letter: Letter, now: datetime) -> bool:
        """Whether the letter is meant. `now` is SQS's clock."""
        age = now - letter.sent_at
        return (
            (not self.codes or letter.code in self.codes)
            and self.reason.casefold() in letter.reason.casefold()
            and (not self.names or any(fnmatchcase(letter.name or "", name) for name in self.names))
            and (not self.conversations or letter.conversation_id in self.conversations)
            and (not self.ids or not self.ids.isdisjoint({letter.id, letter.source_id, letter.event_id}))
            and (self.older_than is None or age > self.older_than)
            and (self.newer_than is None or age < self.newer_than)
        )
