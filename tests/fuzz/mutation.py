"""The mutations of an input: a well-formed value is changed as a tree, written as text, and changed as text.

Everything comes from one `Random`, so that a seed and a number determine an input.
"""

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Final

import orjson

MARK: Final = "qZ7x"
"""Part of every planted text. A reason that shows it has shown an input's content."""

_DEEP: Final = orjson.loads("[" * 80 + "]" * 80)
_ATOMS: Final[tuple[Any, ...]] = (
    None, True, False, 0, 1, 2, -1, 7, 2**31, 2**53 - 1, 2**53, 2**63 - 1, 2**63, 2**64, -(2**63) - 1, 10**40,
    0.5, -0.0, 1e300, 3.0, "", " ", MARK, f"{MARK}\0", f"{MARK}\ud800", "\U0001f600", f"{MARK}.{MARK}", f"${MARK}",
    {"$ne": None}, {"$gt": MARK}, {"$where": f"sleep({MARK})"}, {"a.b": MARK}, {"": MARK}, [MARK], [], {}, [[[]]],
    "open", "snoozed", "done", "ivr", "queued", "routed", "assigned", "wrap-up", "wrapUp", "completed", "complete",
    "conversation", "work_item", "work-item", "kustomer.conversation.update", "kustomer.conversation.delete",
    "kustomer.work-item.create", "kustomer.work-item.update", "kustomer.tag.update", "Notification",
    "2024-05-06T07:08:09.250Z", "2024-05-06T07:08:09", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z",
    "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "2024-05-06T07:08:09.250+14:00", "20240506T070809Z",
    "u-1", "q-1", "c-1", "w-1", "s-1", "add", "replace", "remove", "NaN", "Infinity", "null", "1", "true",
    _DEEP, MARK * 100, "x" * 257,
)  # fmt: skip
_NAMES: Final = (
    "$where", "$set", "$ne", "a.b", f"{MARK}.{MARK}", "", "\0", f"{MARK}\0", MARK, "__proto__", "_id", "id", "org",
    "rev", "data", "body", "Body", "Message", "MessageId", "ReceiptHandle", "Type", "name", "type", "attributes",
    "relationships", "status", "queue", "changes", "routingReasons", "publishedAt", "conversationId", "active", "dd",
)  # fmt: skip
_SPLICES: Final = (
    b"NaN", b"-Infinity", b"1e400", b"1" * 30, b"9" * 400, b"-" + b"8" * 5_000, b"\\ud800", b'"', b"\\", b"{", b"}",
    b"[", b"]", b",", b":", b"\x00", b"\xff\xfe", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"[" * 2_000, b'{"a":' * 500,
    b'"rev":3,', b'"id":{"$ne":null},', b'"data":{},', b"\n", b" " * 64, MARK.encode(), b"1.0000000000000000001",
)  # fmt: skip


class Mutator:
    """The changes of one input."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def tree(self, tree: Any) -> Any:
        """Make one to four changes somewhere in a tree, in place, and return it."""
        whole: dict[str, Any] = {"": tree}
        for _ in range(self._random.choice((1, 1, 1, 2, 2, 3, 4))):
            node, key = self._place(whole)
            self._random.choice(_CHANGES)(self, node, key)
        return whole.get("")

    def text(self, raw: bytes) -> bytes:
        """Make one to three changes of a text."""
        for _ in range(self._random.choice((1, 1, 1, 2, 3))):
            at = self._random.randrange(len(raw) + 1)
            to = min(at + self._random.choice((1, 1, 2, 8, 64, 1_000)), len(raw))
            match self._random.randrange(5):
                case 0:
                    raw = raw[:at] + bytes([self._random.randrange(256)]) + raw[at + 1 :]
                case 1:
                    raw = raw[:at] + self._random.choice(_SPLICES) + raw[at:]
                case 2:
                    raw = raw[:at] + raw[to:]
                case 3:
                    raw = raw[:to] + raw[at:to] + raw[to:]
                case _:
                    raw = self._twice(raw)
        return raw

    def atom(self) -> Any:
        """A value, now and then a large one."""
        if self._random.randrange(400) == 0:
            return f"{MARK}{'é' * self._random.choice((1_000, 131_072, 300_000))}"
        atom = self._random.choice(_ATOMS)
        return atom if not isinstance(atom, dict | list) else json.loads(json.dumps(atom))

    def _twice(self, raw: bytes) -> bytes:
        """The text with one name duplicated."""
        parts = raw.split(b'":')
        if len(parts) < 2:
            return raw
        at = self._random.randrange(1, len(parts))
        name = parts[at - 1].rpartition(b'"')[2]
        parts[at - 1] += b'":' + dumped(self.atom()) + b',"' + name
        return b'":'.join(parts)

    def _place(self, whole: dict[str, Any]) -> tuple[Any, Any]:
        node: Any = whole
        key: Any = ""
        while True:
            inner = node[key]
            keys: Sequence[Any] = list(inner) if isinstance(inner, dict) else ()
            keys = range(len(inner)) if isinstance(inner, list) else keys
            if not keys or self._random.randrange(6) == 0:
                return node, key
            node, key = inner, self._random.choice(keys)

    def replace(self, node: Any, key: Any) -> None:
        node[key] = self.atom()

    def remove(self, node: Any, key: Any) -> None:
        if key:
            del node[key]

    def rename(self, node: Any, key: Any) -> None:
        if isinstance(node, dict) and key:
            node[self._random.choice(_NAMES)] = node.pop(key)

    def add(self, node: Any, key: Any) -> None:
        if isinstance(node[key], dict):
            node[key][self._random.choice(_NAMES)] = self.atom()
        elif isinstance(node[key], list):
            node[key].append(self.atom())

    def wrap(self, node: Any, key: Any) -> None:
        inner = node[key]
        node[key] = self._random.choice(([inner], {"$ne": inner}, {"id": inner}, {"data": inner}, [inner] * 3))

    def nudge(self, node: Any, key: Any) -> None:
        inner = node[key]
        if isinstance(inner, bool | None):
            node[key] = not inner
        elif isinstance(inner, int | float):
            node[key] = inner + self._random.choice((-1, 1, 0.5, 2**53, 2**64))
        elif isinstance(inner, str):
            node[key] = self._random.choice((inner + MARK, inner[1:], inner.upper(), inner * 2, f"{inner}\0", [inner]))


_CHANGES: Final[tuple[Callable[[Mutator, Any, Any], None], ...]] = (
    Mutator.replace, Mutator.replace, Mutator.replace, Mutator.nudge, Mutator.nudge, Mutator.remove, Mutator.rename,
    Mutator.add, Mutator.add, Mutator.wrap,
)  # fmt: skip


def dumped(thing: Any) -> bytes:
    """The value as JSON text, also where the strict writer refuses it."""
    try:
        return orjson.dumps(thing)
    except TypeError:
        return json.dumps(thing).encode()
