"""`routing-sync decide [FILE]…`: questions in, one JSON object a line; decisions out, in the same order."""

import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final

import orjson
import typer

from handlers.dry_run.question import BadQuestion, answer
from handlers.events.envelope import DEFAULT_LIMITS
from handlers.events.event import Malformed
from handlers.events.json_text import parse_json
from worker.cli.exit_status import EXIT_DONE, EXIT_FAILED
from worker.cli.terminal import json_option, print_error

QUESTION_FILES = Annotated[
    list[Path] | None,
    typer.Argument(metavar="[FILE]…", help="Files with questions; standard input if none is named, or for `-`."),
]
JSON = Annotated[bool, json_option("Without effect: decisions are always JSON.")]

EXAMPLES: Final = (
    (
        '{"kind": "sync", "policy": "causal", "trigger": "conversation", '
        '"conversation": {"rev": 6, "status": "open", "assignedUsers": ["anna"]}, '
        '"workItem": {"rev": 2, "status": "queued"}, '
        '"state": {"changed": {"assignee": 6}, "known": {"assignee": 4}}}'
    ),
    '{"kind": "command", "workItem": {"status": "assigned", "assignedTo": "anna"}, "update": {"assignedTo": null}}',
)
"""A question of each kind."""
# After \b the help shows the lines as they are: a question must stay on one line.
HELP: Final = f"""Read questions, one a line, and print the decisions, one a line: for tests, dry runs and scripts.

A question is one JSON object on one line, about a pair (sync) or about an update (command):

\b
{EXAMPLES[0]}
\b
{EXAMPLES[1]}

`state` says which side knew which revision. Without it the pair is new, and every field follows the trigger's side.
Without `observed` in it (as in {{"conversation": [[1, 6]], "workItem": [[1, 3]]}}) all revisions count as observed.

A line that cannot be read is answered with {{"error": …}}. The rest is answered, and the exit status is 1. Input
without any question has exit status 1, too.
"""


def decide(files: QUESTION_FILES = None, as_json: JSON = False) -> None:  # noqa: ARG001 - decisions are always JSON
    """Answer the questions of the files. `HELP` describes them."""
    failed = False
    for source in files or [Path("-")]:
        standard_input = str(source) == "-"
        try:
            with sys.stdin.buffer if standard_input else source.open("rb") as lines:
                failures = _decide_all(lines, sys.stdout.buffer)
        except OSError as fault:
            print_error(f"routing-sync decide: cannot read {source}: {fault.strerror}")
            failed = True
            continue
        if not failures:
            named = "standard input" if standard_input else source
            print_error(f"routing-sync decide: {named} holds no question: give one JSON object a line")
        failed = failed or not failures or any(failures)
    raise typer.Exit(EXIT_FAILED if failed else EXIT_DONE)


def _decide_all(lines: Iterable[bytes], out: BinaryIO) -> set[bool]:
    """Answer every line. The result tells whether a question failed and whether one was answered; it is empty where
    there was no question."""
    failures: set[bool] = set()
    for answered in answers(lines):
        failures.add("error" in answered)
        out.write(orjson.dumps(answered) + b"\n")
        out.flush()
    return failures


def answers(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """The answer to every line that is not blank, in order."""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        parsed = parse_json(line, "the question", depth_max=DEFAULT_LIMITS.depth_max)
        if isinstance(parsed, Malformed):
            yield {"error": {"line": number, "message": parsed.reason}}
            continue
        try:
            yield answer(parsed.value, now=_now())
        except BadQuestion as fault:
            yield {"error": {"line": number, "message": str(fault)}}


def _now() -> datetime:
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)
