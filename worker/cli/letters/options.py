"""The options that `dead-letters` and `redrive` share: which letters are meant."""

import re
from datetime import timedelta
from typing import Annotated, Final

import typer

from worker.letters.letter_filter import LetterFilter
from worker.ports.message_queue import NO_CODE

CODE = Annotated[
    list[str] | None,
    typer.Option("--code", metavar="CODE", help=f"Letters of this code; {NO_CODE}: SQS moved them. May be repeated."),
]
REASON = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Letters whose reason has this text.")]
NAME = Annotated[
    list[str] | None,
    typer.Option(
        "--name", metavar="EVENT", help="Letters of this event name, `*` for any characters. May be repeated."
    ),
]
CONVERSATION = Annotated[
    list[str] | None,
    typer.Option("--conversation", metavar="ID", help="Letters about this conversation. May be repeated."),
]
LETTER_ID = Annotated[
    list[str] | None,
    typer.Option(
        "--id", metavar="ID", help="The letter of this id, or whose message or event had it. May be repeated."
    ),
]
OLDER = Annotated[str | None, typer.Option("--older-than", metavar="AGE", help="Letters older than 90s, 15m, 2h, 3d.")]
NEWER = Annotated[str | None, typer.Option("--newer-than", metavar="AGE", help="Letters newer than that.")]
SPEND = Annotated[
    bool,
    typer.Option(
        "--spend-deliveries",
        help="Look although the dead-letter queue has a redrive policy of its own, which counts every look.",
    ),
]

_AGE: Final = re.compile(r"(\d{1,6})(s|m|h|d)")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def letter_filter(  # noqa: PLR0917 - the options, in the order of the verbs
    code: list[str] | None,
    reason: str,
    name: list[str] | None,
    conversation: list[str] | None,
    letter_id: list[str] | None,
    older_than: str | None,
    newer_than: str | None,
) -> LetterFilter:
    """The letters that the options mean. Raises BadParameter."""
    chosen = LetterFilter(
        codes=frozenset(each.upper() for each in code or ()),
        reason=reason,
        names=tuple(name or ()),
        conversations=frozenset(conversation or ()),
        ids=frozenset(letter_id or ()),
        older_than=_age("--older-than", older_than),
        newer_than=_age("--newer-than", newer_than),
    )
    if chosen.older_than is not None and chosen.newer_than is not None and chosen.older_than >= chosen.newer_than:
        raise typer.BadParameter(
            f"no letter is older than {older_than} and newer than {newer_than}: swap the two, or remove one"
        )
    return chosen


def _age(option: str, text: str | None) -> timedelta | None:
    if text is None:
        return None
    found = _AGE.fullmatch(text.strip())
    if found is None:
        raise typer.BadParameter(f"{option} {text}: an age is a number with a unit: 90s, 15m, 2h or 3d")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})
