"""What the demo shows in the end: what each event led to and why, how each pair stands, and whether that is right."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from demo_story import Pair, short

_STYLES = {"applied": "green", "skipped": "dim", "refused": "yellow", "failed": "red", "dead letter": "magenta"}


_WIDE = 110
"""Columns from which on an outcome and its reason fit into a line each, beside two sentences."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One outside event, and the audit record of it; None: it became a dead letter."""

    scene: str
    what: str
    audit: Mapping[str, Any] | None


class Report:
    """Gathers what is to be seen, and what must hold."""

    def __init__(self, *, rows: Sequence[Row], audits: Sequence[Mapping[str, Any]], exit_status: int) -> None:
        self.rows = rows
        self.ends: list[tuple[Pair, dict[str, str]]] = []
        self.checks: list[tuple[str, bool]] = []
        written = sum(_writes(record) for record in audits)
        echoes = [record for record in audits if record["reasons"][0]["code"] == "IS_SYNC"]
        self._check(
            f"{written} writes of ours came back as events, once each, and caused nothing",
            len({record["event"]["id"] for record in echoes}) == len(echoes) == written,
        )
        self._check("the worker stopped on SIGTERM with status 0", exit_status == 0)

    def look_at(self, pair: Pair, conversation: Mapping[str, Any], item: Mapping[str, Any]) -> None:
        """Take a pair's end state, and check it."""
        attributes = conversation["attributes"]
        status = attributes["status"] + (", ended" if attributes["ended"] else "")
        end = {
            "conversation": status,
            "assigned users": " ".join(attributes["assignedUsers"]) or "–",
            "conversation queue": _target(conversation, "queue"),
            "work-item": item["attributes"]["status"],
            "assigned to": _target(item, "assignedTo"),
            "work-item queue": _target(item, "queue"),
        }
        self.ends.append((pair, end))
        self._check(f"{pair.scene}: both records end as they must", end == dict(pair.expected))

    def look_at_rest(
        self,
        *,
        letters: Sequence[Mapping[str, Any]],
        waiting: int,
        outbox: int,
        sessions: Sequence[Mapping[str, Any]],
    ) -> None:
        """Take what must be empty, and what must be in the dead-letter queue."""
        codes = [letter.get("error_code") for letter in letters]
        reason = letters[0].get("error_reason", "") if letters else ""
        self._check(
            f"one dead letter, with its reason: {' '.join(map(str, codes))}, {reason}", codes == ["BAD_REVISION"]
        )
        self._check("no message left in the queue, no event left in the outbox", waiting == 0 and outbox == 0)
        held = [each for session in sessions for each in (*session["workItems"], *session["pausedWorkItems"])]
        self._check("no agent's session holds a work-item that is completed", not held)

    @property
    def holds(self) -> bool:
        """True if every check does."""
        return all(held for _, held in self.checks)

    def show(self, console: Console) -> None:
        """Print it for a person."""
        events = Table(title="What each event led to", title_justify="left", show_lines=False, expand=True)
        events.add_column("what happened outside", overflow="fold", ratio=5)
        if console.width < _WIDE:
            # Each has its longest word; what happened outside gets the rest.
            for name, width in (("the worker", 8), ("wrote", 13), ("why", 26)):
                events.add_column(name, overflow="fold", width=width)
        else:
            events.add_column("the worker", no_wrap=True)
            events.add_column("wrote", ratio=3)
            events.add_column("why", no_wrap=True)
        scene = ""
        for row in self.rows:
            if row.scene != scene:
                scene = row.scene
                events.add_section()
                events.add_row(f"[bold]{scene}[/bold]")
            outcome = _outcome(row.audit)
            style = _STYLES[outcome.split(",")[0]]
            told = (outcome, _wrote(row.audit), _why(row.audit))
            events.add_row(f"  {row.what}", *(f"[{style}]{each}[/{style}]" for each in told))
        console.print(events)
        ends = Table(title="How each pair stands in the end", title_justify="left", expand=True)
        ends.add_column("")
        for pair, _ in self.ends:
            ends.add_column(pair.scene, overflow="fold")
        for name in self.ends[0][1]:
            ends.add_row(name, *(end[name] for _, end in self.ends))
        console.print(ends)
        for what, held in self.checks:
            console.print(f"[green]✓[/green] {what}" if held else f"[red]✗ {what}[/red]", highlight=False)

    def as_json(self) -> dict[str, Any]:
        """The same for a script."""
        return {
            "events": [{"scene": row.scene, "what": row.what, "audit": row.audit} for row in self.rows],
            "pairs": [{"scene": pair.scene, "end": end, "expected": pair.expected} for pair, end in self.ends],
            "checks": [{"what": what, "holds": held} for what, held in self.checks],
        }

    def _check(self, what: str, held: bool) -> None:
        self.checks.append((what, held))


def keep_picture(console: Console, to: Path) -> None:
    """What the console has printed, as a picture that fetches nothing when it is looked at."""
    picture = console.export_svg(title="make demo")
    to.write_text(re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL))


def _writes(record: Mapping[str, Any]) -> int:
    if record["outcome"] != "applied":
        return 0
    return (record["updatedConversation"] is not None) + (record["updatedWorkItem"] is not None)


def _outcome(audit: Mapping[str, Any] | None) -> str:
    if audit is None:
        return "dead letter"
    return f"{audit['outcome']}, {audit['direction']}" if audit["direction"] else str(audit["outcome"])


def _wrote(audit: Mapping[str, Any] | None) -> str:
    written = []
    for side, key in (("conversation", "updatedConversation"), ("work-item", "updatedWorkItem")):
        if audit is not None and audit["outcome"] == "applied" and audit[key] is not None:
            fields = ", ".join(f"{name} → {_value(value)}" for name, value in audit[key].items() if name != "rev")
            written.append(f"{side} {fields}")
    return "; ".join(written)


def _why(audit: Mapping[str, Any] | None) -> str:
    if audit is None:
        return "it can never be handled"
    return ", ".join(f"{reason['meta'].get('rule', '')} {reason['code']}".strip() for reason in audit["reasons"])


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        value = value.get("id")
    return str(value).lower() if isinstance(value, bool) else short(value)


def _target(data: Mapping[str, Any], name: str) -> str:
    target = ((data["relationships"].get(name) or {}).get("data") or {}).get("id")
    return target or "–"
