"""`routing-sync dead-letters`: what lies in the dead-letter queue, and why."""

import sys
from collections.abc import Callable
from contextlib import aclosing, nullcontext
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from commands.instant import format_instant
from handlers.events.envelope import Limits
from worker.cli.exit_status import EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED
from worker.cli.letters import options as which
from worker.cli.letters.capture_file import CaptureFile, CaptureFileFailed
from worker.cli.letters.opened_letters import OpenedLetters, opened_letters, run_interruptibly, told
from worker.cli.letters.text import age_text, group_lines, letter_text, scan_notes
from worker.cli.terminal import exit_with_error, json_option, print_error, print_json, progress, settings_or_exit
from worker.errors import AwsAway, SetupError
from worker.letters.letter import Letter, read_letters
from worker.letters.letter_filter import LetterFilter
from worker.letters.letter_summary import LetterSummary
from worker.letters.scan import LETTERS_MAX, LetterScan, ScanLimits
from worker.letters.shown_letter import letter_line, shown_letter
from worker.printable_text import printable_json
from worker.settings.verbs.letters import LetterSettings

LIST = Annotated[bool, typer.Option("--list", help="A line a letter, in place of the summary.")]
EXPORT = Annotated[
    Path | None,
    typer.Option(
        "--export", metavar="FILE", help="Write the letters whole to a new file, as a capture; `-` is standard output."
    ),
]
SHOW_CONTENT = Annotated[
    bool, typer.Option("--show-content", help="With --id: customers' words and fields that are not modelled, too.")
]
MAX = Annotated[
    int, typer.Option("--max", metavar="N", min=1, max=LETTERS_MAX, help="Look at so many letters at most.")
]
JSON = Annotated[bool, json_option("One JSON object a line: a group or, with --list, a letter each, then the summary.")]


def dead_letters(  # noqa: PLR0917 - typer passes options by name
    code: which.CODE = None,
    reason: which.REASON = "",
    name: which.NAME = None,
    conversation: which.CONVERSATION = None,
    letter_id: which.LETTER_ID = None,
    older_than: which.OLDER = None,
    newer_than: which.NEWER = None,
    as_list: LIST = False,
    export: EXPORT = None,
    show_content: SHOW_CONTENT = False,
    letters_max: MAX = LETTERS_MAX,
    spend_deliveries: which.SPEND = False,
    as_json: JSON = False,
) -> None:
    """Show what lies in the dead-letter queue: how many letters of which code, reason and event name, and how old.

    With --id a letter whole: what it is, and its event without wrappers; customers' words only with --show-content.
    `put back: yes` means that the worker can read the letter now. The letters stay: each is hidden during the look and
    given back at its end. Exit status 0; 1 if no letter has an id that --id names.
    """
    chosen = which.letter_filter(code, reason, name, conversation, letter_id, older_than, newer_than)
    is_whole = bool(chosen.ids) and not as_list and export is None
    if show_content and not is_whole:
        raise typer.BadParameter("--show-content works only with --id: add it, or remove --show-content")
    settings = settings_or_exit(LetterSettings, "dead-letters")
    look = _Look(
        chosen, print_letter=_printer(as_list=as_list, is_whole=is_whole, show_content=show_content, as_json=as_json)
    )

    async def work() -> None:
        limits = ScanLimits(letters_max=letters_max)
        async with opened_letters(settings, limits, verb="dead-letters", spend_deliveries=spend_deliveries) as letters:
            with CaptureFile(export) if export is not None else nullcontext() as capture:
                await look.run(letters, capture)

    try:
        interrupted = run_interruptibly(work)
    except (AwsAway, SetupError, CaptureFileFailed) as error:
        exit_with_error("dead-letters", told(error))
    if interrupted:
        raise typer.Exit(EXIT_INTERRUPTED)
    if not is_whole and str(export) != "-":
        look.print_summary(with_groups=not as_list, as_json=as_json)
    if export is not None:
        print_error(f"routing-sync dead-letters: {look.summary.count} letters in {export}, with customers' words")
    if chosen.ids and look.summary.count == 0:
        exit_with_error("dead-letters", f"no letter here has the id {', '.join(sorted(chosen.ids))}")
    raise typer.Exit(EXIT_DONE if look.is_complete else EXIT_FAILED)


_PrintLetter = Callable[[Letter, Limits, datetime], None]


def _printer(*, as_list: bool, is_whole: bool, show_content: bool, as_json: bool) -> _PrintLetter | None:
    """What is printed of each letter; None: nothing."""

    def print_whole(letter: Letter, limits: Limits, _: datetime) -> None:
        shown = shown_letter(letter, limits, with_content=show_content)
        sys.stdout.write(printable_json(shown, indented=not as_json) + "\n")

    def print_line(letter: Letter, _: Limits, now: datetime) -> None:
        if as_json:
            print_json(letter_line(letter))
        else:
            sys.stdout.write(letter_text(letter, now) + "\n")

    if is_whole:
        return print_whole
    return print_line if as_list else None


class _Look:
    """One look at the queue."""

    def __init__(self, chosen: LetterFilter, *, print_letter: _PrintLetter | None) -> None:
        self.summary = LetterSummary()
        self.is_complete = False
        self._is_cut = False
        self._chosen = chosen
        self._print_letter = print_letter
        self._scan: LetterScan | None = None
        self._now: datetime | None = None

    async def run(self, letters: OpenedLetters, capture: CaptureFile | None) -> None:
        """Look at every letter, or until the letters of all ids are found. Raises QueueAway, CaptureFileFailed."""
        scan = self._scan = letters.scan
        now = self._now = scan.state.read_at or letters.clock.now()
        wanted = set(self._chosen.ids)
        prints = self._print_letter is not None
        with progress("looking", results_on_stdout=prints, total=scan.state.visible) as advance:
            async with aclosing(scan.rounds()) as rounds:
                async for deliveries in rounds:
                    for letter in await read_letters(deliveries, letters.reader_limits):
                        if self._chosen.accepts(letter, now):
                            self._take(letter, letters.reader_limits, capture)
                            wanted.discard(letter.id)
                    advance(len(deliveries))
                    if prints:
                        sys.stdout.flush()
                    if self._chosen.ids and not wanted:
                        self._is_cut = True
                        break
        self.is_complete = True

    def _take(self, letter: Letter, limits: Limits, capture: CaptureFile | None) -> None:
        self.summary.add(letter)
        if self._print_letter is not None and self._now is not None:
            self._print_letter(letter, limits, self._now)
        if capture is not None:
            capture.add(letter)

    def print_summary(self, *, with_groups: bool, as_json: bool) -> None:
        """Print the groups and, as the last line or the first, the sum."""
        scan, now, summary = self._scan, self._now, self.summary
        if scan is None or now is None:
            return
        removed_at = None if summary.oldest is None else summary.oldest + timedelta(seconds=scan.state.retention_s)
        if as_json:
            if with_groups:
                for group in summary.groups():
                    print_json(group.as_wire())
            totals = {
                "queue": scan.state.name,
                "letters": summary.count,
                "readable": summary.readable,
                "lookedAt": scan.seen,
                "inFlight": scan.state.hidden,
                "unseen": scan.unseen,
                "cameMeanwhile": scan.came_meanwhile,
                "oldest": None if summary.oldest is None else format_instant(summary.oldest),
                "oldestRemovedAt": None if removed_at is None else format_instant(removed_at),
            }
            print_json({"summary": totals})
            return
        sys.stdout.write(_sum_text(scan, summary, removed_at, now) + "\n")
        if with_groups and summary.count:
            sys.stdout.writelines(["\n", *(f"{line}\n" for line in group_lines(summary.groups(), now))])
        # The notes on standard error follow what they are about.
        sys.stdout.flush()
        for note in () if self._is_cut else scan_notes(scan):
            print_error(f"routing-sync dead-letters: {note}")


def _sum_text(scan: LetterScan, summary: LetterSummary, removed_at: datetime | None, now: datetime) -> str:
    if summary.count == 0:
        others = f"; {scan.seen} others are there" if scan.seen else ""
        return (
            f"no dead letters of this kind in {scan.state.name}{others}"
            if others
            else f"no dead letters in {scan.state.name}"
        )
    others = f" of {scan.seen} looked at" if scan.seen > summary.count else ""
    removed = "" if removed_at is None else f"; SQS removes the oldest in {age_text(removed_at - now)}"
    return (
        f"{summary.count} dead letters in {scan.state.name}{others}: {summary.readable} can be put back, "
        f"{summary.count - summary.readable} would fail again{removed}"
    )
