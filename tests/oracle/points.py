"""The finite space of a conversation and a work-item, in the JSON shape of `decide`.

Up to the names of users and queues: each side has none, the same as the other side, or another one.
"""

from collections.abc import Iterator
from itertools import product
from typing import Any, Final

Json = dict[str, Any]

USERS: Final[tuple[tuple[list[str], str | None], ...]] = (
    ([], None),
    (["u-1"], None),
    ([], "u-1"),
    (["u-1", "u-2"], "u-2"),
    (["u-2"], "u-1"),
)
QUEUES: Final = ((None, None), ("q-1", None), (None, "q-1"), ("q-1", "q-1"), ("q-1", "q-2"))
FLAGS: Final = (False, True)
COUNT: Final = 5 * 5 * 3 * 2 * 2 * 6 * 2


def pairs() -> Iterator[tuple[Json, Json]]:
    """Each pair: the conversation at revision 3, the work-item at revision 5."""
    for users, queues, status, ended, deleted, item_status, paused in product(
        USERS,
        QUEUES,
        ("open", "snoozed", "done"),
        FLAGS,
        FLAGS,
        ("ivr", "queued", "routed", "assigned", "wrap-up", "completed"),
        FLAGS,
    ):
        yield (
            {
                "id": "c", "rev": 3, "status": status, "assignedUsers": users[0], "queue": queue(queues[0]),
                "ended": ended, "deleted": deleted,
            },
            {
                "id": "w", "rev": 5, "status": item_status, "assignedTo": users[1], "queue": queue(queues[1]),
                "paused": paused,
            },
        )  # fmt: skip


def queue(key: str | None) -> Json | None:
    """As `decide` writes a queue."""
    return None if key is None else {"id": key}
