"""The questions of `decide`: one JSON object in, one decision out. No store, no queue. Source: docs/decide.md."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from handlers.documents.json_values import unstorable
from handlers.dry_run.command_question import answer_command
from handlers.dry_run.sync_question import answer_sync
from handlers.events.validation import InvalidFields, invalid_fields, question_faults


class BadQuestion(Exception):
    """A question that cannot be answered. The message names every fault."""


def answer(question: object, *, now: datetime) -> dict[str, Any]:
    """The answer to a parsed question, as JSON. `kind` is `sync` or `command`; each kind's module has its form.

    `now` is the time of the decision where the question names none. Raises BadQuestion.
    """
    fault = unstorable(question)
    if fault is not None:
        raise BadQuestion(f"the question holds {fault}")
    try:
        match question.get("kind") if isinstance(question, Mapping) else None:
            case "sync":
                return answer_sync(question, now)
            case "command":
                return answer_command(question, now)
            case _:
                raise BadQuestion("kind: must be 'sync' or 'command'")
    except ValidationError as error:
        raise BadQuestion(question_faults(invalid_fields(error))) from error
    except InvalidFields as error:
        raise BadQuestion(question_faults(error)) from error
