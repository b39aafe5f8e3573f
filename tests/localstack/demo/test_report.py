"""The demo's tables fit 80 columns, break no word in two, and leave no cell empty."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

import sync.gates
from demo.incident import ENDS, deliveries
from demo.messages import described
from demo.report import GATES, WIDTH, EventRow, IncidentRow, ends_table, events_table, incident_table, waits_table
from demo.story import PAIRS, EventStep, UpdateStep, story
from demo.waits import OwnClock, StepSpan, ToldWait, ToldWaits
from tests.compiled_build.of_the_source import OF_THE_SOURCE

LOSING = {"action": "SYNC_CONVERSATION", "code": "WORK_ITEM_QUEUED_UNASSIGNED", "meta": {"rule": "A3"}}
LONGEST = {"action": "SYNC_WORK_ITEM", "code": "CONVERSATION_QUEUE_CHANGED", "meta": {"rule": "B8"}}
CREATION = {"action": "CREATE_WORK_ITEM", "code": "CONVERSATION_ROUTABLE", "meta": {"conversationRev": 1}}
RULE_HIT = {"action": "QUEUE_WORK_ITEM", "code": "QUEUE_RULES_HIT", "meta": {"conversationRev": 1}}
COMMAND = {"action": "UPDATE_COMMAND", "code": "WORK_ITEM_UPDATE_CMD", "meta": {}}


def audit(*reasons: Mapping[str, Any], **updated: Any) -> dict[str, Any]:
    outcome = "applied" if updated else "skipped"
    return {"outcome": outcome, "reasons": reasons, "updatedConversation": None, "updatedWorkItem": None, **updated}


def gate(code: str) -> dict[str, Any]:
    return {"action": "SKIP_SYNC", "code": code, "meta": {}}


def is_dead(step: EventStep | UpdateStep) -> bool:
    return isinstance(step, EventStep) and step.dead_letter


def own_clock() -> OwnClock:
    clock = OwnClock()
    steps = [step for step in story() if step.enters or (isinstance(step, UpdateStep) and step.leaves)]
    now = datetime.now(UTC)
    for seconds, step in enumerate(steps):
        clock.note(step, StepSpan(now + timedelta(seconds=seconds), now + timedelta(seconds=seconds, milliseconds=400)))
    return clock


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
        EventRow(scene="a day", what=step.what, audit=None if is_dead(step) else audit(gate("IN_SYNC")))
        for step in story()
    ),
    *(EventRow(scene="a day", what="skipped", audit=audit(gate(code))) for code in GATES),
    EventRow(scene="a day", what="moved", audit=audit(LONGEST, updatedWorkItem={"queue": {"id": "queue-support"}})),
    EventRow(scene="a day", what="lost", audit=audit(LOSING, LONGEST, updatedConversation={"assignedUsers": []})),
    EventRow(
        scene="a day",
        what="created",
        audit=audit(
            *(CREATION, RULE_HIT, COMMAND),
            updatedWorkItem={"status": "ivr", "queue": {"id": "queue-sales"}},
            updatedConversation={"queue": {"id": "queue-sales"}, "rev": 1},
        ),
    ),
]
TOLD = ToldWaits(
    waits=[
        ToldWait(queue=queue, seconds=12, milliseconds=12_345, work_item="w")
        for queue in ("queue-sales", "queue-support")
    ],
    last_of_all=12_345,
)
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
            GATE_WORDS
            | words_of(*(row.what for row in DAY), "B8 CONVERSATION_QUEUE_CHANGED queue-support")
            | words_of("A3 WORK_ITEM_QUEUED_UNASSIGNED, CONVERSATION_ROUTABLE, QUEUE_RULES_HIT"),
        ),
        (ends_table("the incident", ENDS), words_of("legacy causal assigned")),
        (
            ends_table("the day", {pair.scene: pair.expected for pair in PAIRS}),
            words_of(*(pair.scene for pair in PAIRS), "queue-support agent-ben"),
        ),
        (waits_table(TOLD, own_clock()), words_of("queue-support 12,345 ms 12 s 599 to 1,401 40,599 41,401")),
    ],
    ids=["incident", "day", "ends of the incident", "ends of the day", "waits"],
)
def test_a_table_fits_80_columns_and_breaks_no_word(table: Table, words: set[str]) -> None:
    console = Console(width=WIDTH, color_system=None)
    with console.capture() as captured:
        console.print(table)
    lines = captured.get().splitlines()
    assert max(map(len, lines)) <= WIDTH
    # What stands above is another table or a text.
    assert (lines[0].strip(), bool(lines[1].strip())) == ("", True)
    assert words <= words_of(captured.get())


def test_a_created_work_item_is_called_new_and_how_an_update_is_executed_is_no_reason() -> None:
    console = Console(width=200, color_system=None)
    with console.capture() as captured:
        console.print(events_table("a day", DAY[-1:]))
    text = " ".join(captured.get().replace("│", " ").split())
    assert "WORK_ITEM_UPDATE_CMD" not in text
    assert text.index("new work-item:") < text.index("conversation:")


def test_no_cell_of_an_event_is_empty() -> None:
    table = events_table("a day", DAY)
    assert all(str(cell) for column in table.columns for cell in column.cells)


@OF_THE_SOURCE
def test_every_gate_is_explained() -> None:
    for code in GATES:
        assert f"`{code}`" in (sync.gates.__doc__ or "")
    assert (sync.gates.__doc__ or "").count("\n| `") == len(GATES)
