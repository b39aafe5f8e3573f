"""The composed engine's actions: each takes a work-item and returns one.

No action changes the status, a timing or a counter. The composition sets the status, and timings.py derives timings and
counters from the change of status.
"""

from msgspec.structs import replace

from commands.context import RoutingQueue
from commands.work_item import WorkItem


def change_queue(item: WorkItem, queue_id: str, rule: str | None, queue: RoutingQueue | None) -> WorkItem:
    """`changeQueue(q)`: sets queue and rule, and size and priority where `queue` is known and sets them.

    A rule belongs to its queue: another queue without a rule clears it, the same queue keeps it.
    """
    kept_rule = item.rule if item.queue == queue_id and rule is None else rule
    item = replace(item, queue=queue_id, rule=kept_rule)
    if queue is None:
        return item
    return replace(
        item,
        item_size=item.item_size if queue.item_size is None else queue.item_size,
        priority=item.priority if queue.priority is None else queue.priority,
    )


def leave_queue(item: WorkItem) -> WorkItem:
    """`changeQueue(null)`: clears queue and rule."""
    return replace(item, queue=None, rule=None)


def assign(item: WorkItem, user: str, session: str | None) -> WorkItem:
    """`assign(u)`: sets assignedTo, acceptedBy and the session; None where the user has no active session."""
    return replace(item, assigned_to=user, accepted_by=user, session=session)


def unassign(item: WorkItem) -> WorkItem:
    """`unassign`: clears assignedTo, acceptedBy, session and team."""
    return replace(item, assigned_to=None, accepted_by=None, session=None, team=None)


def route(item: WorkItem, user: str, session: str | None) -> WorkItem:
    """`route(u)`: offers the item to a user, pending on the session; clears assignedTo and acceptedBy."""
    return replace(item, routed_to=user, session=session, assigned_to=None, accepted_by=None)


def unroute(item: WorkItem) -> WorkItem:
    """`unroute`: clears the offer and its pending place on the session."""
    return replace(item, routed_to=None, session=None)


def take_session(item: WorkItem, session: str | None) -> WorkItem:
    """Part of `assign` for the user who has the item already: sets the session alone."""
    return replace(item, session=session)


def leave_session(item: WorkItem) -> WorkItem:
    """Part of `completed`: clears the session and keeps assignedTo as history."""
    return replace(item, session=None)


def pause(item: WorkItem, *, paused: bool) -> WorkItem:
    """`pause`, `unpause`: sets the flag."""
    return replace(item, paused=paused)
