"""`routing-sync redrive`: puts dead letters back into the queue of events."""

import sys
from collections import Counter
from functools import partial
from typing import Annotated, Final

import typer

from worker.cli.exit_status import EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED
from worker.cli.letters import options as which
from worker.cli.letters.opened_letters import opened_letters, run_interruptibly, told
from worker.cli.letters.text import group_lines, scan_notes
from worker.cli.terminal import (
    Advance,
    exit_with_error,
    json_option,
    print_error,
    print_json,
    progress,
    settings_or_exit,
)
from worker.errors import AwsAway, SetupError
from worker.letters.letter import Letter
from worker.letters.letter_summary import LetterSummary
from worker.letters.redrive import LetterEnd, Redrive, RedriveRequest
from worker.letters.scan import LetterScan
from worker.settings.verbs.letters import LetterSettings

RATE: Final = 100.0

ALL = Annotated[bool, typer.Option("--all", help="Every letter.")]
DRY_RUN = Annotated[bool, typer.Option("--dry-run", help="Print what would be put back and what would stay.")]
UNREADABLE = Annotated[
    bool,
    typer.Option(
        "--also-unreadable", help="Put back what the reader refuses, too; a worker of this version refuses it again."
    ),
]
PER_S = Annotated[
    float, typer.Option("--rate", metavar="N", min=0.1, max=10_000, help="Letters per second, at most: 0.1 to 10000.")
]
OTHER_QUEUE = Annotated[
    bool,
    typer.Option(
        "--other-queue", help="Although the queue's redrive policy names another one than SQS_DEAD_LETTER_QUEUE_URL."
    ),
]
JSON = Annotated[bool, json_option("One JSON object a line: a letter each that was meant, then the summary.")]


def redrive(  # noqa: PLR0917 - typer passes options by name
    everything: ALL = False,
    code: which.CODE = None,
    reason: which.REASON = "",
    name: which.NAME = None,
    conversation: which.CONVERSATION = None,
    letter_id: which.LETTER_ID = None,
    older_than: which.OLDER = None,
    newer_than: which.NEWER = None,
    dry_run: DRY_RUN = False,
    also_unreadable: UNREADABLE = False,
    per_s: PER_S = RATE,
    spend_deliveries: which.SPEND = False,
    other_queue: OTHER_QUEUE = False,
    as_json: JSON = False,
) -> None:
    """Put dead letters back into the queue: those that the options mean, or --all.

    A letter that the reader refuses would come back at once, so it stays. Run it again after a stop: a letter that was
    put back is not there any more; the few that a kill left in both queues are handled once more, which changes
    nothing. Exit status 0 if no letter that was meant stays, 1 if one does, or if letters stay that could not be seen.
    """
    chosen = which.letter_filter(code, reason, name, conversation, letter_id, older_than, newer_than)
    if chosen.accepts_all and not everything:
        raise typer.BadParameter("say which letters: --code, --reason, --name, --older-than, --id and others, or --all")
    if everything and not chosen.accepts_all:
        raise typer.BadParameter("--all means every letter: remove it, or the other conditions")
    settings = settings_or_exit(LetterSettings, "redrive")
    request = RedriveRequest(chosen=chosen, also_unreadable=also_unreadable, dry_run=dry_run, per_s=per_s)
    report = _RedriveReport(as_json=as_json, dry_run=dry_run)

    try:
        interrupted = run_interruptibly(
            partial(_put_back, settings, request, report, spend_deliveries=spend_deliveries, of_any_queue=other_queue)
        )
    except (AwsAway, SetupError) as error:
        report.print_summary()
        exit_with_error("redrive", told(error))
    report.print_summary()
    if interrupted:
        raise typer.Exit(EXIT_INTERRUPTED)
    raise typer.Exit(EXIT_FAILED if report.is_left(chosen.ids) else EXIT_DONE)


async def _put_back(
    settings: LetterSettings,
    request: RedriveRequest,
    report: "_RedriveReport",
    *,
    spend_deliveries: bool,
    of_any_queue: bool,
) -> None:
    """Raises AwsAway and SetupError."""
    async with opened_letters(
        settings, request.scan_limits, verb="redrive", spend_deliveries=spend_deliveries, of_any_queue=of_any_queue
    ) as letters:
        scan = report.scan = letters.scan
        with progress("putting back", results_on_stdout=report.as_json, total=scan.state.visible) as advance:
            report.advance = advance
            await Redrive(
                request,
                queue=letters.queue,
                scan=scan,
                reader_limits=letters.reader_limits,
                observer=report,
                clock=letters.clock,
                pause=letters.pause,
            ).run(scan.state.read_at or letters.clock.now())


class _RedriveReport:
    """Prints what becomes of the letters. A `RedriveObserver`."""

    def __init__(self, *, as_json: bool, dry_run: bool) -> None:
        self.scan: LetterScan | None = None
        self.advance: Advance = lambda _=1: None
        self.as_json = as_json
        self._dry_run = dry_run
        self._counts: Counter[LetterEnd] = Counter()
        self._going = LetterSummary()
        self._staying = LetterSummary()

    def ended(self, letter: Letter, end: LetterEnd, detail: str | None) -> None:
        """Count the letter, and print its line where lines are wanted."""
        self._counts[end] += 1
        (self._going if end in {LetterEnd.PUT_BACK, LetterEnd.PLANNED} else self._staying).add(letter)
        if self.as_json:
            line = {
                "id": letter.id,
                "end": end.value,
                "detail": detail,
                "code": letter.code,
                "reason": letter.reason,
                "name": letter.name,
                "conversationId": letter.conversation_id,
                "rev": letter.rev,
            }
            print_json(line)
        elif end in {LetterEnd.REFUSED, LetterEnd.NOT_DELETED}:
            what = (
                "stays" if end is LetterEnd.REFUSED else "was put back and is still here, the next run sends it again"
            )
            print_error(f"routing-sync redrive: {letter.id} {what}: {detail}")

    def looked_at(self, count: int) -> None:
        """Show the progress, and the lines so far."""
        self.advance(count)
        if self.as_json:
            sys.stdout.flush()

    def is_left(self, ids: object) -> bool:
        """Whether a letter that was meant stays or may stay unseen, or none was found that an id names."""
        behind = self.scan is not None and not self._dry_run and min(self.scan.unseen, self.scan.left_visible) > 0
        return self._staying.count > 0 or behind or (bool(ids) and self._going.count == 0)

    def print_summary(self) -> None:
        """Print what was put back and what stays."""
        scan = self.scan
        if scan is None:
            return
        if self.as_json:
            ends = {end.value: self._counts[end] for end in LetterEnd}
            stay = [group.as_wire() for group in self._staying.groups()]
            looked = {
                "lookedAt": scan.seen,
                "inFlight": scan.state.hidden,
                "unseen": scan.unseen,
                "cameMeanwhile": scan.came_meanwhile,
            }
            print_json({"summary": {"dryRun": self._dry_run, **looked, "ends": ends, "staying": stay}})
            return
        now = scan.began_at
        done = "would be put back" if self._dry_run else "put back"
        others = scan.seen - self._going.count - self._staying.count
        meant = f", {others} are not meant" if others else ""
        sys.stdout.write(f"{self._going.count} {done}, {self._staying.count} stay{meant}\n")
        for title, summary in ((done, self._going if self._dry_run else LetterSummary()), ("stay", self._staying)):
            if summary.count:
                sys.stdout.writelines([f"\n{title}:\n", *(f"{line}\n" for line in group_lines(summary.groups(), now))])
        # The notes on standard error follow what they are about.
        sys.stdout.flush()
        if self._counts[LetterEnd.UNREADABLE]:
            print_error(
                f"routing-sync redrive: {self._counts[LetterEnd.UNREADABLE]} letters stay, because the reader refuses "
                "them: they would come back at once; --also-unreadable puts them back all the same"
            )
        for note in scan_notes(scan):
            print_error(f"routing-sync redrive: {note}")
