"""The predecessor in a mixed fleet: legacy rules, and syncs that give no reason."""

from collections.abc import Iterator

from msgspec.structs import replace

from commands.context import CommandContext
from commands.execute import Applied, execute
from commands.reason import Refusal
from commands.update import parse_update
from handlers.documents.document_mapping import (
    conversation_of,
    updated_conversation_document,
    updated_work_item_document,
    work_item_of,
)
from handlers.events.event import Event
from handlers.ports import Document
from sync.contract import FieldHistory, work_item_values
from sync.policy_legacy import legacy_decision
from sync.state import shared_values
from tests.causality.outside import NOW


def predecessors_writes(
    event: Event, conversation: Document, work_item: Document
) -> Iterator[tuple[Document, Document]]:
    """The predecessor's writes for the event: documents before and after."""
    item = work_item_of(work_item)
    decision = legacy_decision(
        side=event.side,
        conversation=conversation_of(conversation),
        item=item,
        rev=event.rev,
        is_sync=event.is_sync,
    )
    if decision.conversation_fields is not None:
        yield conversation, updated_conversation_document(conversation, decision.conversation_fields, now=NOW)
    if decision.work_item_fields is not None:
        update = parse_update(decision.work_item_fields, from_sync=True)
        assert not isinstance(update, Refusal)
        result = execute(item, update, context=CommandContext(), now=NOW)
        if isinstance(result, Applied):
            yield work_item, updated_work_item_document(work_item, item, result.after)


def with_overwritten_values(history: FieldHistory, sync: Event, after: Document) -> FieldHistory:
    """The history with the predecessor's values in the fields that it overwrote: the contract cannot cover those."""
    if sync.side == "conversation":
        values = shared_values(conversation_of(after))
        kept = {
            name: replace(wrote, value=values[name]) if name in sync.changed_fields else wrote
            for name, wrote in history.conversation.items()
        }
        return replace(history, conversation=kept)
    values = work_item_values(work_item_of(after))
    kept = {
        name: replace(wrote, value=values[name]) if name in sync.changed_fields else wrote
        for name, wrote in history.work_item.items()
    }
    return replace(history, work_item=kept)
