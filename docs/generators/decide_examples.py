"""The examples in docs/decide.md: questions of `routing-sync decide`, and the answers of the code."""

import json
from datetime import UTC, datetime
from typing import Any, Final

from handlers.dry_run.question import answer

_NOW: Final = datetime(2026, 1, 5, 9, tzinfo=UTC)
_CONVERSATION: Final = {"id": "c", "rev": 6, "status": "open", "assignedUsers": ["anna"], "queue": None}
_QUESTIONS: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    (
        "The work-item's writer knew conversation revision 4. Revision 6 changed the assignee: the conversation wins.",
        {
            "kind": "sync",
            "policy": "causal",
            "trigger": "work-item",
            "conversation": _CONVERSATION,
            "workItem": {"id": "w", "rev": 2, "status": "queued", "queue": None},
            "state": {"changed": {"assignee": 6}, "known": {"assignee": 4}},
        },
    ),
    (
        "A1 closed the conversation at revision 6. The maker of the later work-item knew revision 5: A7 re-opens it.",
        {
            "kind": "sync",
            "policy": "causal",
            "trigger": "work-item",
            "conversation": {**_CONVERSATION, "status": "done"},
            "workItem": {"id": "w2", "rev": 1, "status": "ivr", "assignedTo": "anna", "workItemNumber": 2},
            "state": {"known": {"status": 5}, "doneBy": {"number": 1, "rev": 6}},
        },
    ),
    (
        "The legacy funnel refuses to un-assign a work-item that has no queue.",
        {
            "kind": "command",
            "engine": "legacy",
            "workItem": {"id": "w", "rev": 2, "status": "assigned", "assignedTo": "anna", "queue": None},
            "update": {"assignedTo": None},
        },
    ),
)


def decide_examples() -> str:
    """Each example: the sentence that explains it, the question and the answer."""
    examples = [
        f"{text}\n\n```json\n{json.dumps(question)}\n```\n\n```json\n{json.dumps(answer(question, now=_NOW))}\n```"
        for text, question in _QUESTIONS
    ]
    return "\n\n".join(examples)
