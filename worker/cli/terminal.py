"""What the verbs share at the terminal: error lines, settings, `--json`, progress and tables."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeVar

import typer

from worker.cli.exit_status import EXIT_FAILED, EXIT_WRONG_USAGE

if TYPE_CHECKING:
    from pydantic_settings import BaseSettings

S = TypeVar("S", bound="BaseSettings")


def json_option(help_text: str) -> Any:
    """The option `--json`."""
    return typer.Option("--json", help=help_text)


def print_error(line: str) -> None:
    """Print one line to standard error, if it can be written."""
    # None: the stream was closed when the process began.
    if sys.stderr is not None:
        with suppress(OSError):
            sys.stderr.write(line + "\n")


def print_json(line: Mapping[str, Any]) -> None:
    """Print the object to standard output, on one line."""
    from worker.printable_text import printable_json  # noqa: PLC0415 - half of the verbs print none

    sys.stdout.write(printable_json(line) + "\n")


def exit_with_error(verb: str, error: Exception | str) -> NoReturn:
    """End the verb with one line on standard error and exit status 1."""
    print_error(f"routing-sync {verb}: {error}")
    raise typer.Exit(EXIT_FAILED)


def settings_or_exit(kind: type[S], verb: str) -> S:
    """The settings from the environment. Where some are wrong: a line for each on standard error, exit status 2."""
    from worker.settings.reading import SettingErrors, read_settings  # noqa: PLC0415 - half of the verbs read no settings

    settings = read_settings(kind)
    if isinstance(settings, SettingErrors):
        for line in settings.lines:
            print_error(f"routing-sync {verb}: {line}")
        raise typer.Exit(EXIT_WRONG_USAGE)
    return settings


class Advance(Protocol):
    """Counts steps of long work."""

    def __call__(self, steps: int = 1, /) -> None:
        """So many more steps are done."""
        ...


@contextmanager
def progress(doing: str, *, results_on_stdout: bool, total: int | None = None) -> Iterator[Advance]:
    """Counts steps on standard error where that is a terminal; yields the function that counts them.

    `results_on_stdout`: the verb prints results meanwhile. Then a terminal on standard output shows no progress, or
    both would stand on one line. `total`: about how many steps there are; None: unknown.
    """
    if not sys.stderr.isatty() or (results_on_stdout and sys.stdout.isatty()):
        yield lambda _=1: None
        return
    from rich.console import Console  # noqa: PLC0415 - only for a terminal
    from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn  # noqa: PLC0415

    columns = (SpinnerColumn(), TextColumn(doing), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(doing, total=total)
        yield lambda steps=1: bar.advance(task, steps)


def print_table(rows: Iterable[tuple[str, str]], notes: Iterable[str], conclusion: str) -> None:
    """Print rows of name and value, notes under them, and a last line, on a terminal."""
    from rich.console import Console  # noqa: PLC0415 - only for a terminal
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, show_header=False)
    for name, value in rows:
        table.add_row(name, value)
    console = Console()
    console.print(table)
    for note in notes:
        console.print(note, style="dim", markup=False)
    console.print(conclusion, style="green")
