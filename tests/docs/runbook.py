"""The runbook's section *Ten questions*, read from the page: the commands that answer each question, as they stand."""

import re
from pathlib import Path
from typing import Final

RUNBOOK: Final = Path(__file__).parents[2] / "docs" / "runbook.md"
SECTION: Final = "Ten questions"
_COMMAND: Final = re.compile(r"`([^`]+)`")


def section(heading: str) -> str:
    """The text under a heading of the runbook, without the heading."""
    (text,) = (
        each.partition("\n")[2] for each in RUNBOOK.read_text().split("\n## ") if each.partition("\n")[0] == heading
    )
    return text


def questions() -> dict[str, tuple[str, ...]]:
    """Question → its commands, in the order of the table."""
    rows = [line for line in section(SECTION).splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[1:]]
    return {question: tuple(_COMMAND.findall(commands)) for question, commands, _ in cells}
