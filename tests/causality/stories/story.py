"""A story: the writes of the outside services on one conversation and its work-items, in their real order."""

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

from msgspec import Struct, field

from commands.session import Session
from handlers.routing.queue_rules import QueueRules

CONVERSATION: Final = "c"
FIRST_ITEM, SECOND_ITEM = "w1", "w2"
ANNA, BEN = "anna", "ben"


class Knew(Enum):
    """The conversation revision that a work-item's write names. `CURRENT`: the stored one. `UNSAID`: none."""

    CURRENT = "current"
    UNSAID = "unsaid"


class StoryWrite(Struct, frozen=True, kw_only=True):
    """One write of an outside service.

    - `what`: the write, for a person.
    - `document`: the id of the document that it writes.
    - `fields`: the conversation's fields by their wire names, or a work-item's update.
    - `creation`: it creates the document.
    - `knew`: of a work-item's write, the conversation revision that it names; a number stands for the revision after
      the story's write of that number, from 1 (0: before the first).
    - `holder`: the agent who must have the work-item, for her app shows her no other.
    - `after_s`: seconds since the write before.
    - `clock_error_s`: how far the clock of the writing service is ahead, in seconds.
    - `without_changes`: the event has no `changes`.
    """

    what: str
    document: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    creation: bool = False
    knew: int | Knew = Knew.CURRENT
    holder: str | None = None
    after_s: float = 0.0
    clock_error_s: float = 0.0
    without_changes: bool = False

    @property
    def of_conversation(self) -> bool:
        """True for a write of the conversation."""
        return self.document == CONVERSATION


class Story(Struct, frozen=True, kw_only=True):
    """Writes in their real order. The events of `before` are delivered in order before the first of `writes` happens.

    `sessions`: the agents' sessions as the story finds them. `queue_rules`: those of org `org`, for a worker that asks
    them. `ends`: in how many ways the rules let it end, depending
    on the order.
    """

    name: str
    writes: tuple[StoryWrite, ...]
    before: tuple[StoryWrite, ...] = ()
    sessions: tuple[Session, ...] = ()
    queue_rules: QueueRules | None = None
    ends: int = 1


def new_conversation(what: str, **fields: Any) -> StoryWrite:
    """The creation of the conversation: open, unassigned, without a queue, where `fields` does not say otherwise."""
    return StoryWrite(what=what, document=CONVERSATION, fields=fields, creation=True)


def conversation(what: str, *, after_s: float = 0.0, without_changes: bool = False, **fields: Any) -> StoryWrite:
    """An update of the conversation; `queue` is a queue's id or None."""
    return StoryWrite(what=what, document=CONVERSATION, fields=fields, after_s=after_s, without_changes=without_changes)


def message(what: str, *, after_s: float = 0.0) -> StoryWrite:
    """A message in the conversation: an update that changes no shared field."""
    return conversation(what, after_s=after_s, preview=what)


def new_work_item(
    what: str, *, document: str = FIRST_ITEM, knew: int | Knew = Knew.CURRENT, after_s: float = 0.0
) -> StoryWrite:
    """The creation of a work-item: ivr, without a queue."""
    return StoryWrite(what=what, document=document, creation=True, knew=knew, after_s=after_s)


def work_item(
    what: str,
    fields: Mapping[str, Any],
    *,
    document: str = FIRST_ITEM,
    knew: int | Knew = Knew.CURRENT,
    holder: str | None = None,
    after_s: float = 0.0,
    clock_error_s: float = 0.0,
) -> StoryWrite:
    """An update of a work-item through the commands; `priority` alone is written as its owner writes it."""
    return StoryWrite(
        what=what,
        document=document,
        fields=fields,
        knew=knew,
        holder=holder,
        after_s=after_s,
        clock_error_s=clock_error_s,
    )
