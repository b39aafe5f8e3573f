"""The count of a soak: each event that was published, and each audit line that says what became of it.

It forgets what has been checked, so that its memory does not grow with the run.
"""

import threading
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import orjson

_AUDIT: Final = "CONVERSATION_SYNC_AUDIT"
_WARNING: Final = 40
_TOLERATED: Final = (
    "message dead-lettered",
    "visibility lost, another worker may get the messages",
    "store away, receiving pauses",
    "smaller transactions: a commit timed out",
)
"""Poison is dead-lettered. On a machine that is too busy messages come twice and calls to the store time out. All of
these are counted and told."""
_DETAILS: Final = ("drift", "end", "reason", "error")
"""Fields of a warning that are told with it."""
_HANDLED: Final = frozenset(("applied", "skipped", "refused"))


def pair_of(key: str) -> str:
    """The conversation of an event or a document: ids begin with it (`c12-5`, `c12-w1`, `c12-w1-7`)."""
    return key.partition("-")[0]


class EventCount:
    """Events by their ids, of several threads: the load's expects them, those that read the logs take audit lines."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._expected: dict[str, float] = {}
        self._expected_of: Counter[str] = Counter()
        self._seen: dict[str, dict[str, set[int]]] = {}
        self._retired: set[str] = set()
        self.published = 0
        self.handled = 0
        self.outcomes: Counter[str] = Counter()
        self.triggers: Counter[str] = Counter()
        self.warnings: Counter[str] = Counter()
        self.messages: Counter[str] = Counter()

    @property
    def outstanding(self) -> int:
        """Outside events that have no audit line yet."""
        return len(self._expected)

    def expect(self, event_id: str) -> None:
        """An event is about to be published."""
        with self._lock:
            self._expected[event_id] = time.monotonic()
            self._expected_of[pair_of(event_id)] += 1
            self.published += 1

    def take(self, raw: bytes) -> None:
        """Takes a line of a worker's log. A line that is no JSON object counts as a warning."""
        try:
            line = orjson.loads(raw)
        except orjson.JSONDecodeError:
            self.warnings[f"no JSON: {raw[:200]!r}"] += 1
            return
        if line["msg"] == _AUDIT:
            self._audited(line)
            return
        self.messages[line["msg"]] += 1
        if line["level"] >= _WARNING:
            details = [f"{name} {line[name]}" for name in _DETAILS if name in line]
            self.warnings[": ".join([line["msg"], *([", ".join(details)] if details else [])])] += 1

    def quiet(self, pair: str) -> bool:
        """Whether each event of the pair has its audit line."""
        with self._lock:
            return not self._expected_of[pair]

    def revisions(self, pair: str) -> Mapping[str, set[int]]:
        """By document: the revisions of the pair whose events, own syncs included, have an audit line."""
        with self._lock:
            return {key: set(some) for key, some in self._seen.get(pair, {}).items()}

    def retire(self, pair: str) -> None:
        """Forgets a pair that has been checked. Its late duplicates are counted and leave nothing."""
        with self._lock:
            self._seen.pop(pair, None)
            self._expected_of.pop(pair, None)
            self._retired.add(pair)

    def unwanted(self) -> list[tuple[str, int]]:
        """The warnings and errors in the logs, and how often, without those that are tolerated."""
        with self._lock:
            return [(text, times) for text, times in self.warnings.items() if not text.startswith(_TOLERATED)]

    def lost(self) -> list[str]:
        """The events without an audit line, the oldest first."""
        with self._lock:
            return sorted(self._expected, key=self._expected.__getitem__)

    def _audited(self, line: dict[str, Any]) -> None:
        event, outcome = line["event"], line["outcome"]
        with self._lock:
            self.outcomes[outcome] += 1
            if event is None:
                self.triggers[line["trigger"]] += 1
                return
            self.handled += 1
            if outcome not in _HANDLED:
                return
            if self._expected.pop(event["id"], None) is not None:
                self._expected_of[pair_of(event["id"])] -= 1
            pair = line["conversationId"]
            if pair not in self._retired:
                document = line["workItemId"] if ".work-item." in event["name"] else pair
                self._seen.setdefault(pair, {}).setdefault(document, set()).add(event["rev"])
