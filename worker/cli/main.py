"""The console script `routing-sync`: its verbs, and what they have in common.

A verb's module is imported when it is called for, so that each costs only what it needs. Faults are one clear line on
standard error; the exit status is 0 done, 1 some input failed, 2 wrong usage.
"""

import sys
from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperGroup

VERBS: Final = {
    "run": ("worker.cli.run", "run", "Run the worker until SIGTERM or SIGINT."),
    "provision": ("worker.cli.provision", "provision", "Make topics, queues and subscriptions."),
    "publish": ("worker.cli.publish", "publish", "Publish captured events to their topics."),
    "replay": ("worker.cli.replay", "replay", "Run captured events through the rules, in memory."),
    "decide": ("worker.cli.decide", "decide", "Read questions and print the decisions."),
}
"""Verb → module, function, what it does: a new verb is one module and one line here. A module's `HELP` is shown in the
place of the function's docstring."""

_CLICK_ERROR: Final[type[Exception]] = next(
    kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException" and issubclass(kind, Exception)
)
"""What wrong usage raises: typer names only its children."""


class Verbs(TyperGroup):
    """The verbs, each imported when it is called for."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the signature is typer's
        """In the order of the table."""
        return list(VERBS)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - the signature is typer's
        """From the table: every verb imported would take three times as long."""
        with formatter.section("Commands"):
            formatter.write_dl([(verb, does) for verb, (_, _, does) in VERBS.items()])

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - the signature is typer's
        """The verb, or None."""
        if cmd_name not in VERBS:
            return None
        module, function, _ = VERBS[cmd_name]
        one = typer.Typer(add_completion=False, rich_markup_mode=None)
        verb = import_module(module)
        one.command(cmd_name, help=getattr(verb, "HELP", None))(getattr(verb, function))
        return typer.main.get_command(one)


app = typer.Typer(
    cls=Verbs,
    name="routing-sync",
    help="Keeps conversations and work-items in agreement.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.callback()
def _app() -> None:
    """Keeps conversations and work-items in agreement."""


def main() -> None:
    """Run the command line and exit with its status."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """The exit status of a command line."""
    command = typer.main.get_command(app)
    try:
        status = command.main(args=arguments, prog_name="routing-sync", standalone_mode=False)
    except typer.Abort:
        return 130
    except _CLICK_ERROR as error:
        return _wrong_usage(error)
    return status if isinstance(status, int) else 0


def _wrong_usage(error: Any) -> int:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "routing-sync"
    message = str(error.format_message())
    if type(error).__name__ == "NoArgsIsHelpError":
        sys.stderr.write(message + "\n")
    else:
        sys.stderr.write(f"{path}: {' '.join(message.split())} (see `{path} --help`)\n")
    return int(error.exit_code)
