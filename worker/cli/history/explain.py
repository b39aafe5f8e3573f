"""`routing-sync explain CONVERSATION_ID`: who un-assigned it, and why, in the first line; then its timeline."""

import asyncio
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from worker.cli.exit_status import EXIT_DONE, EXIT_FAILED
from worker.cli.terminal import exit_with_error, json_option, print_error, progress, settings_or_exit

if TYPE_CHECKING:
    from worker.investigate.explain.explanation import Explanation
    from worker.investigate.explain.log_files import LoggedPast
    from worker.investigate.explain.stored_past import StoredPast

CONVERSATION = Annotated[str, typer.Argument(metavar="CONVERSATION_ID", help="The conversation's id.")]
AT = Annotated[
    str | None, typer.Option(metavar="TIME", help="Answer as of this time, for example 2022-03-02T19:13:26Z.")
]
LOGS = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FILE", help="A log of the workers, or captured events; may be repeated; `-` is standard input."
    ),
]
FILES = Annotated[
    list[Path] | None,
    typer.Argument(metavar="[FILE]...", help="More such files, as a shell's `logs/*.ndjson` names them."),
]
JSON = Annotated[bool, json_option("The answer, what is missing and the timeline as one JSON object.")]
MARKDOWN = Annotated[bool, typer.Option("--markdown", help="Markdown, for a ticket.")]
_VERB: Final = "routing-sync explain"
_IDS_MAX: Final = 10
_ID_CHARACTERS_MAX: Final = 256


def explain(  # noqa: PLR0917 - typer passes options by name
    conversation_id: CONVERSATION,
    files: FILES = None,
    at: AT = None,
    logs: LOGS = None,
    as_json: JSON = False,
    markdown: MARKDOWN = False,
) -> None:
    """Say who un-assigned a conversation's agent, and why; else who assigned it, or what changed last. Then its
    timeline.

    Reads the kept audit (AUDIT_DAYS) and the records of the store that MONGODB_URI names, and writes nothing. With
    files also these; without MONGODB_URI only these. Exit status 1 where nothing is known, or a file cannot be
    read.
    """
    if as_json and markdown:
        raise typer.BadParameter("--json and --markdown are set: set only one")
    from commands.instant import parse_instant  # noqa: PLC0415 - `--help` loads none of it
    from worker.investigate.explain.explanation import explain as explained  # noqa: PLC0415
    from worker.investigate.timeline.harmless import harmless  # noqa: PLC0415

    conversation_id = _checked_id(conversation_id)
    instant = None if at is None else parse_instant(at.strip())
    if at is not None and instant is None:
        raise typer.BadParameter(_no_time(at.strip()))
    paths = [*(logs or ()), *(files or ())]
    if not paths:
        _check_alone(harmless(conversation_id))
    logged = _logged(paths, conversation_id) if paths else None
    uses_store = bool(os.environ.get("MONGODB_URI")) or logged is None
    stored = _stored(conversation_id, is_alone=logged is None) if uses_store else None
    is_known = (stored is not None and stored.known) or (
        logged is not None and bool(logged.records or logged.entries or logged.audits)
    )
    if not is_known:
        where = " or ".join([*(["the store"] if uses_store else []), *(["the files"] if paths else [])])
        shown = harmless(conversation_id)
        print_error(f"{_VERB}: nothing of conversation {shown} is in {where}: {harmless(_remedy(logged))}")
        raise typer.Exit(EXIT_FAILED)
    explanation = explained(conversation_id, stored, logged, at=instant, now=datetime.now(UTC) if uses_store else None)
    if as_json:
        _print_json(explanation)
    elif markdown:
        _print_markdown(explanation)
    else:
        _print_text(explanation)
    is_whole = logged is None or not logged.faults
    raise typer.Exit(EXIT_DONE if explanation.is_answered and is_whole else EXIT_FAILED)


def _check_alone(conversation_id: str) -> None:
    """Where no file is named, the store is asked: there has to be one, and the id has to be no file's name."""
    if os.environ.get("MONGODB_URI"):
        return
    if Path(conversation_id).is_file():
        raise typer.BadParameter(
            f"{conversation_id} is a file: name the conversation's id before it, as in `routing-sync explain ID "
            f"{conversation_id}`; the first lines of `routing-sync timeline {conversation_id}` have the ids"
        )
    raise typer.BadParameter(
        f"MONGODB_URI is not set, and no file is named: set it, or name files, as in `routing-sync explain "
        f"{conversation_id} events.ndjson`"
    )


def _checked_id(given: str) -> str:
    """The id without the blanks that a copied one has around it."""
    conversation_id = given.strip()
    if not conversation_id:
        raise typer.BadParameter("CONVERSATION_ID is empty: name a conversation, as its audit lines do")
    if len(conversation_id) > _ID_CHARACTERS_MAX:
        raise typer.BadParameter(
            f"CONVERSATION_ID has {len(conversation_id):,} characters, and no id has more than {_ID_CHARACTERS_MAX}"
        )
    return conversation_id


def _no_time(text: str) -> str:
    from commands.instant import parse_instant  # noqa: PLC0415
    from worker.investigate.timeline.harmless import harmless  # noqa: PLC0415

    shown = harmless(text[:_ID_CHARACTERS_MAX])
    if parse_instant(f"{text}Z") is not None:
        return f"--at {shown} names no zone: write {shown}Z for UTC, or add the zone's distance, as +02:00"
    return f"--at {shown} is no time: write it as 2022-03-02T19:13:26Z"


def _remedy(logged: "LoggedPast | None") -> str:
    """What to do about an id of which nothing was found."""
    if logged is not None and not logged.others:
        if logged.faults:
            return "what could be read of them holds no audit line and no event"
        return "they hold no audit line and no event of a pair: name the workers' log, or captured events"
    if logged is None:
        return "check the id"
    if logged.owner is not None:
        return f"it is a work-item's id: its conversation is {logged.owner}"
    if len(logged.others) > _IDS_MAX:
        return (
            f"the files hold {', '.join(logged.others[:_IDS_MAX])} and others, which `routing-sync timeline FILE` lists"
        )
    return f"the files hold {', '.join(logged.others)}"


def _logged(files: list[Path], conversation_id: str) -> "LoggedPast":
    from worker.investigate.explain.log_files import read_logs  # noqa: PLC0415

    with progress("reading", results_on_stdout=False) as advance:
        return read_logs(files, conversation_id, print_error=print_error, advance=advance, stdin=sys.stdin.buffer)


def _stored(conversation_id: str, *, is_alone: bool) -> "StoredPast":
    """The store's part. Where it cannot be read the files have to do, and the explanation says so; `is_alone`: there
    are none."""
    from handlers.ports import StoreAway  # noqa: PLC0415
    from worker.cli.history.stored_past import read_stored_past  # noqa: PLC0415
    from worker.errors import SetupError, first_line  # noqa: PLC0415
    from worker.investigate.explain.stored_past import StoredPast  # noqa: PLC0415
    from worker.settings.verbs.explain import ExplainSettings  # noqa: PLC0415

    settings = settings_or_exit(ExplainSettings, "explain")
    try:
        return asyncio.run(read_stored_past(settings, conversation_id))
    except (SetupError, StoreAway) as error:
        if is_alone:
            exit_with_error("explain", first_line(error))
        return StoredPast(missing=(f"only the files were read: {first_line(error)}",))


def _print_json(explanation: "Explanation") -> None:
    from worker.investigate.explain.explanation import explanation_wire  # noqa: PLC0415

    # The escapes of json keep a stored or logged text from steering a terminal; orjson has none.
    sys.stdout.write(json.dumps({"explanation": explanation_wire(explanation)}, separators=(",", ":")) + "\n")


def _print_markdown(explanation: "Explanation") -> None:
    from worker.investigate.timeline.markdown import escaped, markdown_lines  # noqa: PLC0415

    lines = [f"**{escaped(explanation.answer.text)}**", ""]
    lines += [f"- missing: {escaped(each)}" for each in explanation.missing]
    sys.stdout.writelines(f"{line}\n" for line in (*lines, "", *markdown_lines(explanation.timeline)))


def _print_text(explanation: "Explanation") -> None:
    from worker.cli.history.text import TimelineText  # noqa: PLC0415
    from worker.investigate.timeline.harmless import harmless  # noqa: PLC0415

    sys.stdout.write(f"{harmless(explanation.answer.text)}\n")
    sys.stdout.writelines(f"missing: {harmless(each)}\n" for each in explanation.missing)
    sys.stdout.write("\n")
    TimelineText(sys.stdout).timeline(explanation.timeline)
