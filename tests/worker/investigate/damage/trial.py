"""One damaged document imported, and what came out compared with what went in.

exact        the event is the captured one
left out     it is not there, and a report names its lines
differs      it is another one, and its repair is reported: the assumption was wrong
violation    it is another one or not there, and nothing is reported
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from tests.worker.investigate.damage.documents import Document, PlacedEvent, event_in
from worker.investigate.capture_import.importer import Importer
from worker.investigate.capture_import.json_repair.repairs import Repair
from worker.investigate.capture_import.record_store import AddedRecord, RecordStore


class TrialVerdict(Struct, kw_only=True):
    """The verdicts on a document's events, with the violations and the differences in words."""

    counts: Counter[str]
    violations: list[str]
    differences: list[str]
    lost: set[object]
    reasons: list[str]
    different: set[object]


class _CollectedReports:
    """Collects the reports: the lines of repairs, and of what is left out."""

    def __init__(self) -> None:
        self.repaired_lines: list[int] = []
        self.left_out_lines: list[int] = []
        self.reasons: list[str] = []

    def repaired(self, file: str, line: int, repairs: Sequence[tuple[int, Repair]]) -> None:
        del file, line
        self.repaired_lines += [at for at, _ in repairs]

    def left_out(self, file: str, line: int, last_line: int, reason: str) -> None:
        del file
        assert reason
        self.reasons.append(f"{line}: {reason}")
        self.left_out_lines += range(line, last_line + 1)

    def doubtful(self, file: str, line: int, added: AddedRecord) -> None:
        del file, added
        self.repaired_lines.append(line)


def tried(document: Document, folder: Path) -> TrialVerdict:
    """Import the document, and judge each of its events."""
    path = folder / document.name
    path.write_text(document.text, newline="")
    reports = _CollectedReports()
    with RecordStore() as store:
        for _ in Importer(store, None, reports).add(path):
            pass
        texts = [text.decode("utf-8", "surrogatepass") for text in store.in_order()]
    return _judged(document, texts, reports)


def _judged(document: Document, texts: list[str], reports: _CollectedReports) -> TrialVerdict:
    verdict = TrialVerdict(
        counts=Counter(), violations=[], differences=[], lost=set(), different=set(), reasons=reports.reasons
    )
    values = [json.loads(text) for text in texts]
    found: dict[object, list[int]] = {}
    for index, value in enumerate(values):
        found.setdefault(event_in(value)["id"], []).append(index)
    copies: dict[str, list[PlacedEvent]] = {}
    for one in document.events:
        copies.setdefault(one.event["id"], []).append(one)
    for event_id, placed in copies.items():
        indexes = found.pop(event_id, [])
        shown = ", ".join(f"{'+'.join(one.damages) or 'whole'} at {one.first_line}" for one in placed)
        if not indexes:
            verdict.lost.add(event_id)
            is_reported = any(_covers(line, one) for line in reports.left_out_lines for one in placed)
            verdict.counts["left out" if is_reported else "violation"] += 1
            if not is_reported:
                verdict.violations.append(f"{event_id} is lost without a report: {shown}")
        for index in indexes:
            kind = _kind(texts[index], values[index], placed, reports)
            verdict.counts[kind] += 1
            if kind == "violation":
                verdict.violations.append(f"{event_id} is wrong without a report: {shown}")
            elif kind == "differs":
                verdict.different.add(event_id)
                verdict.differences.append(
                    f"{event_id} differs: {shown}: {next(_paths(placed[0].event, event_in(values[index])))}"
                )
    for unknown in found:
        verdict.counts["violation"] += 1
        verdict.violations.append(f"{unknown!r} was never in the document")
    return verdict


def _kind(text: str, value: object, placed: list[PlacedEvent], reports: _CollectedReports) -> str:
    event = event_in(value)
    is_repaired = any(_covers(line, one) for line in reports.repaired_lines for one in placed)
    if event != placed[0].event:
        return "differs" if is_repaired else "violation"
    is_told = is_repaired or any(_covers(line, one) for line in reports.left_out_lines for one in placed)
    if not is_told and all(value != one.value for one in placed):
        # The wrappers around the event lost something, and nothing is told.
        return "violation"
    return "exact"


def _covers(line: int, placed: PlacedEvent) -> bool:
    return placed.first_line <= line <= placed.last_line + 1


def _paths(before: object, after: object, path: str = "") -> Iterator[str]:
    """Where two values differ."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in sorted(before.keys() | after.keys()):
            if before.get(name) != after.get(name) or (name in before) is not (name in after):
                yield from _paths(before.get(name), after.get(name), f"{path}.{name}")
    else:
        yield f"{path}: {str(before)[:60]} became {str(after)[:60]}"
