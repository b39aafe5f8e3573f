"""The outside writes of a conversation, as the search notes them, and the promises that they hold the worker to.

The contract's own points stand in `sync/contract.py`. The points here are worked out a second time, from the design's
text alone, so that a mistake in that module does not hide one in the rules:

- no active work-item of a conversation that is done or deleted;
- a completed work-item has the agent and the queue that the conversation had when it was done;
- a work-item that is ivr and was never queued takes nothing away from the conversation;
- no sync leaves a work-item in wrap-up without an agent;
- a work-item whose maker did not know that a sync closed the conversation is not completed for that;
- a removed conversation stays removed.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from msgspec import Struct, field
from msgspec.structs import replace

from commands.work_item import Status, WorkItem
from handlers.documents.document_mapping import conversation_of, work_item_of
from handlers.events.event import Event
from handlers.ports import Document
from sync.contract import FieldHistory, Violation, violations
from sync.conversation import FIELDS, Conversation, ConversationStatus, Field
from sync.state.agreement import shared_values, work_item_values

_LAST_WORDS: Final[tuple[Field, ...]] = ("assignee", "queue")
"""The fields that a completion leaves as they are for good."""
_AT_START: Final = 1
"""The revision that the history gives to the values of the start."""


class Version(Struct, frozen=True, kw_only=True):
    """The writes in one reading of them.

    `at_done`: the work-item's values of assignee and queue with which a sync may have completed it: those that were
    right when the conversation was done, or at a later write while it was.
    """

    history: FieldHistory
    at_done: Mapping[Field, frozenset[Any]] = field(default_factory=dict)

    def with_history(self, history: FieldHistory, *, done: bool) -> "Version":
        """The version after a write. `done`: the conversation is done after it."""
        if not done:
            return replace(self, history=history)
        at_done = {name: self.at_done.get(name, frozenset()) | _right_values(history, name) for name in _LAST_WORDS}
        return Version(history=history, at_done=at_done)


class OutsideHistory(Struct, frozen=True, kw_only=True):
    """The outside writes so far.

    - `start_rev`: the conversation's revision at the start; what a silent write of the work-item knew at least.
    - `without_lost`: the reading in which lost writes, and writes whose event does not name its changes, do not say
      what they knew; None where there is no such write.
    - `unsure`: the fields that such writes of the conversation changed at a time that no event tells.
    - `closed_outside`: an outside write left the conversation done, at any time.
    - `emptied`: the fields that a work-item before this one may have emptied.
    - `unaware`: whoever made the work-item did not know of a sync that had closed the conversation.
    """

    start_rev: int
    written: Version
    without_lost: Version | None = None
    unsure: frozenset[Field] = frozenset()
    closed_outside: bool = False
    emptied: frozenset[Field] = frozenset()
    unaware: bool = False
    count: int = 0

    def after_conversation(self, event: Event, changed: frozenset[Field], after: Document) -> "OutsideHistory":
        """The writes with one of the conversation. `changed`: the shared fields that it changed."""
        conversation = conversation_of(after)
        values, done = shared_values(conversation), conversation.status is ConversationStatus.DONE

        def with_it(version: Version) -> Version:
            return version.with_history(version.history.after_conversation(event.rev, changed, values), done=done)

        return replace(
            self,
            written=with_it(self.written),
            without_lost=self.without_lost and with_it(self.without_lost),
            closed_outside=self.closed_outside or done,
            count=self.count + 1,
        )

    def after_work_item(
        self, event: Event, changed: frozenset[Field], after: Document, knew: int | None, *, done: bool
    ) -> "OutsideHistory":
        """The writes with one of the work-item. `done`: the conversation is done."""
        values = work_item_values(work_item_of(after))

        def with_it(version: Version) -> Version:
            history = version.history
            if knew is not None:
                history = history.after_work_item(event.rev, changed, values, known_conversation_rev=knew)
            else:
                # A silent write counts as knowing what stood at the start. Of a field that the conversation's owner
                # has written since, either side may keep its value.
                written = {name for name, wrote in history.conversation.items() if wrote.rev > self.start_rev}
                history = history.after_work_item(
                    event.rev, changed - written, values, known_conversation_rev=self.start_rev
                )
                history = history.after_work_item(event.rev, changed & written, values, known_conversation_rev=None)
            return version.with_history(history, done=done)

        return replace(
            self,
            written=with_it(self.written),
            without_lost=self.without_lost and with_it(self.without_lost),
            count=self.count + 1,
        )

    def after_creation(self, *, unaware: bool) -> "OutsideHistory":
        """The writes before a new work-item's: those of the one before it decide nothing any more."""

        def without_items(version: Version) -> Version:
            return Version(history=replace(version.history, work_item={}))

        of_conversation = self.written.history.conversation.items()
        emptied = {name for name, wrote in of_conversation if not all(wrote.superseding_values)}
        return replace(
            self,
            emptied=self.emptied | emptied,
            written=without_items(self.written),
            without_lost=self.without_lost and without_items(self.without_lost),
            unaware=unaware,
        )

    def without(self, event: Event, changed: frozenset[Field]) -> "OutsideHistory":
        """The writes where this one's event is lost, or does not name its changes."""
        without = self.without_lost or self.written
        if event.side == "conversation":
            return replace(self, without_lost=without, unsure=self.unsure | changed)
        history = _with_unknown_knew(without.history, event.rev)
        return replace(self, without_lost=without.with_history(history, done=bool(without.at_done)))

    def broken(self, conversation: Conversation, item: WorkItem | None, *, all_unsure: bool) -> list[str]:
        """The broken promises of a quiet state. Either side may have the fields of a lost event, which would have said
        what its write knew. `all_unsure`: nothing was observed at the start, so that every field counts as changed at a
        time that no event tells."""
        broken = [each for each in _said(self.written, conversation, item) if not self._is_excused(each, conversation)]
        may_close = conversation.deleted or self.closed_outside or not self.unaware or self.without_lost is not None
        if item and not item.active and not may_close and not _completed_outside(self.written.history):
            broken.append("1 status: completed, because a sync of which its maker did not know closed the conversation")
        if self.without_lost is None or not broken:
            return broken
        history = _with_either_owner(self.without_lost.history, frozenset(FIELDS) if all_unsure else self.unsure)
        if all_unsure:
            # Without a view, nothing shows that a write whose event is lost changed the field at all.
            history = _without_knew(history, self.unsure)
        either = self.without_lost.with_history(history, done=bool(self.without_lost.at_done))
        without = {_point(each) for each in _said(either, conversation, item)}
        return [each for each in broken if _point(each) in without]

    def _is_excused(self, said: str, conversation: Conversation) -> bool:
        """Whether the rules' text has it so: A7 opens the conversation that A1 closed, a snoozed one too; and what a
        work-item emptied is not taken away by the one after it."""
        if said.startswith("2 paused"):
            return self.unaware and conversation.status is ConversationStatus.OPEN
        return "taken away" in said and any(said.startswith(f"2 {name}:") for name in self.emptied)


def _said(version: Version, conversation: Conversation, item: WorkItem | None) -> list[str]:
    history = version.history
    said = [_worded(each) for each in violations(history, conversation, item)]
    if item is None:
        return said
    closed = conversation.deleted or conversation.status is ConversationStatus.DONE
    if item.active and closed:
        said.append(f"1 status: the conversation is closed, {item.id} is {item.status.value}")
    if not item.active and not conversation.deleted and not _completed_outside(history):
        said += _completed_without(version, item)
    if item.status is Status.IVR and not item.queued_count:
        said += _taken_away(history, conversation)
    if item.status is Status.WRAP_UP and item.assigned_to is None and not _left_in_wrap_up(history):
        said.append("1 ended: in wrap-up without an agent")
    return said


def _completed_outside(history: FieldHistory) -> bool:
    status = history.work_item.get("status")
    return status is not None and status.value is True


def _completed_without(version: Version, item: WorkItem) -> Iterator[str]:
    """The fields without which a sync completed the work-item."""
    values = work_item_values(item)
    for name, right in version.at_done.items():
        if values[name] not in right:
            yield f"2 {name}: completed with {values[name]!r}, one of {sorted(map(repr, right))} expected"


def _right_values(history: FieldHistory, name: Field) -> frozenset[Any]:
    """The work-item's values of assignee or queue that the contract allows."""
    of_item, of_conversation = history.work_item.get(name), history.conversation.get(name)
    of_conversation_too = True
    right: set[Any] = set()
    if of_item is not None:
        knew = of_item.known_conversation_rev
        of_conversation_too = knew is None or (of_conversation is not None and knew < of_conversation.rev)
        if knew is None or not of_conversation_too:
            right.add(of_item.value)
    if of_conversation_too and of_conversation is not None:
        value = of_conversation.value
        right.update(value or [None] if name == "assignee" else [value])
    return frozenset(right)


def _taken_away(history: FieldHistory, conversation: Conversation) -> Iterator[str]:
    values: dict[Field, Any] = shared_values(conversation)
    for name in _LAST_WORDS:
        wrote, of_item = history.conversation.get(name), history.work_item.get(name)
        # A later write than the work-item's first, which gives the field up, is no taking away.
        given_up = of_item is not None and of_item.rev > _AT_START and not of_item.value
        if wrote is not None and wrote.value and not values[name] and not given_up:
            yield f"2 {name}: {wrote.value!r} was taken away by a work-item that was never queued"


def _left_in_wrap_up(history: FieldHistory) -> bool:
    """True where an outside write of the work-item put it into wrap-up, or took its agent."""
    ended, assignee = history.work_item.get("ended"), history.work_item.get("assignee")
    put = ended is not None and ended.rev > _AT_START and ended.value is True
    took = assignee is not None and assignee.rev > _AT_START and assignee.value is None
    return put or took


def _with_unknown_knew(history: FieldHistory, rev: int) -> FieldHistory:
    items = history.work_item.items()
    unsaid = {name: replace(wrote, known_conversation_rev=None) if wrote.rev == rev else wrote for name, wrote in items}
    return replace(history, work_item=unsaid)


def _with_either_owner(history: FieldHistory, fields: frozenset[Field]) -> FieldHistory:
    """The history in which either side may have these fields, where the work-item has them: to the sync, its write may
    have come before the conversation's."""
    items = dict(history.work_item)
    for name in fields & items.keys() & history.conversation.keys():
        if (items[name].known_conversation_rev or 0) >= history.conversation[name].rev:
            items[name] = replace(items[name], known_conversation_rev=None)
    return replace(history, work_item=items)


def _without_knew(history: FieldHistory, fields: frozenset[Field]) -> FieldHistory:
    items = history.work_item.items()
    unsaid = {name: replace(wrote, known_conversation_rev=None) if name in fields else wrote for name, wrote in items}
    return replace(history, work_item=unsaid)


def _worded(each: Violation) -> str:
    return f"{each.point} {each.field}: {each.expected!r} expected, {each.found!r} found"


def _point(said: str) -> str:
    return said.partition(":")[0]
