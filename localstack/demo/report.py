"""The demo's tables and checks: what each event led to and why, how each pair ends, and whether that is right.

Every table fits 80 columns, and no word is broken in two.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from rich.console import Console
from rich.table import Table
from rich.text import Text

from demo.messages import short
from demo.waits import OwnClock, ToldWaits

WIDTH = 80
_STYLES = {"applied": "green", "skipped": "dim", "refused": "yellow", "failed": "red", "dead letter": "magenta"}
_NOTHING = "nothing"
_CREATION, _COMMAND = "CREATE_WORK_ITEM", "UPDATE_COMMAND"

GATES: Mapping[str, str] = {
    "UNSUPPORTED_EVENT": "the worker does not handle this kind",
    "IS_SYNC": "the write was itself a sync",
    "NO_CONVERSATION": "the conversation is not stored",
    "NO_ACTIVE_WORK_ITEM": "there is no active work-item",
    "STALE_REV": "a newer revision is stored",
    "AWAITING_EARLIER_EVENT": "an earlier event is still on its way",
    "IN_SYNC": "the two records agree",
}
"""Why an event wrote nothing, by reason code."""

End = Mapping[str, str]
"""How a pair stands, by name of the field."""


class EventRow(Struct, frozen=True, kw_only=True):
    """One outside event and its audit record; None for a dead letter."""

    scene: str
    what: str
    audit: Mapping[str, Any] | None


class IncidentRow(Struct, frozen=True, kw_only=True):
    """One delivered event and its audit record, by policy."""

    what: str
    audits: Mapping[str, Mapping[str, Any] | None]


class EndCheck(Struct, frozen=True, kw_only=True):
    """A sentence about the end of the demo, and whether it is true."""

    what: str
    holds: bool


def end_of(conversation: Mapping[str, Any], work_item: Mapping[str, Any]) -> End:
    """How a pair stands, from its documents' data."""
    attributes = conversation["attributes"]
    return {
        "conversation": attributes["status"] + (", ended" if attributes["ended"] else ""),
        "assigned users": " ".join(attributes["assignedUsers"]) or "–",
        "conversation queue": _target(conversation, "queue"),
        "work-item": work_item["attributes"]["status"],
        "assigned to": _target(work_item, "assignedTo"),
        "work-item queue": _target(work_item, "queue"),
    }


def incident_table(rows: Sequence[IncidentRow]) -> Table:
    """What each worker made of each event, side by side."""
    table = _table("Two workers, by their SYNC_POLICY", {"event delivered": 17, "legacy": 30, "causal": 23})
    table.show_lines = True
    for row in rows:
        table.add_row(row.what, *(_made_of(row.audits[policy]) for policy in ("legacy", "causal")))
    return table


def events_table(scene: str, rows: Sequence[EventRow]) -> Table:
    """What the worker made of each event of one scene."""
    table = _table(scene, {"what happens outside": 22, "the worker writes": 20, "because": 28})
    for row in rows:
        style = _style(row.audit)
        table.add_row(row.what, Text(_written(row.audit), style=style), Text(_because(row.audit), style=style))
    return table


def ends_table(title: str, ends: Mapping[str, End]) -> Table:
    """How pairs stand in the end, a column each."""
    width = (WIDTH - 22 - 4 - 3 * len(ends)) // len(ends)
    table = _table(title, {"in the end": 18, **dict.fromkeys(ends, width)})
    for name in next(iter(ends.values())):
        table.add_row(name, *(short(end[name]) for end in ends.values()))
    return table


def waits_table(told: ToldWaits, clock: OwnClock) -> Table:
    """The latest wait of each queue."""
    table = _table(
        "Waiting times, as the API tells them",
        {"queue": 18, "latest wait": 12, "in seconds": 10, "by the demo's own clock": 24},
    )
    for wait in told.waits:
        least, most = clock.bounds_ms(wait.queue)
        table.add_row(wait.queue, f"{wait.milliseconds:,} ms", f"{wait.seconds} s", f"{least:,} to {most:,} ms")
    return table


def show_checks(console: Console, checks: Sequence[EndCheck]) -> None:
    """Print a line for each check."""
    for check in checks:
        line = f"[green]✓[/green] {check.what}" if check.holds else f"[red]✗ {check.what}[/red]"
        console.print(line, highlight=False)


def save_picture(console: Console, to: Path) -> None:
    """Save what the console has printed as an SVG that loads nothing from elsewhere."""
    picture = console.export_svg(title="make demo")
    to.write_text(re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL))


def _table(title: str, columns: Mapping[str, int]) -> Table:
    # The blank line sets the title off from the table or the text above.
    table = Table(title=f"\n{title}", title_justify="left", title_style="bold", show_lines=False)
    for name, width in columns.items():
        table.add_column(name, overflow="fold", width=width)
    return table


def _made_of(audit: Mapping[str, Any] | None) -> Text:
    return Text(f"writes {_written(audit)}\n{_because(audit)}", style=_style(audit))


def _style(audit: Mapping[str, Any] | None) -> str:
    return _STYLES["dead letter" if audit is None else audit["outcome"]]


def _written(audit: Mapping[str, Any] | None) -> str:
    if audit is None:
        return "a dead letter"
    sides = [("conversation", "updatedConversation"), ("work-item", "updatedWorkItem")]
    if any(reason["action"] == _CREATION for reason in audit["reasons"]):
        sides = [("new work-item", "updatedWorkItem"), ("conversation", "updatedConversation")]
    written = [
        f"{side}: " + ", ".join(f"{name} → {_value(value)}" for name, value in audit[key].items() if name != "rev")
        for side, key in sides
        if audit["outcome"] == "applied" and audit[key] is not None
    ]
    return "; ".join(written) or _NOTHING


def _because(audit: Mapping[str, Any] | None) -> str:
    if audit is None:
        return "it can never be handled"
    # How an update is executed is no reason for it.
    return ", ".join(_reason(reason) for reason in audit["reasons"] if reason["action"] != _COMMAND)


def _reason(reason: Mapping[str, Any]) -> str:
    code = reason["code"]
    rule = reason["meta"].get("rule")
    if rule is not None:
        return f"{rule} {code}"
    return f"{code}: {GATES[code]}" if code in GATES else str(code)


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        value = value.get("id")
    return str(value).lower() if isinstance(value, bool) else short(value)


def _target(data: Mapping[str, Any], name: str) -> str:
    target = ((data["relationships"].get(name) or {}).get("data") or {}).get("id")
    return target or "–"
