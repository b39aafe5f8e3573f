"""The outside writes of a conversation, as the search notes them, and the promises that they hold the worker to.

The contract's own points stand in `sync/contract.py`. The points here are worked out a second time, from the design's
text alone, so that a mistake in that module does not hide one in the rules:

- no active work-item of a conversation that is done or deleted;
- a completed work-item has the agent and the queue that the conversation had when it was done;
- a work-item that is ivr and was never queued takes nothing away from the conversation;
- no sync leaves a work-item in wrap-up without an agent;
- a removed conversation stays removed.
"""

from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from commands.work_item import Status, WorkItem
from handlers.documents.document_mapping import conversation_of, work_item_of
from handlers.events.event import Event
from handlers.ports import Document
from sync.contract import FieldHistory, LastWrite, Violation, violations, work_item_values
from sync.conversation import FIELDS, Conversation, ConversationStatus, Field
from sync.state import shared_values

_AT_START: Final = 1
"""The revision that the history gives to the values of the start."""


class OutsideWrites(Struct, frozen=True, kw_only=True):
    """The outside writes so far.

    - `start_rev`: the conversation's revision at the start; what a silent write of the work-item knew at least.
    - `without_lost`: the history in which lost writes, and writes whose event does not name its changes, do not say
      what they knew; None where there is no such write.
    - `unsure`: the fields that such writes of the conversation changed at a time that no event tells.
    - `since_done`: the conversation's values of assignee and queue when it was done and after each later write.
    """

    start_rev: int
    history: FieldHistory
    without_lost: FieldHistory | None = None
    unsure: frozenset[Field] = frozenset()
    since_done: tuple[tuple[tuple[str, ...], str | None], ...] = ()
    count: int = 0

    def after_conversation(self, event: Event, changed: frozenset[Field], after: Document) -> "OutsideWrites":
        """The writes with one of the conversation. `changed`: the shared fields that it changed."""
        conversation = conversation_of(after)
        values = shared_values(conversation)
        since_done = self.since_done
        if conversation.status is ConversationStatus.DONE:
            since_done = (*since_done, (conversation.assigned_users, conversation.queue))
        return replace(
            self,
            history=self.history.after_conversation(event.rev, changed, values),
            without_lost=self.without_lost and self.without_lost.after_conversation(event.rev, changed, values),
            since_done=since_done,
            count=self.count + 1,
        )

    def after_work_item(
        self, event: Event, changed: frozenset[Field], after: Document, knew: int | None
    ) -> "OutsideWrites":
        """The writes with one of the work-item."""
        values = work_item_values(work_item_of(after))

        def with_it(history: FieldHistory) -> FieldHistory:
            if knew is not None:
                return history.after_work_item(event.rev, changed, values, known_conversation_rev=knew)
            # A silent write counts as knowing what stood at the start. Of a field that the conversation's owner has
            # written since, either side may keep its value.
            written = {name for name, wrote in history.conversation.items() if wrote.rev > self.start_rev}
            history = history.after_work_item(
                event.rev, changed - written, values, known_conversation_rev=self.start_rev
            )
            return history.after_work_item(event.rev, changed & written, values, known_conversation_rev=None)

        return replace(
            self,
            history=with_it(self.history),
            without_lost=self.without_lost and with_it(self.without_lost),
            count=self.count + 1,
        )

    def after_creation(self) -> "OutsideWrites":
        """The writes before a new work-item's: those of the one before it decide nothing any more."""
        without = self.without_lost and replace(self.without_lost, work_item={})
        return replace(self, history=replace(self.history, work_item={}), without_lost=without, since_done=())

    def without(self, event: Event, changed: frozenset[Field]) -> "OutsideWrites":
        """The writes where this one's event is lost, or does not name its changes."""
        without = self.without_lost or self.history
        if event.side == "conversation":
            return replace(self, without_lost=without, unsure=self.unsure | changed)
        return replace(self, without_lost=_with_unknown_knew(without, event.rev))

    def broken(self, conversation: Conversation, item: WorkItem | None, *, all_unsure: bool) -> list[str]:
        """The broken promises of a quiet state. Either side may have the fields of a lost event, which would have said
        what its write knew. `all_unsure`: every field counts as changed at a time that no event tells."""
        broken = _said(self.history, self.since_done, conversation, item)
        if self.without_lost is None or not broken:
            return broken
        unsure = frozenset(FIELDS) if all_unsure else self.unsure
        either = _with_either_owner(self.without_lost, unsure)
        without = {_point(each) for each in _said(either, self.since_done, conversation, item)}
        return [each for each in broken if _point(each) in without]


def _said(
    history: FieldHistory,
    since_done: tuple[tuple[tuple[str, ...], str | None], ...],
    conversation: Conversation,
    item: WorkItem | None,
) -> list[str]:
    said = [_worded(each) for each in violations(history, conversation, item)]
    if item is None:
        return said
    closed = conversation.deleted or conversation.status is ConversationStatus.DONE
    if item.active and closed:
        said.append(f"1 status: the conversation is closed, {item.id} is {item.status.value}")
    if not item.active and not conversation.deleted and since_done:
        said += _completed_without(history, since_done, item)
    if item.status is Status.IVR and not item.queued_count:
        said += _taken_away(history, conversation)
    if item.status is Status.WRAP_UP and item.assigned_to is None and not _left_in_wrap_up(history):
        said.append("1 ended: in wrap-up without an agent")
    return said


def _completed_without(
    history: FieldHistory, since_done: tuple[tuple[tuple[str, ...], str | None], ...], item: WorkItem
) -> Iterator[str]:
    """The fields without which a sync completed the work-item."""
    status = history.work_item.get("status")
    if status is not None and status.value is True:
        # Its agent completed it, with the values that it had.
        return
    users, queues = [users for users, _ in since_done], [queue for _, queue in since_done]
    for_assignee, assignee = _accepted(history, "assignee")
    kept = for_assignee and any(item.assigned_to in each if each else item.assigned_to is None for each in users)
    if not kept and item.assigned_to not in assignee:
        yield f"2 assignee: completed with {item.assigned_to!r}, {assignee or users!r} expected"
    for_queue, queue = _accepted(history, "queue")
    if not (for_queue and item.queue in queues) and item.queue not in queue:
        yield f"2 queue: completed with {item.queue!r}, {queue or queues!r} expected"


def _accepted(history: FieldHistory, name: Field) -> tuple[bool, tuple[Any, ...]]:
    """Whether the conversation's values of the field are accepted, and which values of the work-item are."""
    of_item, of_conversation = history.work_item.get(name), history.conversation.get(name)
    if of_item is None:
        return True, ()
    knew = of_item.known_conversation_rev
    if knew is None:
        return True, (of_item.value,)
    newer = of_conversation is None or knew >= of_conversation.rev
    return (False, (of_item.value,)) if newer else (True, ())


def _taken_away(history: FieldHistory, conversation: Conversation) -> Iterator[str]:
    values: dict[Field, Any] = shared_values(conversation)
    for name in ("assignee", "queue"):
        wrote = history.conversation.get(name)
        if wrote is not None and wrote.value and not values[name]:
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


def _worded(each: Violation) -> str:
    return f"{each.point} {each.field}: {each.expected!r} expected, {each.found!r} found"


def _point(said: str) -> str:
    return said.partition(":")[0]
