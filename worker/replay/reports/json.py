"""The report of a replay as JSON, one object a line (docs/replay.md)."""

import json
from collections.abc import Iterable, Sequence
from typing import BinaryIO

import orjson

from handlers.dry_run.flat_form import shown_conversation, shown_work_item
from handlers.ports import Pair
from worker.replay.environment import ReplayClock
from worker.replay.recorded_syncs import DecisionLine
from worker.replay.reports.report import JsonObject, Report
from worker.telemetry.logs import LogIdentity, open_log, write_audit_lines

IDENTITY = LogIdentity(hostname="replay", pid=0)
"""The `hostname` and `pid` of the audit lines, the same on every machine."""


class JsonReport(Report):
    """Audit records, then the final pairs; or explorations."""

    def __init__(self, to: BinaryIO) -> None:
        super().__init__(to)
        self._clock = ReplayClock()
        self._log = open_log(level="info", identity=IDENTITY, clock=self._clock, to=to)

    def decided(self, line: DecisionLine) -> None:
        """The audit record as the worker logs it."""
        self._clock.at = line.at
        write_audit_lines(self._log, [line.audit_json])

    def final(
        self,
        pairs: Iterable[tuple[str, Pair]],
        violations: Sequence[tuple[str, JsonObject]],
        *,
        heading: str = "",  # noqa: ARG002 - for people
    ) -> None:
        """`{"violations": [...]}` where there are any, then `{"final": {"conversations": {}, "workItems": {}}}`."""
        if violations:
            wire = [{"conversation": conversation, **violation} for conversation, violation in violations]
            self.line(_dumps({"violations": wire}))
        items: dict[str, bytes] = {}
        # A capture may hold many pairs, so each is written at once instead of being collected.
        self.to.write(b'{"final":{"conversations":{')
        separator = b""
        for conversation_id, pair in pairs:
            items.update((document["_id"], orjson.dumps(shown_work_item(document))) for document in pair.work_items)
            if pair.conversation is not None:
                shown = orjson.dumps(shown_conversation(pair.conversation))
                self.to.write(separator + _member(conversation_id, shown))
                separator = b","
        self.to.write(b'},"workItems":{' + b",".join(_member(key, item) for key, item in items.items()) + b"}}}\n")

    def remark(self, text: str) -> None:
        """Print nothing: the objects already hold the facts of the remarks."""

    def explored(self, explored: JsonObject) -> None:
        """`{"explore": {...}}`."""
        self.line(_dumps({"explore": explored}))


def _member(key: str, value: bytes) -> bytes:
    return _dumps(key).encode() + b":" + value


def _dumps(value: object) -> str:
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        # orjson refuses half a surrogate pair; the standard library escapes it.
        return json.dumps(value, default=str)
