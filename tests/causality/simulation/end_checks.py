"""What must hold at the end of a run, of one conversation: the contract, and what users would see.

The contract reads the rule tables. The other checks do not: they go by the documents and by the outside writes alone.
"""

from collections.abc import Iterator

from msgspec.structs import replace

from commands.work_item import Status, WorkItem
from handlers.documents.document_mapping import conversation_of, work_item_of
from sync.contract import FieldHistory, Violation, violations
from sync.conversation import Conversation, ConversationStatus, Field
from tests.causality.simulation.services import ConversationRecord, SimulatedServices
from worker.store.documents import Collection


def broken_promises(services: SimulatedServices, case: ConversationRecord) -> list[str]:
    """The broken promises of a conversation, once all events are handled."""
    document, item = services.conversation(case), _pair_item(services, case)
    conversation = None if document is None else conversation_of(document)
    said = [
        f"{each.point} {each.field}: {each.expected!r} expected, {each.found!r} found"
        for each in contract_violations(case, conversation, item)
    ]
    said += _deletion(case, conversation)
    if item is not None and not case.lost_some:
        said += _over_with_active_item(case, conversation, item)
        if conversation is not None:
            said += _ended_in_queue(case, item)
            said += _queue_kept(case, conversation, item)
            said += _completed_with_its_agent(case, conversation, item)
    return said


def unrouted(services: SimulatedServices, case: ConversationRecord) -> list[str]:
    """What workers that route leave undone: each open, not ended conversation has an active work-item, and each active
    one has been queued or assigned."""
    document = services.conversation(case)
    if document is None:
        return []
    conversation = conversation_of(document)
    items = [
        work_item_of(item)
        for item in services.store.documents(Collection.WORK_ITEMS)
        if item["conversationId"] == case.key and item["active"]
    ]
    is_routable = conversation.status is ConversationStatus.OPEN and not conversation.ended
    said = []
    if is_routable and not conversation.deleted and not items:
        said.append("routing: no active work-item")
    if [item for item in items if item.status is Status.IVR and not item.queued_count and item.assigned_to is None]:
        said.append("routing: an ivr work-item that no queue rule has looked at")
    return said


def contract_violations(
    case: ConversationRecord, conversation: Conversation | None, item: WorkItem | None
) -> tuple[Violation, ...]:
    """The contract's violations that neither history excuses."""
    if case.hard_deleted and not case.noted_before_deletion:
        # Its first event was taken for that of a conversation which is not stored yet.
        return ()
    broken = tuple(
        each
        for each in violations(case.history, conversation, item)
        # The conversation stores both in one attribute: what closed it for an earlier work-item ended the snooze.
        if each.field != "paused" or case.items < 2
    )
    if case.without_lost is None:
        return broken
    history = _with_unsure(case.without_lost, case)
    excused = {each.field for each in violations(history, conversation, item)}
    return tuple(each for each in broken if each.field in excused)


def _with_unsure(history: FieldHistory, case: ConversationRecord) -> FieldHistory:
    """The history in which a work-item's write does not say whether it knew a change whose event was lost.

    It did know the change, or the value before the change is unknown.
    """
    never_viewed = case.creation_lost or case.existed
    writes = {
        name: replace(wrote, known_conversation_rev=None)
        if name in case.unsure and (never_viewed or (wrote.known_conversation_rev or 0) >= case.unsure[name])
        else wrote
        for name, wrote in history.work_item.items()
    }
    return replace(history, work_item=writes)


def _deletion(case: ConversationRecord, conversation: Conversation | None) -> Iterator[str]:
    if case.hard_deleted and case.noted_before_deletion and conversation is not None:
        yield "deleted: the conversation is stored again"


def _over_with_active_item(
    case: ConversationRecord, conversation: Conversation | None, item: WorkItem
) -> Iterator[str]:
    over = conversation is None or conversation.deleted or conversation.status is ConversationStatus.DONE
    if over and item.active:
        yield "over: the conversation is over, its work-item active"


def _ended_in_queue(case: ConversationRecord, item: WorkItem) -> Iterator[str]:
    if item.status is Status.WRAP_UP and item.assigned_to is None and not case.wrapped_nobody:
        yield "wrap-up of nobody"


def _queue_kept(case: ConversationRecord, conversation: Conversation, item: WorkItem) -> Iterator[str]:
    """A work-item that was made in ivr and never got a queue takes none away."""
    wrote, by_item = case.history.conversation.get("queue"), case.history.work_item.get("queue")
    # Once it is assigned, no queue rule queues it, and rule A6 takes the queue.
    if wrote is None or by_item is None or item.rev != 1 or conversation.deleted:
        return
    if conversation.queue not in (wrote.value, *wrote.superseding_values[:-1]) and not case.existed:
        yield f"queue: {wrote.value!r} taken away by a work-item in ivr"


def _completed_with_its_agent(case: ConversationRecord, conversation: Conversation, item: WorkItem) -> Iterator[str]:
    """The work-item of a conversation that was closed has the agent and the queue which the conversation had then."""
    if case.at_done is None or case.dones != 1 or case.wrote_item_after_done or conversation.deleted or item.active:
        return
    history, document = case.at_done
    closed = conversation_of(document)
    by_item = history.work_item.get("status")
    if by_item is not None and by_item.value is True:
        return
    expectations: list[tuple[Field, str | None, tuple[str | None, ...]]] = [
        ("assignee", item.assigned_to, closed.assigned_users or (None,)),
        ("queue", item.queue, (closed.queue,)),
    ]
    for name, found, expected in expectations:
        if case.history.conversation.get(name) != history.conversation.get(name):
            # Written again after it was closed: the completion may have come after that.
            continue
        wrote, item_wrote = history.conversation.get(name), history.work_item.get(name)
        known = 0 if item_wrote is None else item_wrote.known_conversation_rev
        if wrote is not None and known is not None and known < wrote.rev and found not in expected:
            yield f"completed: {name} {expected[0]!r} expected, {found!r} found"


def _pair_item(services: SimulatedServices, case: ConversationRecord) -> WorkItem | None:
    """The latest work-item; None where it is completed and none of its events was ever sent."""
    last = services.store.work_item(case.item_key)
    unannounced = case.items > case.items_announced and not case.existed
    return None if last is None or (unannounced and not last["active"]) else work_item_of(last)
