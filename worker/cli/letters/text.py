"""Dead letters as text for a person: ages, the table of a summary, the lines of a list."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from worker.letters.letter import Letter
from worker.letters.letter_summary import LetterGroup
from worker.letters.scan import LetterScan

GROUPS_SHOWN: Final = 40
_NONE: Final = "–"
_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def age_text(age: timedelta) -> str:
    """`3 d`, `2 h`, `15 min`, `9 s`: the largest unit of which there are two, rounded down."""
    seconds = max(0, int(age.total_seconds()))
    size, unit = next(((size, unit) for size, unit in _UNITS if seconds >= 2 * size), (1, "s"))
    return f"{seconds // size} {unit}"


def group_lines(groups: Sequence[LetterGroup], now: datetime) -> Iterator[str]:
    """A table: a line a group, the largest first."""
    rows = [("count", "code", "event", "oldest", "newest", "put back", "reason")]
    rows += [
        (
            str(group.count),
            group.code,
            group.name or _NONE,
            age_text(now - group.oldest),
            age_text(now - group.newest),
            "yes" if group.is_readable else "no",
            group.reason,
        )
        for group in groups[:GROUPS_SHOWN]
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    for row in rows:
        count, *others = (cell.ljust(width) for cell, width in zip(row, widths, strict=False))
        yield "  ".join([count.strip().rjust(widths[0]), *others, row[6]])
    if len(groups) > GROUPS_SHOWN:
        rest = groups[GROUPS_SHOWN:]
        yield f"… and {sum(group.count for group in rest)} letters in {len(rest)} smaller groups: --json has them"


def letter_text(letter: Letter, now: datetime) -> str:
    """One line of a list."""
    parts = [letter.name]
    if letter.conversation_id is not None:
        parts.append(f"conversation {letter.conversation_id}")
    if letter.document_id != letter.conversation_id:
        parts.append(f"work-item {letter.document_id}")
    if letter.rev is not None:
        parts.append(f"rev {letter.rev}")
    about = " ".join(filter(None, parts))
    put_back = "" if letter.fault is None else ", would fail again"
    return f"{letter.id}  {age_text(now - letter.sent_at)}  {letter.code}  {about or _NONE}: {letter.reason}{put_back}"


def scan_notes(scan: LetterScan) -> Iterator[str]:
    """What a person should know of what the scan could not see."""
    if scan.state.hidden:
        yield (
            f"{scan.state.hidden} letters are in flight: another reader has them, or this command was killed, at most "
            "ten minutes ago"
        )
    if scan.unseen:
        if scan.is_cut:
            why = f"the command ends after {scan.seen}"
        elif scan.state.fifo:
            why = "they lie behind others of their message group, or the approximate count was too high"
        else:
            why = "another reader was faster, or the approximate count was too high"
        yield f"about {scan.unseen} of {scan.state.visible} letters were not seen: {why}"
    if scan.came_meanwhile:
        yield f"{scan.came_meanwhile} letters came meanwhile: run it again for them"
