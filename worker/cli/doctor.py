"""`routing-sync doctor`: everything that a start needs, checked without starting."""

import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, assert_never

import typer

from worker.cli.exit_status import EXIT_DONE, EXIT_FAILED
from worker.cli.terminal import exit_with_error, json_option, progress
from worker.errors import Misconfigured
from worker.findings import Finding, Result, Severity, Sound, Untried
from worker.printable_text import printable, printable_json

if TYPE_CHECKING:
    from rich.table import Table

    from worker.doctor.examination import AreaReport


class CheckedVerb(StrEnum):
    """The verbs whose start is checked."""

    RUN = "run"
    SERVE = "serve"


FOR = Annotated[CheckedVerb, typer.Option("--for", help="Which process is to start here.")]
STRICT = Annotated[bool, typer.Option("--strict", help="Warnings end with exit status 1, too.")]
CHECK_SECONDS = Annotated[float, typer.Option(min=0.1, max=60, help="Time that one check may take.")]
JSON = Annotated[bool, json_option("One JSON object a line: a check each, then the summary.")]
_STYLES = {"fault": "bold red", "warning": "yellow", "untried": "dim", "ok": "green"}


def doctor(
    process: FOR = CheckedVerb.RUN, strict: STRICT = False, check_seconds: CHECK_SECONDS = 5, as_json: JSON = False
) -> None:
    """Check everything that a start needs, without starting: settings, rights, queue, subscriptions, topics, MongoDB,
    the Datadog agent and the clock. Nothing is written anywhere.

    Each finding has its remedy. Exit status 0 where there is no fault (with --strict: no warning either), else 1. What
    could not be tried is told, and changes no exit status. Takes the environment of the process that is to start.
    """
    began = time.monotonic()
    try:
        with progress("checks", results_on_stdout=False) as advance:
            reports = _examined(process, check_seconds, advance)
    except Misconfigured as error:
        exit_with_error("doctor", error)
    seconds = time.monotonic() - began
    if as_json:
        _print_json(reports, process, seconds)
    else:
        _print_text(reports, process, seconds)
    counts = _counts(reports)
    raise typer.Exit(EXIT_FAILED if counts["fault"] or (strict and counts["warning"]) else EXIT_DONE)


def _examined(process: CheckedVerb, check_s: float, advance: Callable[[], None]) -> "Sequence[AreaReport]":
    # Here, so that `--help` loads none of the adapters.
    from worker.doctor.examination import examine  # noqa: PLC0415
    from worker.runtime.clock import SystemClock  # noqa: PLC0415
    from worker.runtime.lookup_threads import lookup_threads, run_with_few_threads  # noqa: PLC0415
    from worker.settings.settings import Settings  # noqa: PLC0415
    from worker.settings.verbs.serve import ServeSettings  # noqa: PLC0415

    kind = ServeSettings if process is CheckedVerb.SERVE else Settings

    async def examined() -> "Sequence[AreaReport]":
        # A name server that never answers must not hold the end of the process up.
        with lookup_threads(asyncio.get_running_loop()):
            return await examine(kind, SystemClock(), check_s=check_s, noted=lambda _: advance())

    return run_with_few_threads(examined())


def _counts(reports: "Sequence[AreaReport]") -> dict[str, int]:
    """How many checks came to what."""
    ends = [_end(result) for report in reports for result in report.results]
    return {end: ends.count(end) for end in ("fault", "warning", "untried", "ok")}


def _end(result: Result) -> str:
    match result:
        case Finding():
            return result.code.severity.value
        case Sound():
            return "ok"
        case Untried():
            return "untried"
        case _:
            assert_never(result)


def _parts(result: Result) -> dict[str, Any]:
    """A result as the JSON line has it."""
    match result:
        case Finding():
            return {
                "code": result.code.value,
                "subject": result.subject,
                "found": result.found,
                "remedy": result.remedy,
            }
        case Sound():
            return {"code": None, "subject": result.subject, "found": result.found, "remedy": None}
        case Untried():
            return {"code": None, "subject": result.subject, "found": result.reason, "remedy": None}
        case _:
            assert_never(result)


def _printable_parts(result: Result) -> dict[str, Any]:
    """The same for a terminal. Names of others stand in it: of documents, statements and filters' keys."""
    return {name: part and printable(part) for name, part in _parts(result).items()}


def _print_json(reports: "Sequence[AreaReport]", process: CheckedVerb, seconds: float) -> None:
    from worker.telemetry.build import BUILD  # noqa: PLC0415

    lines: list[dict[str, Any]] = [
        {"result": _end(result), "area": report.area, **_parts(result)}
        for report in reports
        for result in report.results
    ]
    lines.append({"summary": {"for": process.value, **_counts(reports), "seconds": round(seconds, 1), "build": BUILD}})
    sys.stdout.writelines(printable_json(line) + "\n" for line in lines)


def _print_text(reports: "Sequence[AreaReport]", process: CheckedVerb, seconds: float) -> None:
    counts = _counts(reports)
    total = sum(counts.values())
    conclusion = (
        f"{total} checks for {process.value} in {seconds:.1f} s: {counts['fault']} faults, "
        f"{counts['warning']} warnings, {counts['untried']} not tried"
    )
    if sys.stdout.isatty():
        _print_table(reports, conclusion)
        return
    for report in reports:
        for result in report.results:
            parts = _printable_parts(result)
            code = f" {parts['code']}" if parts["code"] else ""
            remedy = f" → {parts['remedy']}" if parts["remedy"] else ""
            sys.stdout.write(f"{_end(result)}{code} [{report.area}] {parts['subject']}: {parts['found']}{remedy}\n")
    sys.stdout.write(f"{conclusion}\n")


def _print_table(reports: "Sequence[AreaReport]", conclusion: str) -> None:
    from rich.console import Console  # noqa: PLC0415 - only for a terminal
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, show_header=False, expand=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(ratio=2, overflow="fold")
    table.add_column(ratio=3, overflow="fold")
    for report in reports:
        for result in report.results:
            _add_row(table, report.area, result)
    console = Console()
    console.print(table)
    faults = any(_end(result) == Severity.FAULT for report in reports for result in report.results)
    console.print(conclusion, style=_STYLES["fault" if faults else "ok"], markup=False)


def _add_row(table: "Table", area: str, result: Result) -> None:
    from rich.text import Text  # noqa: PLC0415 - only for a terminal

    parts, end = _printable_parts(result), _end(result)
    found = Text(parts["found"])
    if parts["remedy"]:
        found = Text(f"{parts['found']}\n").append(f"→ {parts['remedy']}", style="bold")
    if parts["code"]:
        found.append(f"  {parts['code']}", style="dim")
    table.add_row(Text(end, style=_STYLES[end]), Text(area, style="dim"), Text(parts["subject"]), found)
