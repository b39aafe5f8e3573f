"""NEW FILE."""

import json
from collections.abc import Iterable, Sequence
from typing import BinaryIO

import orjson

from handlers.dry_run.flat_form import shown_conversation, shown_work_item
from worker.replay.clock import ReplayClock
from worker.replay.pair_archive import PairState
from worker.replay.recorded_syncs import DecisionLine
from worker.replay.reports.report import Flat, Report
from worker.telemetry.logs import LogIdentity, open_log, write_audit_lines

IDENTITY = LogIdentity(hostname="replay", pid=0)
"""Who writes the audit lines, on every machine."""


class JsonReport(Report):
    """One object a line."""

    def __init__(self, to: BinaryIO) -> None:
        super().__init__(to)
        self._clock = ReplayClock()
        self._log = open_log(level="info", identity=IDENTITY, clock=self._clock, to=to)

    def decided(self, line: DecisionLine) -> None:
        """The audit record, with its envelope."""
        self._clock.at = line.at
        write_audit_lines(self._log, [line.wire])

    def final(
        self,
        pair_states: Iterable[tuple[str, PairState]],
        violations: Sequence[tuple[str, Flat]],
        *,
        heading: str = "",  # noqa: ARG002 - for people
    ) -> None:
        """`final` last; before it `violations`, if there are any."""
        if violations:
            told = [{"conversation": conversation, **violation} for conversation, violation in violations]
            self.line(_dumps({"violations": told}))
        items: dict[str, bytes] = {}
        # Written piece by piece: there may be many.
        self.to.write(b'{"final":{"conversations":{')
        separator = b""
        for conversation_id, pair_state in pair_states:
            items.update(
                (document["_id"], orjson.dumps(shown_work_item(document))) for document in pair_state.work_items
            )
            if pair_state.conversation is not None:
                self.to.write(
                    separator + _entry(conversation_id, orjson.dumps(shown_conversation(pair_state.conversation)))
                )
                separator = b","
        self.to.write(b'},"workItems":{' + b",".join(_entry(key, item) for key, item in items.items()) + b"}}}\n")

    def remark(self, text: str) -> None:
        """Nothing: it is all in the objects."""

    def explored(self, explored: Flat) -> None:
        """One object."""
        self.line(_dumps({"explore": explored}))


def _entry(key: str, value: bytes) -> bytes:
    return _dumps(key).encode() + b":" + value


def _dumps(thing: object) -> str:
    try:
        return orjson.dumps(thing).decode()
    except TypeError:
        # Half a surrogate pair: rare, and no reason to lose the line.
        return json.dumps(thing, default=str)
