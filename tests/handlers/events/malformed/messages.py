"""Malformed messages as data: the unit suite reads them, the end-to-end suite sends them."""

from collections.abc import Callable, Iterator
from typing import Any, Final

import orjson

from handlers.events.event import RejectionCode
from tests.handlers.events.malformed.fields import ids, missing_fields, revisions, wrong_fields
from tests.handlers.events.malformed.kind import BYTES_MAX, CONTENT, GONE, Kind, altered, good
from tests.handlers.wire_events import Json, notification, queued, text


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
        "half-pair-in-a-broken-text": whole.replace(CONTENT, CONTENT + "\\ud800")[:-1],
        "control-character": whole.replace(CONTENT, CONTENT + "\x01"),
        "null-character": whole.replace(CONTENT, CONTENT + "\0"),
        "base64": "eyJuYW1lIjoia3VzdG9tZXIuY29udmVyc2F0aW9uLnVwZGF0ZSJ9",
    }
    for name, body in bodies.items():
        yield Kind(id=f"not-json:{name}", body=body, code=RejectionCode.NOT_JSON, says="the body is not JSON")
    inner = {"prose": CONTENT, "empty": "", "truncated": whole[:-2]}
    for name, body in inner.items():
        says = "Message is not JSON"
        yield Kind(id=f"sns:not-json:{name}", body=text(notification(body)), code=RejectionCode.NOT_JSON, says=says)
    yield Kind(id="sqs:not-json", body=text(queued(CONTENT)), code=RejectionCode.NOT_JSON, says="Body is not JSON")


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
        yield Kind(id=f"not-an-event:{name}", body=text(thing), code=RejectionCode.NOT_AN_EVENT, says=says)


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
        yield Kind(id=f"too-deep:{name}", body=body, code=RejectionCode.TOO_DEEP, says="nests deeper than 64 levels")
    large = {
        "bytes": text(altered(good(), "body.data.attributes.preview", CONTENT + "x" * BYTES_MAX)),
        "multibyte": text(altered(good(), "body.data.attributes.preview", CONTENT + "é" * (BYTES_MAX // 2))),
        "not-json-either": CONTENT * 80_000,
        "surrogates": "\ud800" * 360_000,
    }
    for name, body in large.items():
        yield Kind(id=f"too-large:{name}", body=body, code=RejectionCode.TOO_LARGE, says="the limit is 1048576")


def _unstorable() -> Iterator[Kind]:
    numbers = {"attribute": "data.attributes.custom", "change": "changes.attributes.status.after"}
    for name, path in numbers.items():
        body = text(altered(good(), f"body.{path}", [{"sum": 2**63}]))
        says = "a number beyond 64 bits"
        yield Kind(id=f"unstorable:{name}", body=body, code=RejectionCode.INVALID_FIELD, says=says)
    names = {"attribute": "data.attributes", "nested": "data.relationships", "data": "data", "event": "meta"}
    for name, path in names.items():
        body = text(altered(good(), f"body.{path}.{CONTENT}\0" if path != "meta" else "body.meta", {f"{CONTENT}\0": 1}))
        says = "a name with a null character"
        yield Kind(id=f"null-in-a-name:{name}", body=body, code=RejectionCode.INVALID_FIELD, says=says)


def _half_pairs() -> Iterator[Kind]:
    half = CONTENT + "\\ud83d"
    conversation, item = text(good("conversation")), text(good("work-item"))
    ids = {
        "event": conversation.replace('"body":{"id":"', f'"body":{{"id":"{half}'),
        "conversation": conversation.replace('"data":{"id":"', f'"data":{{"id":"{half}'),
        "work-item": item.replace('"data":{"id":"', f'"data":{{"id":"{half}'),
        "user": conversation.replace('"u-1"', f'"{half}"'),
        "queue": item.replace('"q-1"', f'"{half}"'),
    }
    for name, body in ids.items():
        yield Kind(id=f"half-pair:{name}", body=body, code=RejectionCode.INVALID_FIELD, says="a valid string")
    for name, place in {"attribute": '"attributes":{', "event": '"body":{', "data": '"data":{'}.items():
        body = conversation.replace(place, f'{place}"{half}":1,', 1)
        says = "a name with half a surrogate pair"
        yield Kind(id=f"half-pair-in-a-name:{name}", body=body, code=RejectionCode.INVALID_FIELD, says=says)


def _published_at() -> Iterator[Kind]:
    for name, value in (
        ("prose", CONTENT),
        ("number", 1714979289250),
        ("no-zone", "2024-05-06T07:08:09"),
        ("empty", ""),
    ):
        body = text(altered(good(), "publishedAt", value))
        yield Kind(id=f"publishedAt:{name}", body=body, code=RejectionCode.INVALID_FIELD, says="publishedAt: ")


def _wrapped() -> Iterator[Kind]:
    """A fault is found in every shape, and each of several faults is named."""
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
        yield Kind(id=f"wrapped:{name}", body=text(thing), code=RejectionCode.INVALID_FIELD, says=says)
    several = altered(altered(wrong, "body.data.attributes.rev", "3"), "body.data.attributes.ended", CONTENT)
    yield Kind(
        id="several-faults",
        body=orjson.dumps(several).decode(),
        code=RejectionCode.BAD_REVISION,
        says="data.attributes.ended: ",
    )


MALFORMED: Final[tuple[Kind, ...]] = (
    *_not_json(),
    *_not_an_event(),
    *_limits(),
    *revisions(),
    *missing_fields(),
    *wrong_fields(),
    *ids(),
    *_unstorable(),
    *_half_pairs(),
    *_published_at(),
    *_wrapped(),
)
