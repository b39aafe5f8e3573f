"""The demo's tables fit 80 columns, break no word in two, and leave no cell empty."""

from collections.abc import Mapping
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

import sync.gates
from demo.incident import ENDS, deliveries
from demo.messages import described
from demo.report import GATES, WIDTH, EventRow, IncidentRow, ends_table, events_table, incident_table
from demo.story import PAIRS, story

LOSING = {"action": "SYNC_CONVERSATION", "code": "WORK_ITEM_QUEUED_UNASSIGNED", "meta": {"rule": "A3"}}
LONGEST = {"action": "SYNC_WORK_ITEM", "code": "CONVERSATION_QUEUE_CHANGED", "meta": {"rule": "B8"}}


def audit(reason: Mapping[str, Any], **updated: Any) -> dict[str, Any]:
    outcome = "applied" if updated else "skipped"
    return {"outcome": outcome, "reasons": [reason], "updatedConversation": None, "updatedWorkItem": None, **updated}


def gate(code: str) -> dict[str, Any]:
    return {"action": "SKIP_SYNC", "code": code, "meta": {}}


def words_of(*texts: str) -> set[str]:
    return {word for text in texts for word in text.split()}


INCIDENT = [
    IncidentRow(
        what=described(message),
        audits={
            "legacy": audit(LOSING, updatedConversation={"assignedUsers": [], "rev": 6}),
            "causal": audit(gate(code)),
        },
    )
    for message in deliveries()
    for code in GATES
]
DAY = [
    *(
        EventRow(scene="a day", what=step.what, audit=None if step.dead_letter else audit(gate("IN_SYNC")))
        for step in story()
    ),
    *(EventRow(scene="a day", what="skipped", audit=audit(gate(code))) for code in GATES),
    EventRow(scene="a day", what="moved", audit=audit(LONGEST, updatedWorkItem={"queue": {"id": "queue-support"}})),
]
GATE_WORDS = words_of(*GATES.values(), *(f"{code}:" for code in GATES))


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (
            incident_table(INCIDENT),
            GATE_WORDS | words_of(*(row.what for row in INCIDENT), "A3 WORK_ITEM_QUEUED_UNASSIGNED assignedUsers"),
        ),
        (
            events_table("a day", DAY),
            GATE_WORDS | words_of(*(row.what for row in DAY), "B8 CONVERSATION_QUEUE_CHANGED queue-support"),
        ),
        (ends_table("the incident", ENDS), words_of("legacy causal assigned")),
        (
            ends_table("the day", {pair.scene: pair.expected for pair in PAIRS}),
            words_of(*(pair.scene for pair in PAIRS), "queue-support agent-ben"),
        ),
    ],
    ids=["incident", "day", "ends of the incident", "ends of the day"],
)
def test_a_table_fits_80_columns_and_breaks_no_word(table: Table, words: set[str]) -> None:
    console = Console(width=WIDTH, color_system=None)
    with console.capture() as captured:
        console.print(table)
    lines = captured.get().splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert words <= words_of(captured.get())


def test_no_cell_of_an_event_is_empty() -> None:
    table = events_table("a day", DAY)
    assert all(str(cell) for column in table.columns for cell in column.cells)


def test_every_gate_is_explained() -> None:
    for code in GATES:
        assert f"`{code}`" in (sync.gates.__doc__ or "")
    assert (sync.gates.__doc__ or "").count("\n| `") == len(GATES)
