"""A consistent work-item in each status, for the small examples."""

from typing import Any

import pytest

from commands.work_item import QueuePass, Status, WorkItem
from tests.commands.items import T0

ACTIVE = [status for status in Status if status is not Status.COMPLETED]
EVERY_STATUS = pytest.mark.parametrize("status", ACTIVE, ids=lambda status: status.value)


def a(status: Status, **fields: Any) -> WorkItem:
    """A consistent work-item in a status: queued has a queue, routed an offer, assigned a user with a session."""
    base: dict[str, Any] = {"id": "w", "rev": 7, "status": status, "item_size": 1, "priority": 9}
    if status in (Status.QUEUED, Status.ROUTED):
        base |= {"queue": "q1", "rule": "r1", "queued_count": 1, "first_enter_queue_at": T0}
        base |= {"last_revision": QueuePass(entered_queue_at=T0), "item_size": 2, "priority": 3}
    if status is Status.ROUTED:
        base |= {"routed_to": "u1", "session": "s1"}
    if status in (Status.ASSIGNED, Status.WRAP_UP):
        base |= {"assigned_to": "u1", "accepted_by": "u1", "session": "s1", "team": "t1"}
    return WorkItem(**{**base, **fields})
