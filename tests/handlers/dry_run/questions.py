"""Questions of `decide` in the forms of docs/decide.md, and their answers by way of JSON."""

from datetime import UTC, datetime
from typing import Final

import orjson
import pytest

from handlers.dry_run.question import BadQuestion, answer
from tests.handlers.wire_events import Json

NOW: Final = datetime(2024, 5, 6, 8, 0, tzinfo=UTC)

C: Final[Json] = {
    "id": "c", "rev": 3, "status": "open", "assignedUsers": ["u-1"], "queue": None, "ended": False, "deleted": False
}  # fmt: skip
W: Final[Json] = {"id": "w", "rev": 5, "status": "queued", "assignedTo": None, "queue": {"id": "q-1"}, "paused": False}
SYNC: Final[Json] = {
    "kind": "sync", "policy": "legacy", "trigger": "conversation", "conversation": C, "workItem": W, "state": None
}  # fmt: skip
COMMAND: Final[Json] = {
    "kind": "command",
    "engine": "composed",
    "workItem": {
        **W,
        "resource": {"id": "c"},
        "itemSize": 1,
        "priority": 2,
        "queuedCount": 1,
        "firstEnterQueueAt": "2022-03-02T19:13:20.000Z",
        "lastRevision": {"enteredQueueAt": "2022-03-02T19:13:20.000Z"},
        "channel": {"kept": True},
    },
    "update": {"assignedTo": "u-1"},
    "queues": [{"id": "q-1", "key": "k", "itemSize": 2, "priority": 3}],
    "sessions": [
        {
            "id": "s-1",
            "user": "u-1",
            "active": True,
            "capacity": 5,
            "workItems": [{"id": "other", "itemSize": 1}],
            "pausedWorkItems": [],
            "pendingItem": None,
        },
        {"id": "s-2", "user": "u-2"},
    ],
    "now": "2022-03-02T19:13:26.158Z",
}


def ask(question: object) -> Json:
    """The answer by way of JSON, as on the command line."""
    answered: Json = orjson.loads(orjson.dumps(answer(orjson.loads(orjson.dumps(question)), now=NOW)))
    return answered


def fault(question: object) -> str:
    with pytest.raises(BadQuestion) as raised:
        ask(question)
    return str(raised.value)
