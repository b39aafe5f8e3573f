"""Kept audit: the audit records that a plan stores in the transaction of its decision (docs/events.md, *Kept audit*).

| of a planned event | is kept |
|---|---|
| the decision wrote, or the commands refused its update | yes |
| a field waits | yes |
| nothing is left to do, and the write changed a shared field or a status, or made or deleted the document | yes |
| the event does not say what the write changed | yes |
| any other: the write changed nothing that this worker looks at | no: the sync state notes its revision |
| the event goes back to the queue | no: nothing of it is written |

A record is kept as the text of its JSON, so no value of it can make the store refuse the transaction.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson

from commands.reason import ReasonCode
from handlers.options import PlanningContext
from handlers.outcome import HandledEvent
from handlers.ports import Document
from sync.audit import AuditOutcome, AuditRecord

RECORD_BYTES_MAX: Final = 8_192
"""The length of one kept record. Nearly all have less than 1,500 bytes."""
_ENTRIES_MAX: Final = 12
_CHARACTERS_MAX: Final = 256
_CORE: Final = ("conversationId", "workItemId", "outcome", "direction", "trigger", "policy", "conversationRev",
    "workItemRev", "dd")  # fmt: skip
"""What is left of a record that is too long even with every list and text cut."""


def is_kept(ending: HandledEvent) -> bool:
    """Whether the record of a planned event is kept."""
    audit, event = ending.audit, ending.event
    match audit.outcome:
        case AuditOutcome.APPLIED | AuditOutcome.REFUSED:
            return True
        case AuditOutcome.FAILED:
            return False
        case AuditOutcome.SKIPPED:
            tells = event.told_changes is not None or event.creation or event.deletion
            # An event that is not supported has no meaning that is known.
            unclear = event.changed_fields is None and event.supported
            return tells or unclear or any(each.code is ReasonCode.FIELD_WAITS for each in audit.suppressed)


def kept_records(
    conversation_id: str, org: object, records: Iterable[AuditRecord], *, planning: PlanningContext
) -> tuple[Document, ...]:
    """The documents of these records. `org`: the conversation's as stored, unchecked."""
    return tuple(
        {
            "_id": planning.ids.new(),
            "conversationId": conversation_id,
            "org": org if isinstance(org, str) else None,
            # A date: MongoDB's time-to-live index takes nothing else.
            "at": planning.now,
            "record": record_text(record),
        }
        for record in records
    )


def record_text(record: AuditRecord) -> str:
    """The record as JSON of at most `RECORD_BYTES_MAX`. A longer one is cut, and says so: `"shortened": true`."""
    wire = record.as_wire()
    text = _dumped(wire)
    if len(text) <= RECORD_BYTES_MAX:
        return text.decode()
    cut = {**_cut(wire), "shortened": True}
    text = _dumped(cut)
    if len(text) <= RECORD_BYTES_MAX:
        return text.decode()
    codes = [{"action": each["action"], "code": each["code"]} for each in cut["reasons"]]
    return _dumped({**{name: cut[name] for name in _CORE}, "reasons": codes, "shortened": True}).decode()


def _dumped(wire: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(wire, default=str)
    except TypeError:
        # orjson refuses a number beyond 64 bits, a lone surrogate and a key that is no text.
        return json.dumps(wire, default=str).encode()


def _cut(value: Any) -> Any:
    match value:
        case str():
            return value[:_CHARACTERS_MAX]
        case list() | tuple():
            return [_cut(each) for each in value[:_ENTRIES_MAX]]
        case Mapping():
            # The record's own keys are more than the entries that are left of any other object.
            kept = list(value.items()) if "conversationId" in value else list(value.items())[:_ENTRIES_MAX]
            return {str(name)[:_CHARACTERS_MAX]: _cut(each) for name, each in kept}
        case _:
            return value
