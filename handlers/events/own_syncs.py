"""The worker's own syncs as they come back: a typed decode of what their ending needs, and of every modelled field.

Four fifths of all messages announce writes that the worker itself has made. The transaction of the write has stored the
document and observed its revision, so the message is logged and deleted, and nothing of it is stored, decided on or
published. `read_own_sync` returns an `OwnSync` only for a message that the full reader (`parser.py`) would end in the
same way, and None for every other: a None says nothing about the message, and the full reader reads it.

What is read: every field that `schema.py` models, in the envelope and the snapshot, with the types that it has there.
The whole text is checked to be JSON. Where anything is wrong or unusual the result is None: a field of a wrong type, a
missing one, half a surrogate pair, an escaped null character. Of a name that is there twice both readers take the last.

What goes unread: the values of the fields that are not modelled. The full reader looks into them for one purpose: the
store could not keep a number beyond 64 bits, a name that a dotted path cannot spell, or a value that nests deeper than
the limit. Here nothing is stored. Whoever can mark a message as an own sync gains nothing by them: without them the
same message ends in the same way. Source: docs/events.md, *The worker's own syncs*.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import UNSET

from commands.instant import parse_instant
from handlers.events.envelope import DEFAULT_LIMITS, Limits, trace_in
from handlers.events.event import SYNC_ACTION_PREFIX, OwnSync
from handlers.events.own_sync_forms import OwnConversation, OwnEvent, OwnWorkItem, OwnWrapper
from sync.gates import Side

_UTF8_BYTES_MAX: Final = 4
"""Of one character."""
_ESCAPED_NULL: Final = "\\u0000"


_DECODER: Final = msgspec.json.Decoder(OwnWrapper)
_CONVERSATION_UPDATE: Final = "kustomer.conversation.update"
_WORK_ITEM_UPDATE: Final = "kustomer.work-item.update"
_SIDES: Final[Mapping[str, Side]] = {_CONVERSATION_UPDATE: "conversation", _WORK_ITEM_UPDATE: "work-item"}


def read_own_sync(
    body: str, attributes: Mapping[str, Any] | None = None, limits: Limits = DEFAULT_LIMITS
) -> OwnSync | None:
    """The own sync in a queue message's body, which is an SNS notification or a published message.

    None if the message is none, or if the full reader has to read it. `attributes` are the message's own.
    """
    # One search of the text, so that other messages cost no decode. It begins at the end, where the reasons stand.
    # A character has at most four bytes.
    if body.rfind(SYNC_ACTION_PREFIX) < 0 or len(body) * _UTF8_BYTES_MAX > limits.bytes_max:
        return None
    try:
        return _read(body, attributes)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return None


def _read(text: str, attributes: Mapping[str, Any] | None) -> OwnSync | None:
    wrapper = _DECODER.decode(text)
    trace = trace_in(wrapper.dd, wrapper.message_attributes)
    if wrapper.type is not UNSET:
        if wrapper.quoted_body is not UNSET or not isinstance(wrapper.message, str):
            return None
        text = wrapper.message
        wrapper = _DECODER.decode(text)
        trace = trace or trace_in(wrapper.dd, wrapper.message_attributes)
    event = wrapper.body
    wraps_more = wrapper.type is not UNSET or wrapper.quoted_body is not UNSET
    if wraps_more or event is UNSET or not _is_own_sync(event):
        return None
    # Most texts have no escape at all, which the first search tells in a twentieth of the second's time.
    if "\\" in text and _ESCAPED_NULL in text:
        return None
    if event.body is not UNSET or event.quoted_body is not UNSET or event.type is not UNSET:
        return None
    conversation_id = _conversation_id(event)
    published_at = wrapper.published_at if wrapper.published_at is not None else event.created_at
    instants = _instants(event, published_at)
    if conversation_id is None or instants is None:
        return None
    return OwnSync(
        id=event.id,
        name=event.name,
        side=_SIDES[event.name],
        conversation_id=conversation_id,
        document_id=event.data.id,
        rev=event.data.attributes.rev,
        client=event.client,
        published_at=None if published_at is None else instants[published_at],
        known_conversation_rev=_known_conversation_rev(event) if event.name == _WORK_ITEM_UPDATE else None,
        trace=trace or trace_in(event.dd, event.message_attributes) or trace_in(None, attributes),
    )


def _is_own_sync(event: OwnEvent) -> bool:
    """As `readers.py` has it: a sync, with a reason that only this worker gives."""
    if event.is_sync:
        for reason in event.routing_reasons:
            if reason.action is not None and reason.action.startswith(SYNC_ACTION_PREFIX):
                return True
    return False


def _conversation_id(event: OwnEvent) -> str | None:
    """None where the event's name is one of the other side's, or where the work-item is not a conversation's."""
    data = event.data
    if isinstance(data, OwnConversation):
        return data.id if event.name == _CONVERSATION_UPDATE else None
    kind, resource = data.attributes.resource_type, data.relationships.resource.data
    of_conversation = kind == "conversation" or (not kind and resource.type in (None, "conversation"))
    return resource.id if of_conversation and event.name == _WORK_ITEM_UPDATE else None


def _instants(event: OwnEvent, published_at: str | None) -> dict[str, datetime] | None:
    """The instants of the modelled fields by their texts; None if one has another form, which the full reader refuses.

    Most of them are the same text.
    """
    found: dict[str, datetime] = {}
    for text in {published_at, event.created_at, *_instant_texts(event.data)}:
        if text is not None:
            instant = parse_instant(text)
            if instant is None:
                return None
            found[text] = instant
    return found


def _instant_texts(data: OwnConversation | OwnWorkItem) -> Iterator[str | None]:
    if isinstance(data, OwnConversation):
        yield data.attributes.updated_at
        return
    item = data.attributes
    yield from (item.first_enter_queue_at, item.resource_created_at, item.completed_at, item.updated_at)
    if item.last_revision is not None:
        queue_pass = item.last_revision
        yield from (queue_pass.entered_queue_at, queue_pass.routed_at, queue_pass.accepted_at)
    for stay in (item.ivr, item.wrap_up):
        if stay is not None:
            yield stay.entered_at
    if item.handle is not None:
        yield item.handle.resumed_at


def _known_conversation_rev(event: OwnEvent) -> int | None:
    """As `readers.py` has it: the first `meta.conversationRev`, else the first `meta.data.resource.rev`."""
    metas = [reason.meta for reason in event.routing_reasons if reason.meta is not None]
    for meta in metas:
        if meta.conversation_rev is not None:
            return meta.conversation_rev
    for meta in metas:
        if meta.data is not None and meta.data.resource is not None and meta.data.resource.rev is not None:
            return meta.data.resource.rev
    return None
