"""Messages that can never succeed, as data: the unit suite reads them, the end-to-end suite sends them.

Every body that carries values carries `CONTENT`, which no reason may show: a dead letter's reason is read by people
who may not read customers' messages.
"""

import copy
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from handlers.event import Fault
from tests.handlers.wire_events import Json, conversation, event, notification, published, queued, text, work_item

CONTENT: Final = "Ada-Lovelace-says-hello"
"""What customers wrote."""
BYTES_MAX: Final = 262_144

_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\U0010ffff]")

GONE: Final = object()
"""In place of a value: the key is taken away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of malformed message. `says` is a fragment of the reason."""

    id: str
    body: str
    code: Fault
    says: str

    @property
    def sendable(self) -> bool:
        """False where SQS itself would not take the body: empty, too large, or no characters of XML 1.0."""
        if not self.body or _NOT_XML.search(self.body):
            return False
        return len(self.body.encode()) <= BYTES_MAX


def good(side: str = "conversation") -> Json:
    """A published message in order, with every modelled field in it."""
    return copy.deepcopy(_GOOD[side])


def _full_conversation() -> Json:
    data = conversation(2, queue="q-1", users=("u-1",), deleted=False, updatedAt="2024-05-06T07:08:09.250Z")
    data["attributes"]["preview"] = CONTENT
    return published(
        event(
            data,
            isSync=False,
            changes={
                "attributes": {"status": {"op": "replace", "before": CONTENT, "after": "open"}},
                "relationships": {"queue": {"op": "add", "before": None, "after": None}},
            },
            routingReasons=[{"action": "QUEUE_WORK_ITEM", "code": "QUEUE_RULES_HIT", "meta": {"conversationRev": 1}}],
        )
    )


def _full_work_item() -> Json:
    at = "2024-05-06T07:08:09.250Z"
    numbers = ("resourceFirstQueueTime", "resourceFirstRouteTime", "resourceFirstAssignTime", "queuedCount", "priority")
    instants = ("firstEnterQueueAt", "resourceCreatedAt", "completedAt", "updatedAt")
    flat: dict[str, Any] = {**dict.fromkeys(numbers, 1), **dict.fromkeys(instants, at)}
    data = work_item(
        2,
        queue="q-1",
        user="u-1",
        session="s-1",
        status="assigned",
        resourceRev=1,
        **flat,
        lastRevision={
            "enteredQueueAt": at,
            "queueTime": 1,
            "queueBusinessTime": 1,
            "routedAt": at,
            "acceptedAt": at,
        },
        ivr={"enteredAt": at, "time": 1, "businessTime": 1},
        wrapUp={"enteredAt": at, "time": 1, "businessTime": 1},
        handle={"time": 1, "resumedAt": at},
        custom={"said": CONTENT},
    )
    for name in ("rule", "acceptedBy", "routedTo", "team", "lastRevision"):
        data["relationships"][name] = {"data": {"type": name, "id": f"{name}-1"}}
    reason = {"action": "UPDATE_COMMAND", "code": "WORK_ITEM_UPDATE_CMD", "meta": {"data": {"resource": {"rev": 1}}}}
    return published(event(data, routingReasons=[reason]))


_GOOD: Final = {"conversation": _full_conversation(), "work-item": _full_work_item()}


def altered(message: Json, path: str, value: Any) -> Json:
    """The message with the value at a dotted path replaced, added, or taken away (`GONE`)."""
    *way, last = path.split(".")
    node: Any = message
    for step in way:
        node = node[int(step)] if isinstance(node, list) else node[step]
    if value is GONE:
        del node[last]
    elif isinstance(node, list):
        node[int(last)] = value
    else:
        node[last] = value
    return message


WRONG_IN_THE_EVENT: Final[Mapping[str, Any]] = {
    "id": {"$gt": ""},
    "name": 7,
    "org": [CONTENT],
    "partition": {"name": CONTENT},
    "createdAt": CONTENT,
    "client": {"name": CONTENT},
    "isSync": "true",
    "changes": [CONTENT],
    "changes.attributes": CONTENT,
    "changes.attributes.status": CONTENT,
    "changes.attributes.status.op": CONTENT,
    "changes.relationships": [CONTENT],
    "changes.relationships.queue": CONTENT,
    "changes.relationships.queue.op": 7,
    "routingReasons": {"action": CONTENT},
    "routingReasons.0": CONTENT,
    "routingReasons.0.action": {"name": CONTENT},
    "routingReasons.0.code": [CONTENT],
    "routingReasons.0.meta": CONTENT,
    "routingReasons.0.meta.conversationRev": CONTENT,
}
WRONG_IN_A_REASON: Final[Mapping[str, Any]] = {
    "routingReasons.0.meta.data": CONTENT,
    "routingReasons.0.meta.data.resource": [CONTENT],
    "routingReasons.0.meta.data.resource.rev": 0,
}
WRONG_IN_A_CONVERSATION: Final[Mapping[str, Any]] = {
    "data.id": {"$gt": ""},
    "data.type": CONTENT,
    "data.attributes": [CONTENT],
    "data.attributes.status": CONTENT,
    "data.attributes.assignedUsers": CONTENT,
    "data.attributes.assignedUsers.0": {"$ne": CONTENT},
    "data.attributes.ended": CONTENT,
    "data.attributes.deleted": 1,
    "data.attributes.updatedAt": 1714979289250,
    "data.relationships": CONTENT,
    "data.relationships.queue": CONTENT,
    "data.relationships.queue.data": CONTENT,
    "data.relationships.queue.data.id": {"$gt": CONTENT},
    "data.relationships.queue.data.type": [CONTENT],
}
_TARGETS: Final = (
    "resource",
    "queue",
    "rule",
    "assignedTo",
    "acceptedBy",
    "routedTo",
    "workSession",
    "team",
    "lastRevision",
)
WRONG_IN_A_WORK_ITEM: Final[Mapping[str, Any]] = {
    "data.id": [CONTENT],
    "data.type": CONTENT,
    "data.attributes": CONTENT,
    "data.attributes.resourceType": [CONTENT],
    "data.attributes.status": "done",
    "data.attributes.paused": CONTENT,
    "data.attributes.workItemNumber": CONTENT,
    "data.attributes.resourceRev": -3,
    "data.attributes.itemSize": 1.5,
    "data.attributes.priority": CONTENT,
    "data.attributes.queuedCount": -1,
    "data.attributes.firstEnterQueueAt": CONTENT,
    "data.attributes.resourceCreatedAt": "2024-05-06T07:08:09.250",
    "data.attributes.resourceFirstQueueTime": CONTENT,
    "data.attributes.resourceFirstRouteTime": True,
    "data.attributes.resourceFirstAssignTime": 0.5,
    "data.attributes.completedAt": CONTENT,
    "data.attributes.updatedAt": CONTENT,
    "data.attributes.lastRevision": CONTENT,
    "data.attributes.lastRevision.enteredQueueAt": CONTENT,
    "data.attributes.lastRevision.queueTime": CONTENT,
    "data.attributes.lastRevision.queueBusinessTime": CONTENT,
    "data.attributes.lastRevision.routedAt": CONTENT,
    "data.attributes.lastRevision.acceptedAt": CONTENT,
    "data.attributes.ivr": [CONTENT],
    "data.attributes.ivr.enteredAt": CONTENT,
    "data.attributes.ivr.time": CONTENT,
    "data.attributes.ivr.businessTime": CONTENT,
    "data.attributes.wrapUp": CONTENT,
    "data.attributes.wrapUp.enteredAt": CONTENT,
    "data.attributes.wrapUp.time": CONTENT,
    "data.attributes.wrapUp.businessTime": CONTENT,
    "data.attributes.handle": CONTENT,
    "data.attributes.handle.time": CONTENT,
    "data.attributes.handle.resumedAt": CONTENT,
    "data.relationships": [CONTENT],
    **{f"data.relationships.{name}": CONTENT for name in _TARGETS},
    **{f"data.relationships.{name}.data": [CONTENT] for name in _TARGETS},
    **{f"data.relationships.{name}.data.id": {"$gt": CONTENT} for name in _TARGETS},
    **{f"data.relationships.{name}.data.type": {"name": CONTENT} for name in _TARGETS},
}
"""Every modelled field by its path from the event down, with a value of a wrong kind (`test_malformed.py` checks that
none is missing). `data.attributes.rev` has a table of its own."""


def _wrong_fields() -> Iterator[Kind]:
    for side, table in (
        ("conversation", {**WRONG_IN_THE_EVENT, **WRONG_IN_A_CONVERSATION}),
        ("work-item", {**WRONG_IN_A_REASON, **WRONG_IN_A_WORK_ITEM}),
    ):
        for path, value in table.items():
            body = text(altered(good(side), f"body.{path}", value))
            yield Kind(id=f"{side}:{path}", body=body, code=Fault.INVALID_FIELD, says=f"{path}: ")


MISSING: Final[Mapping[str, tuple[str, ...]]] = {
    "conversation": ("id", "data.id", "data.type", "data.attributes", "data.attributes.status"),
    "work-item": (
        "data.id",
        "data.attributes.status",
        "data.relationships",
        "data.relationships.resource",
        "data.relationships.resource.data",
        "data.relationships.resource.data.id",
        "data.relationships.queue.data.id",
    ),
}


def _missing_fields() -> Iterator[Kind]:
    for side, paths in MISSING.items():
        for path in paths:
            for what, value in (("missing", GONE), ("null", None)):
                body = text(altered(good(side), f"body.{path}", value))
                yield Kind(id=f"{side}:{path}:{what}", body=body, code=Fault.INVALID_FIELD, says=f"{path}: ")


def _ids() -> Iterator[Kind]:
    wrong: dict[str, Any] = {"empty": "", "number": 7, "too-long": "x" * 257, "null-character": f"{CONTENT}\0"}
    for path in ("id", "org", "data.id", "data.attributes.assignedUsers.0", "data.relationships.queue.data.id"):
        for what, value in wrong.items():
            body = text(altered(good(), f"body.{path}", value))
            yield Kind(id=f"id:{path}:{what}", body=body, code=Fault.INVALID_FIELD, says=f"{path}: ")


def _revisions() -> Iterator[Kind]:
    wrong: dict[str, Any] = {
        "missing": GONE,
        "null": None,
        "true": True,
        "a-float": 3.0,
        "a-string": "3",
        "an-object": {"$inc": 1},
        "zero": 0,
        "negative": -1,
        "beyond-2**53": 2**53,
        "beyond-64-bits": 2**63,
    }
    for side in ("conversation", "work-item"):
        for what, value in wrong.items():
            body = text(altered(good(side), "body.data.attributes.rev", value))
            yield Kind(id=f"{side}:rev:{what}", body=body, code=Fault.BAD_REVISION, says="data.attributes.rev: ")
    huge = text(good()).replace('"rev":2,', '"rev":1e30,')
    yield Kind(id="rev:1e30", body=huge, code=Fault.BAD_REVISION, says="data.attributes.rev: ")


def _not_json() -> Iterator[Kind]:
    whole = text(good())
    bodies = {
        "empty": "",
        "blank": "  \n",
        "prose": f"{CONTENT}, is anybody there?",
        "truncated": whole[: len(whole) // 2],
        "truncated-by-one": whole[:-1],
        "two-documents": whole + whole,
        "single-quotes": "{'name': '" + CONTENT + "'}",
        "trailing-comma": whole[:-1] + ",}",
        "comment": "/* " + CONTENT + " */ " + whole,
        "byte-order-mark": "\ufeff" + whole,
        "xml": f"<event>{CONTENT}</event>",
        "form": f"Action=Publish&Message={CONTENT}",
        "not-a-number": whole.replace('"rev":2,', '"rev":NaN,'),
        "infinity": whole.replace('"rev":2,', '"rev":-Infinity,'),
        "beyond-a-double": whole.replace('"rev":2,', '"rev":1e400,'),
        "lone-surrogate-escaped": whole.replace(CONTENT, CONTENT + "\\ud800"),
        "lone-surrogate": whole.replace(CONTENT, CONTENT + "\ud800"),
        "control-character": whole.replace(CONTENT, CONTENT + "\x01"),
        "null-character": whole.replace(CONTENT, CONTENT + "\0"),
        "base64": "eyJuYW1lIjoia3VzdG9tZXIuY29udmVyc2F0aW9uLnVwZGF0ZSJ9",
    }
    for name, body in bodies.items():
        yield Kind(id=f"not-json:{name}", body=body, code=Fault.NOT_JSON, says="the body is not JSON")
    inner = {"prose": CONTENT, "empty": "", "truncated": whole[:-2]}
    for name, body in inner.items():
        says = "Message is not JSON"
        yield Kind(id=f"sns:not-json:{name}", body=text(notification(body)), code=Fault.NOT_JSON, says=says)
    yield Kind(id="sqs:not-json", body=text(queued(CONTENT)), code=Fault.NOT_JSON, says="Body is not JSON")


def _not_an_event() -> Iterator[Kind]:
    def without(path: str, value: Any = GONE) -> Json:
        return altered(good(), path, value)

    bare = good()["body"]
    bodies: dict[str, tuple[object, str]] = {
        "null": (None, "NoneType"),
        "true": (True, "bool"),
        "number": (424242, "int"),
        "string": (CONTENT, "str"),
        "list": ([CONTENT], "list"),
        "list-of-events": ([bare, bare], "list"),
        "empty-object": ({}, "keys (none)"),
        "no-known-shape": ({"greeting": CONTENT}, "keys 1 unknown are"),
        "many-keys": ({f"k{n}": CONTENT for n in range(30)}, "keys 30 unknown are"),
        "s3-notification": ({"Records": [{"eventSource": "aws:s3", "s3": CONTENT}]}, "keys Records are"),
        "subscription-confirmation": (notification(CONTENT, Type="SubscriptionConfirmation"), "TopicArn"),
        "data-missing": (without("body.data"), "no known shape"),
        "data-null": (without("body.data", None), "no known shape"),
        "data-a-list": (without("body.data", [CONTENT]), "no known shape"),
        "data-a-string": (without("body.data", CONTENT), "no known shape"),
        "name-missing": (without("body.name"), "no known shape"),
        "body-missing": (without("body"), "no known shape"),
        "body-null": (without("body", None), "no known shape"),
        "body-a-string": (without("body", text(bare)), "no known shape"),
        "body-a-list": (without("body", [bare]), "no known shape"),
        "body-empty": (without("body", {}), "keys (none)"),
        "sns-message-missing": (altered(notification(CONTENT), "Message", GONE), "no known shape"),
        "sns-message-null": (notification(good(), Message=None), "Message must be JSON text, not NoneType"),
        "sns-message-an-object": (notification(good(), Message=good()), "Message must be JSON text, not dict"),
        "sns-message-a-scalar": (notification("7"), "this is a int"),
        "sns-message-a-list": (notification([good()]), "this is a list"),
        "sqs-body-an-object": (queued(CONTENT, Body=good()), "Body must be JSON text, not dict"),
        "sqs-body-null": (queued(CONTENT, Body=None), "Body must be JSON text, not NoneType"),
        "log-line-of-another-kind": ({"name": "audit", "msg": CONTENT, "level": 30}, "keys level, msg, name are"),
    }
    for name, (thing, says) in bodies.items():
        yield Kind(id=f"not-an-event:{name}", body=text(thing), code=Fault.NOT_AN_EVENT, says=says)


def _limits() -> Iterator[Kind]:
    def nested(depth: int, of: Callable[[Any], Any]) -> Any:
        thing: Any = CONTENT
        for _ in range(depth):
            thing = of(thing)
        return thing

    deep_object = altered(good(), "body.data.attributes.custom", nested(70, lambda inner: {"in": inner}))
    deep_list = altered(good(), "body.data.attributes.custom", nested(70, lambda inner: [inner]))
    deep = {
        "objects": text(deep_object),
        "lists": text(deep_list),
        "brackets": "[" * 100_000 + "]" * 100_000,
        "at-the-parser's-limit": "[" * 2_000 + "]" * 2_000,
        "in-an-sns-message": text(notification(deep_object)),
        "in-an-sqs-body": text(queued(deep_list)),
        "in-both": text(queued(notification(deep_object))),
    }
    for name, body in deep.items():
        yield Kind(id=f"too-deep:{name}", body=body, code=Fault.TOO_DEEP, says="nests deeper than 64 levels")
    large = {
        "bytes": text(altered(good(), "body.data.attributes.preview", CONTENT + "x" * BYTES_MAX)),
        "multibyte": text(altered(good(), "body.data.attributes.preview", CONTENT + "é" * (BYTES_MAX // 2))),
        "not-json-either": CONTENT * 20_000,
        "surrogates": "\ud800" * 90_000,
    }
    for name, body in large.items():
        yield Kind(id=f"too-large:{name}", body=body, code=Fault.TOO_LARGE, says="the limit is 262144")


def _unstorable() -> Iterator[Kind]:
    numbers = {"attribute": "data.attributes.custom", "change": "changes.attributes.status.after"}
    for name, path in numbers.items():
        body = text(altered(good(), f"body.{path}", [{"sum": 2**63}]))
        says = "a number beyond 64 bits"
        yield Kind(id=f"unstorable:{name}", body=body, code=Fault.INVALID_FIELD, says=says)
    names = {"attribute": "data.attributes", "nested": "data.relationships", "data": "data", "event": "meta"}
    for name, path in names.items():
        body = text(altered(good(), f"body.{path}.{CONTENT}\0" if path != "meta" else "body.meta", {f"{CONTENT}\0": 1}))
        says = "a name with a null character"
        yield Kind(id=f"null-in-a-name:{name}", body=body, code=Fault.INVALID_FIELD, says=says)


def _published_at() -> Iterator[Kind]:
    for name, value in (
        ("prose", CONTENT),
        ("number", 1714979289250),
        ("no-zone", "2024-05-06T07:08:09"),
        ("empty", ""),
    ):
        body = text(altered(good(), "publishedAt", value))
        yield Kind(id=f"publishedAt:{name}", body=body, code=Fault.INVALID_FIELD, says="publishedAt: ")


def _wrapped() -> Iterator[Kind]:
    """A fault is found however deep its event is wrapped, and each of several is named."""
    wrong = altered(good(), "body.data.attributes.status", CONTENT)
    wraps: dict[str, object] = {
        "bare": wrong["body"],
        "sns": notification(wrong),
        "sqs-sns": queued(notification(wrong)),
        "sqs-raw": queued(wrong),
        "log-line": {"name": "event", "producer": "p", "body": wrong},
    }
    for name, thing in wraps.items():
        says = "data.attributes.status: "
        yield Kind(id=f"wrapped:{name}", body=text(thing), code=Fault.INVALID_FIELD, says=says)
    several = altered(altered(wrong, "body.data.attributes.rev", "3"), "body.data.attributes.ended", CONTENT)
    yield Kind(
        id="several-faults",
        body=orjson.dumps(several).decode(),
        code=Fault.BAD_REVISION,
        says="data.attributes.ended: ",
    )


MALFORMED: Final[tuple[Kind, ...]] = (
    *_not_json(),
    *_not_an_event(),
    *_limits(),
    *_revisions(),
    *_missing_fields(),
    *_wrong_fields(),
    *_ids(),
    *_unstorable(),
    *_published_at(),
    *_wrapped(),
)
