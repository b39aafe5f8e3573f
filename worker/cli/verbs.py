"""The verbs of `routing-sync`: their table, `--version`, and the exit status of a command line.

The module of a verb is imported when the verb is called, so that each verb loads only what it needs. An error is one
line on standard error. Exit status: 0 done, 1 some input failed or the output was lost, 2 wrong usage,
130 interrupted (exit_status.py).
"""

import sys
from importlib import import_module
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from worker.cli.exit_status import EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED
from worker.cli.standard_output import OutputLost
from worker.cli.terminal import print_error

VERBS: Final = {
    "run": ("worker.cli.run", "run", "Run the worker until SIGTERM or SIGINT."),
    "serve": ("worker.cli.serve", "serve", "Serve the API and the status page until SIGTERM or SIGINT."),
    "doctor": ("worker.cli.doctor", "doctor", "Check everything that a start needs, without starting."),
    "provision": ("worker.cli.provision", "provision", "Make topics, queues and subscriptions."),
    "publish": ("worker.cli.input_files.publish", "publish", "Publish captured events to their topics."),
    "replay": ("worker.cli.input_files.replay", "replay", "Run captured events through the rules, in memory."),
    "import": (
        "worker.cli.input_files.import_captures",
        "import_captures",
        "Find, repair and redact the events in logs and notes.",
    ),
    "timeline": ("worker.cli.history.timeline", "timeline", "Show what happened to a pair, and what went wrong."),
    "explain": ("worker.cli.history.explain", "explain", "Say who did what to a conversation, and why."),
    "sweep": ("worker.cli.drift.sweep", "sweep", "Find pairs that drifted apart, and repair them."),
    "dead-letters": (
        "worker.cli.letters.dead_letters",
        "dead_letters",
        "Show what lies in the dead-letter queue, and why.",
    ),
    "redrive": ("worker.cli.letters.redrive", "redrive", "Put dead letters back into the queue."),
    "shadow-report": (
        "worker.cli.input_files.shadow_report",
        "shadow_report",
        "Say whether it is safe to move to causal.",
    ),
    "size": ("worker.cli.size", "size", "Say what a load of your own takes and costs."),
    "decide": ("worker.cli.input_files.decide", "decide", "Read questions and print the decisions."),
}
"""Verb → module, function, summary: a new verb is one module and one line here. `HELP` in the module, if it is there,
replaces the function's docstring."""

_HELP: Final = {"help_option_names": ["-h", "--help"]}

_CLICK_ERROR: Final[type[Exception]] = next(
    kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException" and issubclass(kind, Exception)
)
"""The exception for wrong usage. typer exports only its subclasses."""


class Verbs(TyperGroup):
    """The verbs, each imported when it is called."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the signature is typer's
        """In the order of the table."""
        return list(VERBS)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - the signature is typer's
        """The summaries of the table: importing every verb for them would take three times as long."""
        with formatter.section("Commands"):
            formatter.write_dl([(verb, does) for verb, (_, _, does) in VERBS.items()])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The verb that a command line names. A mistyped one is an error that names the nearest: typer looks for it
        among the verbs that are loaded, and none is."""
        if args[0] not in VERBS and not args[0].startswith("-"):
            from difflib import get_close_matches  # noqa: PLC0415 - for an error alone

            nearest = "".join(f" Did you mean {verb!r}?" for verb in get_close_matches(args[0], VERBS, n=1))
            ctx.fail(f"No such command {args[0]!r}.{nearest}")
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - the signature is typer's
        """The verb, or None."""
        if cmd_name not in VERBS:
            return None
        module, function, _ = VERBS[cmd_name]
        verb_app = typer.Typer(add_completion=False, rich_markup_mode=None)
        verb = import_module(module)
        verb_app.command(cmd_name, help=getattr(verb, "HELP", None), context_settings=_HELP)(getattr(verb, function))
        return typer.main.get_command(verb_app)


app = typer.Typer(
    cls=Verbs,
    name="routing-sync",
    help="Keeps conversations and work-items in agreement.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings=_HELP,
)


def _print_version(asked: bool) -> None:
    if asked:
        # Loaded here alone: it would take half of the time of `--help`.
        from importlib.metadata import version  # noqa: PLC0415

        typer.echo(f"routing-sync {version('routing-sync')}")
        raise typer.Exit(EXIT_DONE)


VERSION = Annotated[
    bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
]


@app.callback()
def _app(version: VERSION = False) -> None:
    """Keeps conversations and work-items in agreement."""


def run_verb(arguments: list[str]) -> int:
    """The exit status of a command line."""
    try:
        status = _called(arguments)
        # Left to the end of the interpreter, output that cannot be written would be a traceback and status 120.
        # `run` has no standard output where it was closed.
        if sys.stdout is not None:
            sys.stdout.flush()
    except OutputLost as lost:
        verb = " ".join(["routing-sync", *(each for each in arguments[:1] if each in VERBS)])
        print_error(f"{verb}: cannot write to standard output: {lost}; the rest of the output is lost")
        return EXIT_FAILED
    return status


def _called(arguments: list[str]) -> int:
    command = typer.main.get_command(app)
    try:
        status = command.main(args=arguments, prog_name="routing-sync", standalone_mode=False)
    except typer.Abort:
        return EXIT_INTERRUPTED
    except _CLICK_ERROR as error:
        return _wrong_usage(error, arguments)
    return status if isinstance(status, int) else EXIT_DONE


def _wrong_usage(error: Any, arguments: list[str]) -> int:
    context = getattr(error, "ctx", None)
    # An option that lacks its value is an error without a context.
    verb = " ".join(["routing-sync", *(each for each in arguments[:1] if each in VERBS)])
    path = context.command_path if context is not None else verb
    message = str(error.format_message())
    if type(error).__name__ == "NoArgsIsHelpError":
        print_error(message)
    else:
        print_error(f"{path}: {' '.join(message.split())} (see `{path} --help`)")
    return int(error.exit_code)
