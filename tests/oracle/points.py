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
ITEM_STATUSES: Final = (
    ("ivr", 0), ("ivr", 1), ("queued", 1), ("routed", 1), ("assigned", 1), ("wrap-up", 1), ("completed", 1),
)  # fmt: skip
"""A work-item's status, and how often it was queued: a rule asks that of ivr alone."""
COUNT: Final = 5 * 5 * 3 * 2 * 2 * (6 + 1) * 2


def pairs() -> Iterator[tuple[Json, Json]]:
    """Each pair: the conversation at revision 3, the work-item at revision 5. An ivr work-item was queued or never."""
    for users, queues, status, ended, deleted, (item_status, queued_count), paused in product(
        USERS,
        QUEUES,
        ("open", "snoozed", "done"),
        FLAGS,
        FLAGS,
        ITEM_STATUSES,
        FLAGS,
    ):
        yield (
            {
                "id": "c", "rev": 3, "status": status, "assignedUsers": users[0], "queue": queue(queues[0]),
                "ended": ended, "deleted": deleted,
            },
            {
                "id": "w", "rev": 5, "status": item_status, "assignedTo": users[1], "queue": queue(queues[1]),
                "paused": paused, "queuedCount": queued_count,
            },
        )  # fmt: skip


def queue(key: str | None) -> Json | None:
    """As `decide` writes a queue."""
    return None if key is None else {"id": key}


def states_after_a_completion() -> Iterator[tuple[Json, Json]]:
    """Each state of a conversation at revision 3 for rule A7, with the work-item's fields that go with it.

    The completion of work-item 1 was taken in at the conversation's revision 2; a later write of the status, what the
    later work-item's maker knew, and the conversation's revisions that were observed vary.
    """
    for done_by, number, knew, resource_rev, changed, observed in product(
        (None, {"number": 1, "rev": 2}), (1, 2), (None, 0, 1, 2, 3), (None, 1, 2), (0, 1, 2, 3), (None, [[1, 2]])
    ):
        state: Json = {"changed": {"status": changed}, "known": {} if knew is None else {"status": knew}}
        if done_by is not None:
            state["doneBy"] = done_by
        if observed is not None:
            state["observed"] = {"conversation": observed, "workItem": [[1, 5]]}
        item = {"workItemNumber": number}
        yield state, item if resource_rev is None else {**item, "resourceRev": resource_rev}
