"""`routing-sync replay FILE…`: runs captured events through the rules, offline, on a store in memory."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from commands.engines.rollout import Engine, EngineRollout
from handlers.options import Options, PolicyInUse
from worker.cli.exit_status import EXIT_DONE, EXIT_FAILED
from worker.cli.terminal import exit_with_error, json_option, print_error, progress
from worker.errors import InputNotKept
from worker.replay.captured_events import ReplayInput
from worker.replay.environment import ReplayMode
from worker.replay.modes import Replay, ReplayRequest, ReplayResult
from worker.replay.reports.json import JsonReport
from worker.replay.reports.text import TextReport

CAPTURE_FILES = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILE…", help="Files of captured events; `-` is standard input. The mode may stand before them."
    ),
]
MODE = Annotated[
    ReplayMode | None,
    typer.Option(
        help="observe: replay the events as captured and print what the rules decide; simulate: replay only the "
        "outside writes and let the rules make the syncs; explore: try every order of delivery.  [default: observe]"
    ),
]
OBSERVE = Annotated[bool, typer.Option("--observe", help="The same as --mode observe.")]
SIMULATE = Annotated[bool, typer.Option("--simulate", help="The same as --mode simulate.")]
EXPLORE = Annotated[bool, typer.Option("--explore", help="The same as --mode explore.")]
POLICY = Annotated[
    PolicyInUse, typer.Option(help="The policy that decides which side of a field is newer.", case_sensitive=False)
]
ENGINE = Annotated[
    Engine,
    typer.Option(help="The engine that executes the updates; legacy only with --policy legacy.", case_sensitive=False),
]
CONVERSATION = Annotated[str | None, typer.Option(metavar="ID", help="Replay only this conversation.")]
DUPLICATES = Annotated[int, typer.Option(min=0, max=10, help="explore: deliver up to this many events a second time.")]
STATES = Annotated[int, typer.Option(min=1, help="explore: give up a conversation after this many states.")]
FAIL = Annotated[
    bool,
    typer.Option(
        "--fail-on-violation",
        help="Exit with status 1 if the contract is broken. No effect on observe, which does not check it.",
    ),
]
JSON = Annotated[bool, json_option("One JSON object a line.")]


def replay(  # noqa: PLR0917 - typer passes options by name
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
    """Run captured events through the rules, on a store in memory. Calls no server and publishes nothing.

    An event may have any of the five shapes. A file holds NDJSON, a JSON array, or JSON values one after another. An
    event that cannot be read is reported with file and line; the rest is replayed, and the exit status is 1.
    """
    flags = {ReplayMode.OBSERVE: observe, ReplayMode.SIMULATE: simulate, ReplayMode.EXPLORE: explore}
    mode, files = _mode(mode, [each for each, given in flags.items() if given], files)
    if policy is not PolicyInUse.LEGACY and engine is Engine.LEGACY:
        raise typer.BadParameter(
            f"--engine legacy works only with --policy legacy, but the policy is {policy.value}: "
            "add --policy legacy or remove --engine legacy"
        )
    if duplicates and mode is not ReplayMode.EXPLORE:
        raise typer.BadParameter("--duplicates works only with --mode explore: add it, or remove --duplicates")
    if _looks_like_mode(files[0]):
        raise typer.BadParameter(
            f"{files[0]} is neither a mode ({', '.join(ReplayMode)}) nor an existing file: check the spelling"
        )
    request = ReplayRequest(
        # A capture may hold syncs of this worker. The store of a replay has no record of them.
        options=Options(policy=policy, rollout=EngineRollout(engine=engine), own_syncs_stored=False),
        conversation=conversation,
        duplicates=duplicates,
        states_max=states_max,
    )
    try:
        result = _run(request, mode, files, as_json=as_json)
    except InputNotKept as error:
        exit_with_error("replay", error)
    failed = result.faults or (fail_on_violation and result.violations)
    raise typer.Exit(EXIT_FAILED if failed else EXIT_DONE)


def _mode(mode: ReplayMode | None, flags: list[ReplayMode], files: list[Path]) -> tuple[ReplayMode, list[Path]]:
    """The mode and the files. An option, a flag or a word before the files sets the mode; the default is observe."""
    named = {*flags, *([mode] if mode is not None else [])}
    while files and str(files[0]) in set(ReplayMode) and not files[0].exists():
        named.add(ReplayMode(str(files[0])))
        files = files[1:]
    if len(named) > 1:
        set_modes = " and ".join(each for each in ReplayMode if each in named)
        raise typer.BadParameter(f"the modes {set_modes} are set: set only one")
    if not files:
        raise typer.BadParameter("no file is named: name the files to replay, or - for standard input")
    return next(iter(named), ReplayMode.OBSERVE), files


def _looks_like_mode(file: Path) -> bool:
    """Whether a missing file is more likely a mistyped mode: its name has no folder and no suffix."""
    return str(file) != "-" and not file.suffix and len(file.parts) == 1 and not file.exists()


def _run(request: ReplayRequest, mode: ReplayMode, files: list[Path], *, as_json: bool) -> ReplayResult:
    out = sys.stdout.buffer
    report = JsonReport(out) if as_json else TextReport(out)
    once = mode is not ReplayMode.SIMULATE
    with ReplayInput(files, once=once) as replay_input, progress("replaying", results_on_stdout=True) as advance:
        run = Replay(request, replay_input, report, print_error=print_error, advance=advance)
        return asyncio.run(run.run(mode))
