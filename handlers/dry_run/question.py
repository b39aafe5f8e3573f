"""The questions of `decide`: one JSON object in, one decision out. No store, no queue. Source: docs/decide.md."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from handlers.documents.json_values import unstorable
from handlers.dry_run.command_question import answer_command
from handlers.dry_run.sync_question import answer_sync
from handlers.events.validation import InvalidFields, question_faults


class BadQuestion(Exception):
    """A question that cannot be answered. The message names every fault and what to do."""


def answer(question: object, *, now: datetime) -> dict[str, Any]:
    """The answer to a parsed question, as JSON. `sync_question` and `command_question` describe the form of each kind.

    `now` is the time of the decision if the question names none. Raises BadQuestion.
    """
    if not isinstance(question, Mapping):
        raise BadQuestion(f"the question must be a JSON object, this is {_type_of(question)}")
    fault = unstorable(question)
    if fault is not None:
        raise BadQuestion(f"the question holds {fault}: remove it, no stored document can hold it")
    try:
        match question.get("kind"):
            case "sync":
                return answer_sync(question, now)
            case "command":
                return answer_command(question, now)
            case kind:
                raise BadQuestion(f"kind is {_kind_fault(kind)}: set it to 'sync' or 'command'")
    except InvalidFields as error:
        raise BadQuestion(question_faults(error)) from error


_JSON_TYPES: Final[Mapping[type, str]] = {
    type(None): "null",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "an object",
}


def _kind_fault(kind: object) -> str:
    """What is wrong with `kind`. A text is not quoted: it may be a customer's."""
    if kind is None:
        return "missing or null"
    return "another text" if isinstance(kind, str) else _type_of(kind)


def _type_of(value: object) -> str:
    return _JSON_TYPES.get(type(value), "not JSON")
