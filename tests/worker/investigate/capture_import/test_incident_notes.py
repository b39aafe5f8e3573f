"""Both incidents in the notes that engineers make of them: every event and audit line comes back as it was captured.

All brackets of lists are gone in most of them, as some log viewers leave JSON.
"""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from tests.handlers.wire_events import LOST_ASSIGNMENT, UNASSIGN_WITHOUT_QUEUE, Json
from tests.worker.investigate.capture_import.imports import ImportRunner, importing
from tests.worker.replay.replays import incident

__all__ = ["importing"]


def without_brackets(value: Json, indent: int | str | None = 2) -> str:
    return re.sub(r"[\[\]]", "", json.dumps(value, indent=indent))


def curly(text: str) -> str:
    return re.sub(r'(^|[\s\[{(:,])"', r"\1“", text).replace('"', "”")


def indented(text: str, by: str) -> str:
    return text.replace("\n", f"\n{by}")


def wrapped(text: str, width: int) -> str:
    return "\n".join(re.findall(f".{{1,{width}}}", text))


def with_breaks(text: str) -> str:
    return re.sub(r'("(?:id|self|updatedAt)": "[^"]{8})', r"\1\n", text)


def delivered(value: Json) -> str:
    inner = json.dumps(value.get("body", value))
    return json.dumps({"Type": "Notification", "MessageId": "m-1", "Message": re.sub(r"[\[\]]", "", inner)})


def joined(write: Callable[[Json], str], between: str = "\n\n") -> Callable[[Sequence[Json]], str]:
    return lambda records: between.join(write(record) for record in records)


def _under_headings(record: Json) -> str:
    return f"## {record['time']}\n\n{without_brackets(record)}\n\n- a point\n- another: `x`"


def _between_prose(record: Json) -> str:
    return f'at {record["time"]} it wrote:\n{without_brackets(record)}\n-> "assignedUsers" is gone? {{see above}}'


NOTES: Final[dict[str, Callable[[Sequence[Json]], str]]] = {
    "pretty": joined(without_brackets, "\n\nthen\n\n"),
    "compact": joined(lambda one: without_brackets(one, None), "\nthen\n"),
    "by tabs": joined(lambda one: without_brackets(one, "\t")),
    "without indentation": joined(lambda one: re.sub(r"(?m)^ +", "", without_brackets(one))),
    "without empty lines": joined(lambda one: re.sub(r"\n\s*\n", "\n", without_brackets(one)), "\n"),
    "blanks for brackets": joined(lambda one: re.sub(r"[\[\]]", " ", json.dumps(one, indent=2))),
    "no last brace": joined(lambda one: without_brackets(one)[:-1].rstrip(), "\n\nthen\n\n"),
    "trailing commas": joined(lambda one: re.sub(r'(["\d\]}el])\n(\s*[}\]])', r"\1,\n\2", json.dumps(one, indent=2))),
    "typographic quotes": joined(lambda one: curly(without_brackets(one)), "\n\nthen\n\n"),
    "no-break blanks": joined(lambda one: json.dumps(one, indent=2).replace("  ", "\u00a0 ")),
    "wrapped": joined(lambda one: wrapped(without_brackets(one, None), 80)),
    "broken texts": joined(lambda one: with_breaks(without_brackets(one))),
    "quoted": lambda records: re.sub("(?m)^", "> ", "\n".join(json.dumps(one, indent=2) for one in records)),
    "wiki": joined(lambda one: f"*{one['time']}* then:\n{{code:language=json}}\n{without_brackets(one, 4)}\n{{code}}"),
    "headings": joined(_under_headings),
    "prose around": joined(_between_prose, "\n"),
    "list with blocks": joined(lambda one: indented(f"1. then\n```json\n{without_brackets(one)}\n```", "   ")),
    "indented list": joined(lambda one: indented(f"1. then\n\n{without_brackets(one)}", "       ")),
    "table": lambda records: "| at | what |\n|---|---|\n" + "\n".join(
        f"| {one['time']} | {json.dumps(one)} |" for one in records
    ),
    "notifications": joined(delivered, "\n"),
    "docker": joined(lambda one: json.dumps({"log": f"{without_brackets(one, None)}\n", "stream": "stdout"}), "\n"),
    "twice": lambda records: "\n".join(map(json.dumps, records)) + "\n\n" + "\n\n".join(map(without_brackets, records)),
}  # fmt: skip


def _meaning(record: Json) -> Any:
    """An audit line as it is, and of an event what its producer wrote."""
    message = json.loads(record["Message"]) if "Message" in record else record
    body = message.get("body", message)
    return json.dumps(body.get("body", body), sort_keys=True)


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["note.md", "note.txt"])
@pytest.mark.parametrize("form", NOTES)
@pytest.mark.parametrize("which", [UNASSIGN_WITHOUT_QUEUE, LOST_ASSIGNMENT])
def test_a_note_gives_every_event_and_audit_line_as_captured(
    importing: ImportRunner, which: str, form: str, name: str
) -> None:
    events = Path(incident(which))
    lines = events.read_text().splitlines()
    audit = events.with_name("recorded-audit.ndjson")
    lines += audit.read_text().splitlines() if audit.exists() else []
    records = [json.loads(line) for line in lines]
    imported = importing.text(NOTES[form](records), name=name)
    assert imported.told("leftOut") == []
    assert sorted(map(_meaning, imported.events)) == sorted(map(_meaning, records))
    assert imported.status == 0
