"""`routing-sync sweep`: finds pairs that drifted apart, and repairs them."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final

import orjson
import typer

from commands.reason import ReasonCode
from handlers.drift import Drift, FieldDrift, LeftPair, SweptPair, is_settled
from handlers.ports import StoreAway
from worker.cli.drift.not_judged import NotJudged
from worker.cli.drift.stored_sweep import SweepInterrupted, SweepPlan, SweepRequest, run_sweep
from worker.cli.exit_status import EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED
from worker.cli.terminal import exit_with_error, json_option, print_error, progress, settings_or_exit
from worker.errors import SetupError, first_line
from worker.ports.sweeps import SweepPosition, SweepStage
from worker.printable_text import printable
from worker.runtime.clock import SystemClock
from worker.runtime.unexpected import UnexpectedError
from worker.settings.settings import Settings
from worker.sweeps.drift.sweep_run import shown_time
from worker.telemetry.logs import Log, LogIdentity, error_fields, open_log, write_audit_lines

DRY_RUN = Annotated[bool, typer.Option("--dry-run", help="Print drift and plan, and change nothing.")]
ALL = Annotated[
    bool,
    typer.Option("--all", help="Everything that is stored, also what no time of writing shows: after a restore."),
]
QUIET_QUEUE = Annotated[
    bool, typer.Option("--quiet-queue", help="Nothing is in flight: repair although no live worker says so.")
]
AFTER = Annotated[
    str | None, typer.Option(metavar="STAGE[:KEY]", help="With --all: go on where an interrupted sweep stopped.")
]
JSON = Annotated[bool, json_option("One JSON object a line: a pair each, with its audit record, then the summary.")]


def sweep(
    dry_run: DRY_RUN = False,
    everything: ALL = False,
    quiet_queue: QUIET_QUEUE = False,
    after: AFTER = None,
    as_json: JSON = False,
) -> None:
    """Find pairs that drifted apart, and repair them: a line a pair, which fields, since when, who wins and why.

    Sweeps what was written since the last sweep, or with --all everything. Takes the settings of `routing-sync run`.
    Live workers say up to when nothing is in flight, and publish what is repaired. The audit lines go to standard
    error, if that is no terminal. Exit status 0 where no drift is left, 1 where some is, or where a pair that differs
    was not judged by a sweep of everything: written since the live workers' watermark, or waiting.
    """
    if after is not None and not everything:
        raise typer.BadParameter("--after works only with --all: add it, or remove --after")
    request = SweepRequest(
        everything=everything,
        dry_run=dry_run,
        quiet_queue=quiet_queue,
        after=None if after is None else _position(after),
    )
    settings = settings_or_exit(Settings, "sweep")
    printer = DriftPrinter(as_json=as_json, audit_log=None if as_json else _audit_log(settings))
    began = time.monotonic()
    try:
        with progress("sweeping, pages", results_on_stdout=True) as advance:
            printer.advance = advance
            run_sweep(settings, request, printer, begins=printer.begins, went_on=printer.went_on)
    except SweepInterrupted as interrupted:
        printer.print_summary(time.monotonic() - began)
        if interrupted.position is not None:
            print_error(f"routing-sync sweep: interrupted: go on with --all --after {_spelled(interrupted.position)}")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    except (SetupError, StoreAway) as error:
        exit_with_error("sweep", first_line(error))
    printer.print_summary(time.monotonic() - began)
    raise typer.Exit(EXIT_FAILED if printer.is_drift_left else EXIT_DONE)


_POSITION_S: Final = 60.0


class DriftPrinter:
    """The observer that prints."""

    def __init__(
        self, *, as_json: bool, audit_log: Log | None, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.advance: Callable[[], None] = lambda: None
        self._as_json = as_json
        self._audit_log = audit_log
        self._pairs = 0
        self._counts: Counter[tuple[str, str]] = Counter()
        self._faults = 0
        self._repairs = False
        self._everything = True
        self._not_judged = NotJudged()
        self.is_drift_left = False
        self._monotonic = monotonic
        self._position_at = monotonic()

    def went_on(self, position: SweepPosition) -> None:
        """Print once a minute how far a full sweep has come, where no terminal shows its progress: after a kill it goes
        on from there."""
        now = self._monotonic()
        if now - self._position_at < _POSITION_S or sys.stderr is None or sys.stderr.isatty():
            return
        self._position_at = now
        print_error(f"routing-sync sweep: {self._pairs} pairs so far; after a kill: --all --after {_spelled(position)}")

    def begins(self, plan: SweepPlan) -> None:
        """Print the note of the plan."""
        self._repairs = plan.limits.repair
        self._everything = plan.since is None
        self._not_judged.watermark = plan.limits.watermark
        if plan.note is not None:
            print_error(f"routing-sync sweep: {plan.note}")

    def looked_at(self, count: int) -> None:
        """Count the pairs of a page."""
        self._pairs += count
        self.advance()

    def swept(self, pairs: Sequence[SweptPair]) -> None:
        """Print a line for each pair with drift."""
        for pair in pairs:
            drift = pair.drift
            self._counts[drift.kind.value, drift.end.value] += 1
            self.is_drift_left |= not is_settled(drift.end)
            if self._as_json:
                audit = None if pair.audit is None else pair.audit.as_wire()
                self._print_json({**drift.as_wire(), "audit": audit})
            else:
                sys.stdout.write(printable(drift_text(drift)) + "\n")
        audits = [pair.audit for pair in pairs if pair.audit is not None]
        if audits and self._audit_log is not None:
            write_audit_lines(self._audit_log, (audit.as_wire() for audit in audits))
        if pairs:
            sys.stdout.flush()

    def left_alone(self, pairs: Sequence[LeftPair]) -> None:
        """Count them. A sweep by time of writing leaves them to the next one, which begins where it ends."""
        self._not_judged.add(pairs)
        self.is_drift_left |= self._everything

    def unexpected(self, conversation_ids: Sequence[str], unexpected: UnexpectedError) -> None:
        """Print the error where it is known which pair meets it."""
        if len(conversation_ids) > 1:
            return
        self._faults += 1
        self.is_drift_left = True
        fields = error_fields(unexpected.error)
        where = fields["stack"][-1] if fields["stack"] else "no frame"
        print_error(f"routing-sync sweep: {conversation_ids[0]} met a fault in our code: {fields['error']} at {where}")

    def smaller(self, repairs_max: int, *, timed_out: int) -> None:
        """Print it: MongoDB is slow, and the sweep goes on."""
        print_error(
            f"routing-sync sweep: {timed_out} repairs at once had no answer within STORE_DEADLINE_SECONDS: "
            f"{repairs_max} at once from now on"
        )

    def print_summary(self, seconds: float) -> None:
        """Print how many pairs were looked at, and how many had which drift."""
        counts = sorted(self._counts.items())
        if self._as_json:
            drift = [{"drift": kind, "end": end, "count": count} for (kind, end), count in counts]
            summary = {"repairs": self._repairs, "pairs": self._pairs, "drift": drift, "faults": self._faults}
            self._print_json({"summary": {**summary, **self._not_judged.as_wire()}})
            return
        found = ", ".join(f"{count} {kind} {end}" for (kind, end), count in counts)
        alone = self._not_judged.text()
        if not found:
            found = f"no drift in {self._pairs - self._not_judged.times}" if alone else "no drift"
        which = "" if self._everything else f" written before {shown_time(self._not_judged.watermark)}"
        line = f"{self._pairs} pairs{which} in {seconds:.0f} s: {'; '.join(filter(None, (found, alone)))}"
        sys.stdout.write(printable(line) + "\n")

    def _print_json(self, line: Mapping[str, Any]) -> None:
        sys.stdout.write(orjson.dumps(line, default=str).decode() + "\n")


def _audit_log(settings: Settings) -> Log | None:
    """The log for the audit lines, on standard error, where the log of a container goes; none for a terminal."""
    if sys.stderr.isatty():
        return None
    identity = LogIdentity(service=settings.dd_service, version=settings.dd_version, env=settings.dd_env)
    return open_log(level="info", identity=identity, clock=SystemClock(), to=sys.stderr.buffer)


def drift_text(drift: Drift) -> str:
    """One line for a person: which pair, which fields, since when, who wins and why, and what becomes of it."""
    pair = " ".join(filter(None, (drift.conversation_id, drift.work_item_id))) or "outbox"
    since = "" if drift.since is None else f", since {shown_time(drift.since)}"
    fields = "".join(f"; {_field_text(each)}" for each in drift.fields)
    item = "new work-item" if drift.creates else "work-item"
    writes = "".join(
        f"; {record} {_values(values)}"
        for record, values in (("conversation", drift.conversation_fields), (item, drift.work_item_fields))
        if values is not None
    )
    moves = f"; {len(drift.moves)} moves on sessions" if drift.moves else ""
    detail = "" if drift.detail is None else f"; {drift.detail}"
    return f"{drift.kind.value} {pair}{since}{fields}{writes}{moves}{detail}: {drift.end.value}"


def _field_text(field: FieldDrift) -> str:
    values = f"{field.field} {_shown(field.conversation)} / {_shown(field.work_item)}"
    match field.winner:
        case ReasonCode.CONVERSATION_IS_NEWER:
            return f"{values}, the conversation wins: changed at {field.changed_rev}, known {field.known_rev}"
        case ReasonCode.WORK_ITEM_IS_NEWER:
            return f"{values}, the work-item wins: it knew {field.known_rev}, changed at {field.changed_rev}"
        case _:
            return f"{values}, an event may still decide"


def _values(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={_shown(value)}" for name, value in values.items())


def _shown(value: Any) -> str:
    return orjson.dumps(value).decode()


def _position(text: str) -> SweepPosition:
    stage, _, key = text.partition(":")
    if stage not in set(SweepStage):
        raise typer.BadParameter(f"--after {text}: the stage is one of {', '.join(SweepStage)}")
    return SweepPosition(stage=SweepStage(stage), after=key or None)


def _spelled(position: SweepPosition) -> str:
    return position.stage.value if position.after is None else f"{position.stage.value}:{position.after}"
