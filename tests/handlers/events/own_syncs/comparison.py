"""The worker's own syncs read in part beside the same messages read in full: one ending."""

import json
from typing import Any, Final

import orjson

from handlers.events.envelope import trace_of
from handlers.events.event import Event, Malformed, OwnSync
from handlers.events.own_syncs import read_own_sync
from handlers.events.parser import read_delivered, read_message
from handlers.events.validation import validate_conversation, validate_envelope, validate_work_item
from handlers.options import Options, PlanningContext
from handlers.planning.endings import own_sync_audit, own_sync_ending
from tests.handlers.events.malformed.kind import GONE, altered, good
from tests.handlers.small_ports import START, CountedIds
from tests.handlers.wire_events import Json, text
from worker.consumer.lane_context import LaneEntry
from worker.ports.message_queue import SENT_LONG_AGO, Message

UNREAD: Final = (
    " nests deeper than ",
    "a number beyond 64 bits",
    "a name beside `attributes` that has a dot, begins with $ or is empty",
    "number is infinity when parsed as double",
)
"""What the full reader may say of fields that are not modelled, and only of those: the limits of the store."""
_PLANNING: Final = PlanningContext(now=START, queue_now=START, ids=CountedIds(), options=Options())


def own_sync(side: str = "conversation") -> Json:
    """A published message of this worker's own sync, with every modelled field."""
    message = altered(good(side), "body.isSync", True)
    reason = {"action": "SYNC_X", "code": "C", "meta": {"rule": "A5", "policy": "causal"}}
    message["body"]["routingReasons"].append(reason)
    return altered(message, "body.client", "routing-worker")


def own_sync_text(path: str, value: Any, side: str = "conversation") -> str:
    """A published message of an own sync with one value changed. A number of any size is written as it is."""
    mark = "@here@"
    message = altered(own_sync(side), f"body.{path}", GONE if value is GONE else mark)
    return text(message).replace(text(mark), "" if value is GONE else json.dumps(value, ensure_ascii=False))


def compared(body: str, attributes: Any = None) -> str:
    """`own sync`, where the partial reader takes the message, else `full reader`.

    Asserts that the message ends as with the full reader, its audit record included; and where the full reader refuses
    what only the store could not keep, that it ends so without the fields that are not modelled.
    """
    sync = read_own_sync(body, attributes)
    if sync is None:
        return "full reader"
    full = read_message(body, attributes)
    end = "own sync"
    if isinstance(full, Malformed):
        assert any(said in full.reason for said in UNREAD), full
        full = read_message(modelled_only(body), attributes)
        end = "own sync with unread limits"
    assert isinstance(full, Event), f"the full reader has {full!r}"
    assert (full.is_own_sync, full.supported, full.is_mended) == (True, True, False)
    ending = own_sync_ending(full, planning=_PLANNING)
    assert ending.outcome.reason == "IS_SYNC"
    assert own_sync_audit(sync, policy=_PLANNING.options.policy.applied, now=_PLANNING.now) == ending.audit
    assert {name: getattr(sync, name) for name in sync.__struct_fields__} == {
        name: getattr(full, name) for name in sync.__struct_fields__
    }
    assert _entry(sync).name == _entry(full).name
    orjson.dumps(ending.audit.as_wire())
    return end


def left(message: object) -> bool:
    """Whether the message is left to the full reader."""
    body = message if isinstance(message, str) else text(message)
    return compared(body) == "full reader" and not isinstance(read_delivered(body), OwnSync)


def _entry(parsed: Any) -> LaneEntry:
    message = Message(
        id="m", receipt="r", body="", attributes={}, receive_count=1, sent_at=SENT_LONG_AGO, received_at=START
    )
    return LaneEntry(message=message, parsed=parsed)


def modelled_only(body: str) -> str:
    """The same message without the fields that are not modelled. Each wrapper keeps its trace."""
    outer = json.loads(body)
    inner = json.loads(outer["Message"]) if outer.get("Type") == "Notification" else outer
    event = inner["body"]
    envelope = validate_envelope({name: value for name, value in event.items() if name != "data"})
    changed = envelope.get("changes") or {}
    for changes in (changed.get("attributes"), changed.get("relationships")):
        for change in (changes or {}).values():
            # Any value may stand there.
            change["before"] = change["after"] = None
    validate = validate_conversation if envelope["name"].startswith("kustomer.conversation") else validate_work_item
    message = {
        "body": {**envelope, "data": validate(event["data"]), "dd": trace_of(event)},
        "publishedAt": inner.get("publishedAt"),
        "dd": trace_of(inner),
    }
    text = json.dumps(message)
    return text if inner is outer else json.dumps({"Type": "Notification", "Message": text, "dd": trace_of(outer)})
