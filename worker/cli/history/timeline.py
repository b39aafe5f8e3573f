"""`routing-sync timeline FILE…`: what happened to a pair, revision by revision, with findings."""

import json
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from worker.cli.exit_status import EXIT_DONE, EXIT_FAILED
from worker.cli.terminal import exit_with_error, json_option, print_error, progress
from worker.errors import InputNotKept

if TYPE_CHECKING:
    from worker.investigate.timeline.captured_pairs import CapturedPairs, FindingCounts
    from worker.investigate.timeline.timeline import Timeline, TimelineLimits

FILES = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILE…", help="Files of captured events and audit lines, in any order; `-` is standard input."
    ),
]
CONVERSATION = Annotated[str | None, typer.Option(metavar="ID", help="Show only the pair of this conversation.")]
ONLY = Annotated[bool, typer.Option("--only-findings", help="Leave out the pairs that have no finding.")]
OUT_OF_STEP = Annotated[
    float, typer.Option(min=0, metavar="SECONDS", help="A pair that agrees again sooner was not out of step.")
]
BOUNCE = Annotated[float, typer.Option(min=0, metavar="SECONDS", help="A field that comes back later has not bounced.")]
JSON = Annotated[bool, json_option("One JSON object a line: a timeline each, then the summary.")]
HTML = Annotated[
    Path | None,
    typer.Option(
        "--html",
        metavar="FILE",
        help="A page that needs nothing else: the pair drawn, and what policy causal would have done.",
    ),
]
MARKDOWN = Annotated[bool, typer.Option("--markdown", help="Markdown, for a ticket.")]
_VERB: Final = "routing-sync timeline"


def timeline(  # noqa: PLR0917 - typer passes options by name
    files: FILES,
    conversation: CONVERSATION = None,
    only_findings: ONLY = False,
    out_of_step: OUT_OF_STEP = 10,
    bounce: BOUNCE = 60,
    as_json: JSON = False,
    markdown: MARKDOWN = False,
    html: HTML = None,
) -> None:
    """Show what happened to a pair: each revision of both records, which sync answers which write, and findings.

    Calls no server. Findings come with their evidence; where the capture lacks what a finding would rest on, it says
    what is missing. What cannot be read is reported with file and line, and the exit status is 1.
    """
    chosen = [name for name, given in (("--json", as_json), ("--markdown", markdown), ("--html", html)) if given]
    if len(chosen) > 1:
        raise typer.BadParameter(f"{' and '.join(chosen)} are set: set only one")
    if html is not None:
        _check_html(html, files)
    from worker.investigate.timeline.captured_pairs import CapturedPairs  # noqa: PLC0415 - `--help` loads none of it
    from worker.investigate.timeline.timeline import TimelineLimits  # noqa: PLC0415

    pairs = CapturedPairs(conversation)
    with progress("reading", results_on_stdout=False) as advance:
        pairs.read(files, print_error=print_error, advance=advance)
    missing = _missing(pairs, conversation, files)
    if missing is not None:
        print_error(f"{_VERB}: {missing}")
        raise typer.Exit(EXIT_FAILED)
    limits = TimelineLimits(out_of_step_s=out_of_step, bounce_s=bounce)
    if html is not None:
        _write_html(html, files, pairs, limits, conversation, only_findings=only_findings)
    elif as_json:
        _print_json(pairs, limits, only_findings=only_findings)
    elif markdown:
        _print_markdown(pairs, limits, only_findings=only_findings)
    else:
        _print_text(pairs, limits, only_findings=only_findings)
    raise typer.Exit(EXIT_FAILED if pairs.faults else EXIT_DONE)


def _missing(pairs: "CapturedPairs", conversation: str | None, files: list[Path]) -> str | None:
    """Why there is nothing to show; None if there is."""
    if pairs.conversations:
        return None
    names = ", ".join("standard input" if str(file) == "-" else str(file) for file in files)
    if conversation is None:
        passed = f" ({pairs.passed_over:,} other events and log lines)" if pairs.passed_over else ""
        return f"no event or audit line of a conversation or work-item in {names}{passed}: name a file that holds some"
    owner = pairs.owner_of(conversation)
    if owner is not None:
        return f"{conversation} is a work-item in {names}: name its conversation, --conversation {owner}"
    return f"no event of conversation {conversation} in {names}: check the id, or add the files that hold its events"


def _shown(
    pairs: "CapturedPairs", limits: "TimelineLimits", counts: "FindingCounts", *, only_findings: bool
) -> Iterator["Timeline"]:
    with progress("pairs", results_on_stdout=True, total=len(pairs.conversations)) as advance:
        for each in pairs.timelines(limits):
            advance()
            counts.add(each)
            if each.findings or not only_findings:
                yield each


def _check_html(html: Path, files: list[Path]) -> None:
    if find_spec("jinja2") is None:
        exit_with_error("timeline", "the extra api is not installed: install routing-sync[api]")
    if html.is_dir():
        raise typer.BadParameter(f"{html} is a folder: name a file in it")
    if any(str(file) != "-" and file.exists() and html.exists() and html.samefile(file) for file in files):
        raise typer.BadParameter(f"{html} is an input, too: name another file for the page")


def _write_html(
    html: Path,
    files: list[Path],
    pairs: "CapturedPairs",
    limits: "TimelineLimits",
    conversation: str | None,
    *,
    only_findings: bool,
) -> None:
    from worker.cli.history.report import Drawn, write_report  # noqa: PLC0415
    from worker.investigate.timeline.captured_pairs import FindingCounts  # noqa: PLC0415

    counts, drawn = FindingCounts(), Drawn()
    for each in _shown(pairs, limits, counts, only_findings=only_findings):
        drawn.add(each)
    try:
        with progress("drawing", results_on_stdout=False) as advance:
            count = write_report(html, files, drawn, conversation=conversation, advance=advance)
    except OSError as error:
        exit_with_error("timeline", f"{html} cannot be written: {error.strerror}: name a file elsewhere")
    except InputNotKept as error:
        exit_with_error("timeline", error)
    sys.stdout.write(f"{html}: {count:,} of {counts.pairs:,} conversations drawn\n")


def _print_json(pairs: "CapturedPairs", limits: "TimelineLimits", *, only_findings: bool) -> None:
    from worker.investigate.timeline.captured_pairs import FindingCounts  # noqa: PLC0415
    from worker.investigate.timeline.wire import summary_wire, timeline_json  # noqa: PLC0415

    counts = FindingCounts()
    for each in _shown(pairs, limits, counts, only_findings=only_findings):
        sys.stdout.writelines(timeline_json(each))
        sys.stdout.write("\n")
    sys.stdout.write(json.dumps({"summary": summary_wire(pairs, counts)}, separators=(",", ":")) + "\n")


def _print_markdown(pairs: "CapturedPairs", limits: "TimelineLimits", *, only_findings: bool) -> None:
    from worker.investigate.timeline.captured_pairs import FindingCounts  # noqa: PLC0415
    from worker.investigate.timeline.markdown import markdown_lines  # noqa: PLC0415

    for each in _shown(pairs, limits, FindingCounts(), only_findings=only_findings):
        sys.stdout.writelines(f"{line}\n" for line in markdown_lines(each))
        sys.stdout.write("\n")


def _print_text(pairs: "CapturedPairs", limits: "TimelineLimits", *, only_findings: bool) -> None:
    from worker.cli.history.text import TimelineText  # noqa: PLC0415
    from worker.investigate.timeline.captured_pairs import FindingCounts  # noqa: PLC0415

    counts, text = FindingCounts(), TimelineText(sys.stdout)
    for each in _shown(pairs, limits, counts, only_findings=only_findings):
        text.timeline(each)
    if counts.pairs != 1:
        text.summary(counts)
