"""`routing-sync replay FILE…`: runs captured events through the rules, offline, on the in-memory store."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from commands.rollout import Engine, EngineRollout
from handlers.options import Options, PolicyInUse
from worker.replay.captured_events import ReplayInput
from worker.replay.environment import ReplayMode
from worker.replay.modes import Replay, ReplayRequest, ReplayResult
from worker.replay.reports.json import JsonReport
from worker.replay.reports.text import TextReport

CAPTURE_FILES = Annotated[
    list[Path],
    typer.Argument(metavar="FILE…", help="Captured events; `-` is standard input. The mode may be named before them."),
]
MODE = Annotated[
    ReplayMode | None,
    typer.Option(
        help="observe: as it happened, and what our rules decide; simulate: outside writes done again, our syncs in "
        "the place of the captured; explore: in every order of delivery.  [default: observe]"
    ),
]
OBSERVE = Annotated[bool, typer.Option("--observe", help="The same as --mode observe.")]
SIMULATE = Annotated[bool, typer.Option("--simulate", help="The same as --mode simulate.")]
EXPLORE = Annotated[bool, typer.Option("--explore", help="The same as --mode explore.")]
POLICY = Annotated[PolicyInUse, typer.Option(help="Who decides which side is newer.", case_sensitive=False)]
ENGINE = Annotated[Engine, typer.Option(help="How an update is carried out.", case_sensitive=False)]
CONVERSATION = Annotated[str | None, typer.Option(metavar="ID", help="This conversation alone.")]
DUPLICATES = Annotated[int, typer.Option(min=0, max=10, help="explore: deliver up to so many events once more.")]
STATES = Annotated[int, typer.Option(min=1, help="explore: give a conversation up after so many states.")]
FAIL = Annotated[
    bool,
    typer.Option(
        "--fail-on-violation",
        help="Exit status 1 where the contract is broken; observe writes nothing, so nothing can be.",
    ),
]
JSON = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


def replay(  # noqa: PLR0917 - options, which nobody passes by position
    files: CAPTURE_FILES,
    mode: MODE = None,
    observe: OBSERVE = False,
    simulate: SIMULATE = False,
    explore: EXPLORE = False,
    policy: POLICY = PolicyInUse.CAUSAL,
    engine: ENGINE = Engine.COMPOSED,
    conversation: CONVERSATION = None,
    duplicates: DUPLICATES = 0,
    states_max: STATES = 200_000,
    fail_on_violation: FAIL = False,
    as_json: JSON = False,
) -> None:
    """Run captured events through the rules, on a store in memory; no server is asked and nothing is published.

    Any of the five shapes, as NDJSON, as a JSON array or one after another. What cannot be read is told with file and
    line, the rest goes on, and the exit status is 1.
    """
    flags = {ReplayMode.OBSERVE: observe, ReplayMode.SIMULATE: simulate, ReplayMode.EXPLORE: explore}
    mode, files = _mode(mode, [each for each, given in flags.items() if given], files)
    if policy is not PolicyInUse.LEGACY and engine is Engine.LEGACY:
        raise typer.BadParameter(f"policy {policy.value} needs the composed engine; with legacy say --policy legacy")
    if duplicates and mode is not ReplayMode.EXPLORE:
        raise typer.BadParameter("--duplicates belongs to --mode explore")
    if _is_a_word(files[0]):
        raise typer.BadParameter(f"{files[0]} is no mode ({', '.join(ReplayMode)}) and no file here")
    asked = ReplayRequest(
        # A capture may hold syncs of ours, and no store here has made them.
        options=Options(policy=policy, rollout=EngineRollout(engine=engine), own_syncs_stored=False),
        conversation=conversation,
        duplicates=duplicates,
        states_max=states_max,
    )
    ended = _run(asked, mode, files, as_json=as_json)
    raise typer.Exit(1 if ended.faults or (fail_on_violation and ended.violations) else 0)


def _mode(mode: ReplayMode | None, flags: list[ReplayMode], files: list[Path]) -> tuple[ReplayMode, list[Path]]:
    """The mode, however it was named, and the files."""
    named = {*flags, *([mode] if mode is not None else [])}
    while files and str(files[0]) in set(ReplayMode) and not files[0].exists():
        named.add(ReplayMode(str(files[0])))
        files = files[1:]
    if len(named) > 1:
        raise typer.BadParameter(f"one mode at a time, not {' and '.join(sorted(named))}")
    if not files:
        raise typer.BadParameter("name the files to replay, or - for standard input")
    return next(iter(named), ReplayMode.OBSERVE), files


def _is_a_word(file: Path) -> bool:
    """Whether it looks like a mistyped mode rather than a file that is not there."""
    return str(file) != "-" and not file.suffix and len(file.parts) == 1 and not file.exists()


def _run(asked: ReplayRequest, mode: ReplayMode, files: list[Path], *, as_json: bool) -> ReplayResult:
    out = sys.stdout.buffer
    report = JsonReport(out) if as_json else TextReport(out)
    with ReplayInput(files) as source, _progress() as advance:
        replaying = Replay(asked, source, report, print_error=_print_error, advance=advance)
        ended = asyncio.run(replaying.run(mode))
    out.flush()
    return ended


def _print_error(line: str) -> None:
    sys.stderr.write(line + "\n")


@contextmanager
def _progress() -> Iterator[Callable[[], None]]:
    """Counts aloud where a person watches; not where the results go to the same screen, or both stand on one line."""
    if not sys.stderr.isatty() or sys.stdout.isatty():
        yield lambda: None
        return
    from rich.console import Console  # noqa: PLC0415 - only where a person watches
    from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn  # noqa: PLC0415

    columns = (SpinnerColumn(), TextColumn("replaying"), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("replaying", total=None)
        yield lambda: progress.advance(task)
