"""A new work-item: assigned, queued or ivr, by what its resource names.

| the resource has | the new work-item is |
|---|---|
| an assignee | assigned to them, on their active session, and keeps the queue for later |
| a queue, and no assignee | queued |
| neither | ivr |

Its size and priority are those of its queue, else 1 each.
"""

from datetime import datetime
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from commands.actions import assign, change_queue
from commands.context import CommandContext
from commands.session import DEFAULT_ITEM_SIZE
from commands.timings import enter_queue, with_first_timings
from commands.work_item import Status, WorkItem

FIRST_REV: Final = 1
DEFAULT_PRIORITY: Final = 1


class Resource(Struct, frozen=True, kw_only=True):
    """The part of a work-item's resource that a new work-item takes over. `rev`: the resource's revision as read."""

    rev: int
    created_at: datetime | None = None
    assignee: str | None = None
    queue: str | None = None


def plain_work_item(key: str, *, number: int, resource: Resource, now: datetime) -> WorkItem:
    """The new work-item before it is assigned or queued: ivr, of no queue, without timings."""
    return WorkItem(
        id=key,
        rev=FIRST_REV,
        status=Status.IVR,
        number=number,
        item_size=DEFAULT_ITEM_SIZE,
        priority=DEFAULT_PRIORITY,
        resource_rev=resource.rev,
        resource_created_at=resource.created_at,
        updated_at=now,
    )


def new_work_item(plain: WorkItem, resource: Resource, *, context: CommandContext, now: datetime) -> WorkItem:
    """The plain work-item as its resource wants it, with its first timings. Raises UnreadableRecord."""
    item = plain
    if resource.queue is not None:
        item = change_queue(item, resource.queue, None, context.queue(resource.queue))
    if resource.assignee is not None:
        session = context.session_id_for(resource.assignee, item=item.id)
        item = replace(assign(item, resource.assignee, session), status=Status.ASSIGNED)
    elif resource.queue is not None:
        item = enter_queue(replace(item, status=Status.QUEUED), now=now, entered_at=None)
    return with_first_timings(item, now=now)
