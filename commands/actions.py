"""The composed engine's actions: small, stateless, each one work-item in and one work-item out.

None of them touches the status, a timing or a counter: what a change of status entails is worked out once, at the end.
"""

from msgspec.structs import replace

from commands.context import RoutingQueue
from commands.work_item import WorkItem


def change_queue(item: WorkItem, queue: str, rule: str | None, known: RoutingQueue | None) -> WorkItem:
    """`changeQueue(q)`: id and rule; size and priority from the queue, as they were where it is not known.

    The rule belongs to the queue: another queue without a rule clears it, the same queue keeps it.
    """
    kept = item.rule if item.queue == queue and rule is None else rule
    item = replace(item, queue=queue, rule=kept)
    if known is None:
        return item
    return replace(
        item,
        item_size=item.item_size if known.item_size is None else known.item_size,
        priority=item.priority if known.priority is None else known.priority,
    )


def leave_queue(item: WorkItem) -> WorkItem:
    """`changeQueue(null)`: clears queue and rule."""
    return replace(item, queue=None, rule=None)


def assign(item: WorkItem, user: str, session: str | None) -> WorkItem:
    """`assign(u)`: assignedTo, acceptedBy, and the session, or none where the user has no active one."""
    return replace(item, assigned_to=user, accepted_by=user, session=session)


def unassign(item: WorkItem) -> WorkItem:
    """`unassign`: clears assignedTo, acceptedBy, session and team."""
    return replace(item, assigned_to=None, accepted_by=None, session=None, team=None)


def route(item: WorkItem, user: str, session: str | None) -> WorkItem:
    """`route(u)`: offered to a user, pending on the session; nobody's until accepted."""
    return replace(item, routed_to=user, session=session, assigned_to=None, accepted_by=None)


def unroute(item: WorkItem) -> WorkItem:
    """`unroute`: the offer and its pending place are gone."""
    return replace(item, routed_to=None, session=None)


def leave_session(item: WorkItem) -> WorkItem:
    """What `completed` does: assignedTo stays as history, the session does not."""
    return replace(item, session=None)


def pause(item: WorkItem, *, paused: bool) -> WorkItem:
    """`pause`, `unpause`: the flag."""
    return replace(item, paused=paused)
