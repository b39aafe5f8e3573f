"""The fields of captures: the modelled ones of `handlers.events.schema`, and those that the captures show beside them.

A field outside both lists is UNKNOWN: it is repaired only where JSON's grammar alone shows how, and redaction replaces
its name and its value. Source: docs/events.md and the captured incidents.
"""

from typing import Final

from handlers.events import schema
from worker.investigate.field_types import (
    COUNT,
    CREDENTIAL,
    FLAG,
    ID,
    NUMBER,
    PATH,
    PERSON,
    TEXT,
    TIME,
    TRACE_HEADERS,
    UNKNOWN,
    WORD,
    FieldKind,
    FieldType,
    list_of,
    modelled,
    object_of,
    one_of,
)

_CHANNEL: Final = one_of(
    "app", "chat", "email", "facebook", "form", "google", "instagram", "link", "mobile", "note", "sms", "twitter",
    "voice", "web", "whatsapp",
)  # fmt: skip
_DIRECTION: Final = one_of("in", "out", "initial-in", "initial-out", "response-in", "response-out", "followup-in",
                           "followup-out")  # fmt: skip
_IDS: Final = list_of(ID)

_LINKS: Final = object_of({"self": PATH})
_TARGET: Final = object_of({**modelled(schema.LinkTarget), "type": WORD})
_RELATIONSHIP: Final = object_of({"data": _TARGET, "links": _LINKS, "id": ID, "type": WORD})
_RELATIONSHIP_TO_MANY: Final = object_of({"data": list_of(_TARGET), "links": _LINKS})

_MESSAGE_SUMMARY: Final = object_of({
    "id": ID, "sentAt": TIME, "createdAt": TIME, "channel": _CHANNEL, "directionType": _DIRECTION, "createdBy": ID,
    "createdByTeams": _IDS, "meta": UNKNOWN,
})  # fmt: skip
_RESPONSE_SUMMARY: Final = object_of({
    "id": ID, "createdAt": TIME, "createdBy": ID, "sentAt": TIME, "time": NUMBER, "businessTime": NUMBER,
    "messageCount": COUNT, "createdByTeams": _IDS, "assignedTeams": _IDS, "assignedUsers": _IDS,
})  # fmt: skip
_TEXTS: Final = list_of(TEXT)

_OUTSIDE_THE_MODELS: Final = {
    # Times, counters and flags that services keep.
    **dict.fromkeys(("createdAt", "modifiedAt", "lastActivityAt", "lastMessageAt", "endedAt", "deletedAt", "snoozedAt",
                     "lockedAt", "importedAt", "enteredQueueAt", "removedAt"), TIME),
    **dict.fromkeys(("messageCount", "noteCount", "outboundMessageCount", "inboundMessageCount", "satisfaction",
                     "reopenCount", "doneCount", "shortcutCount", "sharedCount", "totalDone", "priority"), COUNT),
    **dict.fromkeys(("spam", "merged", "outboundConversation"), FLAG),
    "channels": list_of(_CHANNEL),
    "channel": _CHANNEL,
    **dict.fromkeys(("direction", "resourceDirection", "lastMessageDirection"), _DIRECTION),
    "phase": one_of("active", "inactive", "initial"),
    **dict.fromkeys(("assignedTeams", "tags", "suggestedTags", "suggestedShortcuts", "roleGroupVersions",
                     "accessOverride"), _IDS),
    "predictions": list_of(UNKNOWN),
    "satisfactionLevel": object_of({
        "sentByTeams": _IDS, "answers": list_of(UNKNOWN), "sentAt": TIME, "createdAt": TIME, "updatedAt": TIME,
    }),
    **dict.fromkeys(("firstMessageIn", "firstMessageOut", "lastMessageIn", "lastMessageOut",
                     "lastMessageUnrespondedTo", "lastMessageUnrespondedToSinceLastDone"), _MESSAGE_SUMMARY),
    **dict.fromkeys(("firstResponse", "firstResponseSinceLastDone", "lastResponse", "firstDone", "lastDone"),
                    _RESPONSE_SUMMARY),
    "assistant": object_of({"fac": object_of({"reasons": list_of(UNKNOWN)}), "assistantId": _IDS}),
    "custom": object_of({}),
    # Customers' words.
    **dict.fromkeys(("name", "preview", "subject", "externalId", "summary"), TEXT),
    **dict.fromkeys(("displayName", "firstName", "lastName"), PERSON),
}  # fmt: skip
_ATTRIBUTES: Final = object_of({
    **_OUTSIDE_THE_MODELS,
    **modelled(schema.ConversationAttributes),
    **modelled(schema.WorkItemAttributes),
    "status": one_of(*sorted({
        word
        for shape in (schema.ConversationAttributes, schema.WorkItemAttributes)
        for word in modelled(shape)["status"].words
    })),
})  # fmt: skip
_RELATIONSHIPS: Final = object_of(
    {
        **{name: _RELATIONSHIP for shape in (schema.ConversationRelationships, schema.WorkItemRelationships)
           for name in modelled(shape)},
        **dict.fromkeys(("org", "customer", "messages", "brand", "createdBy", "modifiedBy", "deletedBy", "endedBy",
                         "sla", "slaVersion", "mergedTarget"), _RELATIONSHIP),
        **dict.fromkeys(("assignedUsers", "assignedTeams"), _RELATIONSHIP_TO_MANY),
    },
    others=_RELATIONSHIP,
)  # fmt: skip
_SNAPSHOT: Final = object_of({
    "id": ID, "type": one_of("conversation", "work_item", "work-item", "heartbeat"), "attributes": _ATTRIBUTES,
    "relationships": _RELATIONSHIPS, "links": _LINKS,
})  # fmt: skip


def _changes_of(parts: FieldType) -> FieldType:
    """The changes of an object's fields: each has the field's type before and after."""

    def change(of: FieldType) -> FieldType:
        return object_of({"op": modelled(schema.FieldChange)["op"], "before": of, "after": of})

    return object_of({name: change(of) for name, of in parts.fields.items()}, others=change(parts.others or UNKNOWN))


_QUEUE_CHOICE: Final = object_of({"id": ID, "key": WORD, "rule": ID, "enteredAt": TIME})
_SESSION_CHOICE: Final = object_of({"to": ID, "rejectedBy": ID, "timedOut": ID, "by": ID, "workSession": ID})
_UPDATE: Final = object_of({
    "assignedTo": ID, "routedTo": ID, "assignedUsers": _IDS, "queue": _QUEUE_CHOICE,
    "status": _ATTRIBUTES.fields["status"], "paused": FLAG, "ended": FLAG, "deleted": FLAG, "resume": FLAG,
    "rev": NUMBER, "resource": object_of({"id": ID, "rev": NUMBER}),
    "routed": _SESSION_CHOICE, "accepted": _SESSION_CHOICE,
})  # fmt: skip
"""An update of either side, as commands and audit lines write it."""
_TOLD_CHANGES: Final = object_of(
    {
        name: object_of({"before": _UPDATE.fields[name], "after": _UPDATE.fields[name]})
        for name in ("status", "assignedUsers", "assignedTo", "routedTo", "queue", "paused", "ended", "deleted")
    }
)
"""What a write changed, as audit lines write it (`handlers.events.told_changes`)."""
_FIELD_NAME: Final = one_of("assignee", "queue", "status", "ended", "paused")
_REASON: Final = object_of({
    "action": WORD,
    "code": WORD,
    "meta": object_of({
        **modelled(schema.ReasonMeta), "data": _UPDATE, "commandName": WORD, "composed": FLAG, "actions": list_of(WORD),
        "rule": WORD, "policy": WORD, "unchanged": FLAG, "decidedWith": ID, "detail": TEXT, "message": TEXT,
    }),
})  # fmt: skip
_SUPPRESSION: Final = object_of({"field": _FIELD_NAME, "code": WORD, "conversationRev": NUMBER, "knownRev": NUMBER})
_COMMAND: Final = object_of({
    "engine": WORD, "name": WORD, "origin": WORD, "actions": list_of(WORD), "fields": list_of(WORD),
    "dropped": list_of(WORD), "ignored": list_of(WORD),
})  # fmt: skip
_DECISION: Final = {
    "outcome": WORD, "direction": WORD, "updatedConversation": _UPDATE, "updatedWorkItem": _UPDATE,
    "reasons": list_of(_REASON), "suppressed": list_of(_SUPPRESSION), "policy": WORD,
}  # fmt: skip
_AUDIT: Final = {
    **_DECISION,
    "conversationId": ID, "workItemId": ID, "before": object_of({"conversation": _UPDATE, "workItem": _UPDATE}),
    "command": _COMMAND, "trigger": WORD, "shadow": object_of(_DECISION), "conversationRev": NUMBER,
    "workItemRev": NUMBER, "lagMs": NUMBER, "shortened": FLAG,
    "event": object_of({
        "id": ID, "name": WORD, "rev": NUMBER, "client": WORD, "isSync": FLAG, "publishedAt": TIME, "knew": NUMBER,
        "changes": _TOLD_CHANGES,
    }),
    "written": list_of(object_of({
        "side": one_of("conversation", "work-item"), "id": ID, "rev": NUMBER, "isSync": FLAG, "eventId": ID,
        "changes": _TOLD_CHANGES,
    })),
    "obj": object_of({}),
}  # fmt: skip
_LOG_LINE: Final = {
    "hostname": WORD, "pid": NUMBER, "level": NUMBER, "fullBodyLength": NUMBER, "producer": WORD, "msg": WORD,
    "time": TIME, "v": NUMBER,
    "dd": object_of({"trace_id": ID, "span_id": ID, "service": WORD, "version": WORD, "env": WORD}),
}  # fmt: skip
_SENT_ATTRIBUTE: Final = object_of({
    **dict.fromkeys(("Type", "DataType"), WORD),
    **dict.fromkeys(("Value", "StringValue", "BinaryValue"), UNKNOWN),
})  # fmt: skip


def _sent(of: FieldType) -> FieldType:
    """A message attribute whose value has this type."""
    return object_of({**_SENT_ATTRIBUTE.fields, **dict.fromkeys(("Value", "StringValue", "BinaryValue"), of)})


_DELIVERED: Final = {
    "MessageId": ID, "ReceiptHandle": CREDENTIAL, "MD5OfBody": CREDENTIAL, "MD5OfMessageAttributes": CREDENTIAL,
    "Attributes": object_of({
        "SentTimestamp": ID, "ApproximateReceiveCount": ID, "ApproximateFirstReceiveTimestamp": ID, "SenderId": ID,
        "MessageGroupId": ID, "MessageDeduplicationId": ID, "SequenceNumber": ID, "DeadLetterQueueSourceArn": ID,
    }),
    "MessageAttributes": object_of({"name": _sent(WORD), "_datadog": _sent(TRACE_HEADERS)}, others=_SENT_ATTRIBUTE),
    "Type": WORD, "TopicArn": ID, "Timestamp": TIME, "SignatureVersion": WORD, "Signature": CREDENTIAL,
    "SigningCertURL": CREDENTIAL, "UnsubscribeURL": CREDENTIAL, "Subject": TEXT, "SequenceNumber": ID,
}  # fmt: skip


def _envelope() -> FieldType:
    """One type for all shapes: they share no name with two meanings, and a damaged text does not say which it is."""
    fields: dict[str, FieldType] = {
        **_AUDIT,
        **_LOG_LINE,
        **_DELIVERED,
        **modelled(schema.EventEnvelope),
        "data": _SNAPSHOT,
        "changes": object_of({"attributes": _changes_of(_ATTRIBUTES), "relationships": _changes_of(_RELATIONSHIPS)}),
        "routingReasons": list_of(_REASON),
        "persist": FLAG,
        "sourceId": ID,
        "sourceType": WORD,
        "publishedAt": TIME,
        "version": NUMBER,
    }
    envelope = object_of(fields)
    text = FieldType(kind=FieldKind.JSON_TEXT, fields=fields)
    fields.update(body=envelope, Body=text, Message=text)
    return envelope


ENVELOPE: Final = _envelope()
"""The type of any captured value: of the five shapes and of audit lines."""


def _captured() -> FieldType:
    """A captured value, or the wrapper that an export puts around it."""
    log_line = FieldType(kind=FieldKind.JSON_TEXT, fields=ENVELOPE.fields)
    fields: dict[str, FieldType] = dict(ENVELOPE.fields)
    wrapper = object_of(fields)
    fields.update(dict.fromkeys(("attributes", "content", "_source", "jsonPayload"), wrapper))
    fields.update(dict.fromkeys(("log", "message", "@message"), log_line))
    return wrapper


CAPTURED: Final = _captured()
"""The type of any object in a source: a captured value, or an export's wrapper around one."""
