"""The beginning of each record is in something that was read or told, wherever in the input it stands."""

import json
from collections.abc import Iterator
from random import Random
from typing import Final

import pytest

from sync.audit import AUDIT_MESSAGE
from tests.handlers.wire_events import Json, conversation, event, log_line, published
from tests.worker.investigate.capture_import.imports import ImportRunner, importing, one_line
from tests.worker.investigate.damage.damages import type_quotes
from tests.worker.investigate.damage.documents import document
from worker.investigate.capture_import.heads import BEGINNING
from worker.investigate.capture_import.log_lines import LogLine
from worker.investigate.capture_import.safety_net import WatchedScanner
from worker.investigate.capture_import.value_scanner import Found, FoundText, Fragment, PassedOver, ValueScanner

__all__ = ["importing"]

ONE: Final = one_line({**event(conversation(2)), "id": "event-1"})
TWO: Final = one_line({**event(conversation(3)), "id": "event-2"})
AUDIT: Final = one_line({"name": "routing-worker", "hostname": "h", "pid": 1, "msg": AUDIT_MESSAGE})


@pytest.mark.parametrize(
    "note",
    [
        f"```{ONE}\n{TWO}\n```\n",
        f"```\n{ONE}\n```\n```json\n{TWO}\n```\n",
        f"~~~ {ONE}\n{TWO}\n~~~\n",
        f"```{json.dumps(json.loads(ONE), indent=1)}```\n\nthen\n```{json.dumps(json.loads(TWO), indent=1)}```\n",
    ],
    ids=["on the fence's line", "below it", "tildes", "indented"],
)
def test_what_a_chat_writes_directly_behind_a_fence_is_read(importing: ImportRunner, note: str) -> None:
    imported = importing.text(note, name="note.md")
    assert sorted(each["id"] for each in imported.events) == ["event-1", "event-2"]
    assert (imported.status, imported.told("leftOut")) == (0, [])


def test_a_cell_beyond_the_columns_of_a_table_is_told(importing: ImportRunner) -> None:
    imported = importing.text(f"| at | event |\n|---|---|\n| 1 | {ONE} |\n| 2 | so | {TWO} |\n", name="note.md")
    assert imported.lines == [ONE.encode()]
    assert [(each["line"], each["reason"]) for each in imported.told("leftOut")] == [
        (4, "an event or audit line begins in a part of the note that shows no text")
    ]


def test_two_texts_under_one_name_of_a_wrapper_are_both_read(importing: ImportRunner) -> None:
    imported = importing.text(f'{{"message":{json.dumps(ONE)},"message":{json.dumps(TWO)}}}\n')
    assert sorted(imported.lines) == [ONE.encode(), TWO.encode()]


def test_an_event_without_its_data_is_no_other_object(importing: ImportRunner) -> None:
    without = {name: value for name, value in json.loads(ONE).items() if name != "data"}
    for value in (without, published(without), log_line(published(without))):
        imported = importing.text(f"{one_line(value)}\n{TWO}\n")
        assert [each["reason"].partition(":")[0] for each in imported.told("leftOut")] == ["NOT_AN_EVENT"]
        assert (imported.lines, imported.counts["others"]) == ([TWO.encode()], 0)


def _with_custom(inner: str) -> str:
    made = json.loads(ONE)
    made["data"]["attributes"]["custom"] = {"here": True}
    return one_line(made).replace('{"here":true}', inner)


def _cut_before_its_body(value: Json) -> str:
    text = one_line(value)
    return text[: text.index('"body":') + len('"body":')]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (_with_custom(TWO), TWO),
        (_with_custom(TWO)[:-1], TWO),
        (_with_custom(one_line(published(json.loads(TWO)))), one_line(published(json.loads(TWO)))),
        (_with_custom(AUDIT), AUDIT),
        (f'{{"id":"message","name":"other","body":{ONE},"body":{TWO}}}', TWO),
        (_cut_before_its_body(log_line(published(json.loads(ONE)))) + one_line(log_line(published(json.loads(TWO)))),
         one_line(log_line(published(json.loads(TWO))))),
        (_cut_before_its_body(published(json.loads(ONE))) + one_line(published(json.loads(TWO))),
         one_line(published(json.loads(TWO)))),
    ],
    ids=["event", "in a damaged event", "message", "audit line", "name twice", "log lines", "messages"],
)  # fmt: skip
def test_a_record_in_another_one_is_told_and_found(importing: ImportRunner, text: str, found: str) -> None:
    imported = importing.text(f"{text}\n")
    assert imported.lines == [found.encode()]
    assert imported.told("leftOut") != []


def _typed(text: str) -> str:
    return type_quotes(Random(1), text)


@pytest.mark.parametrize("cut", [40, 56, 200])
def test_a_record_that_a_cut_text_in_other_quotes_runs_into_is_found(importing: ImportRunner, cut: int) -> None:
    three = one_line({**event(conversation(4)), "id": "event-3"})
    for text in (_typed(ONE)[:cut] + TWO + _typed(three), ONE[:cut] + _typed(TWO) + three):
        imported = importing.text(f"{text}\n")
        assert sorted(each["id"] for each in imported.events) == ["event-2", "event-3"]
        assert imported.told("leftOut") != []


def test_an_audit_line_names_its_event(importing: ImportRunner) -> None:
    line = one_line({**json.loads(AUDIT), "event": {"id": "event-1", "name": "kustomer.conversation.update"}})
    imported = importing.text(f"{line}\n")
    assert (imported.lines, imported.told("leftOut")) == ([line.encode()], [])


class _DeafScanner(ValueScanner):
    """Keeps every second text that it finds to itself."""

    def __init__(self) -> None:
        super().__init__()
        self.dropped: list[FoundText] = []
        self._count = 0

    def feed(self, line: LogLine) -> Iterator[Found]:
        yield from self._half(super().feed(line))

    def end_part(self) -> Iterator[Found]:
        yield from self._half(super().end_part())

    def _half(self, found: Iterator[Found]) -> Iterator[Found]:
        for one in found:
            self._count += isinstance(one, FoundText)
            if isinstance(one, FoundText) and self._count % 2:
                self.dropped.append(one)
            else:
                yield one


def test_each_beginning_that_a_scanner_keeps_to_itself_is_told_with_its_line() -> None:
    told = 0
    for number in range(60):
        deaf = _DeafScanner()
        watched = WatchedScanner(deaf)
        lines = [LogLine(at, f"{text}\n") for at, text in enumerate(document(Random(number)).text.split("\n"), start=1)]
        found = [one for line in lines for one in watched.feed(line)] + list(watched.end_part())
        passed_over = [one.line for one in found if isinstance(one, PassedOver)]
        kept = [
            one.line + one.text.count("\n", 0, begin.start())
            for one in deaf.dropped
            for begin in BEGINNING.finditer(one.text)
        ]
        assert sorted(passed_over) == sorted(kept)
        told += len(passed_over)
    assert told > 200


def test_a_scanner_that_hears_well_passes_over_none() -> None:
    for number in range(60):
        watched = WatchedScanner()
        lines = [LogLine(at, f"{text}\n") for at, text in enumerate(document(Random(number)).text.split("\n"), start=1)]
        found = [one for line in lines for one in watched.feed(line)] + list(watched.end_part())
        assert [one for one in found if isinstance(one, PassedOver)] == []


def test_fragments_that_follow_each_other_are_told_from_the_first_line_to_the_last() -> None:
    scanner = ValueScanner()
    half = ONE[40:]
    texts = (half, half, "and so on", half, ONE, half)
    found = [one for at, text in enumerate(texts, start=1) for one in scanner.feed(LogLine(at, f"{text}\n"))]
    found += scanner.end_part()
    assert [(one.line, one.last_line) for one in found if isinstance(one, Fragment)] == [(1, 4), (6, 6)]
