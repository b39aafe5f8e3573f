"""Timings: the time records that a change of status writes, derived from the status before and the status after.

| the status | then |
|---|---|
| becomes queued | `lastRevision = {enteredQueueAt}`; `resourceFirstQueueTime` once |
| leaves queued | `lastRevision.queueTime`, `.queueBusinessTime` |
| becomes ivr / leaves ivr | `ivr.enteredAt` / `ivr.time`, `.businessTime` grow by the stay, `enteredAt` goes |
| becomes routed | `lastRevision.routedAt`, `resourceFirstRouteTime` once |
| becomes assigned | `lastRevision.acceptedAt`, `resourceFirstAssignTime` once |
| becomes wrap-up | `wrapUp.enteredAt`; from assigned `handle.time` grows by the time since `acceptedAt` or its resume |
| leaves wrap-up | `wrapUp.time` grows by the stay |
| becomes completed | `completedAt`; from assigned `handle.time` as above |
| leaves assigned for queued or ivr | `handle.time` as above |

All times are milliseconds. A stay counts as 0 if the time of its entry is unknown, or if a clock that was set back
makes it negative. A work-item that is offered again while it is routed has a new `routedAt` (`offer_again`).
Reference: docs/commands.md, *Timings*.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import assert_never

from msgspec.structs import replace

from commands.work_item import HandleDuration, QueuePass, Status, StatusDuration, WorkItem

Calendar = Callable[[datetime, datetime], int]
"""The business time between two instants, milliseconds."""

_MILLISECOND = timedelta(milliseconds=1)


def elapsed_ms(since: datetime | None, now: datetime) -> int:
    """Milliseconds from `since` to `now`, rounded down; 0 where `since` is unknown or after `now`."""
    return max((now - since) // _MILLISECOND, 0) if since is not None else 0


def always_open(since: datetime, until: datetime) -> int:
    """The calendar of a business that never closes."""
    return elapsed_ms(since, until)


def enter_queue(item: WorkItem, *, now: datetime, entered_at: datetime | None) -> WorkItem:
    """The item with a new pass through the queue, from `entered_at` where it keeps an older place, else from `now`."""
    entered = entered_at or now
    return replace(
        item,
        queued_count=item.queued_count + 1,
        first_enter_queue_at=item.first_enter_queue_at or entered,
        last_revision=QueuePass(entered_queue_at=entered),
    )


def offer_again(item: WorkItem, *, now: datetime) -> WorkItem:
    """A routed item that is offered again: a new `routedAt`, whether or not the user is another."""
    return replace(item, last_revision=replace(item.last_revision or QueuePass(), routed_at=now))


def with_timings(
    before: WorkItem, after: WorkItem, *, now: datetime, calendar: Calendar, via_assigned: bool = False
) -> WorkItem:
    """`after` with the timings that its change of status writes; `after` itself where the status is the same.

    `via_assigned`: the item became assigned on its way to the status that it has. Then the timings are those of two
    changes of status, so that they do not depend on whether one update made both.
    """
    if before.status is after.status:
        return after
    if via_assigned:
        assigned = with_timings(before, replace(after, status=Status.ASSIGNED), now=now, calendar=calendar)
        return with_timings(assigned, replace(assigned, status=after.status), now=now, calendar=calendar)
    return _become(before, _leave(before, after, now, calendar), now)


def with_first_timings(item: WorkItem, *, now: datetime) -> WorkItem:
    """A new item with the timings of the status in which it is created. It was in no status before."""
    return _become(item, item, now)


def _leave(before: WorkItem, item: WorkItem, now: datetime, calendar: Calendar) -> WorkItem:
    match before.status:
        case Status.QUEUED:
            entered = before.last_revision.entered_queue_at if before.last_revision else None
            last = replace(
                item.last_revision or QueuePass(),
                queue_time_ms=elapsed_ms(entered, now),
                queue_business_time_ms=_business_ms(entered, now, calendar),
            )
            return replace(item, last_revision=last)
        case Status.IVR:
            stay = item.ivr or StatusDuration()
            return replace(item, ivr=_with_stay(stay, now, calendar, business=True, entered_at=None))
        case Status.WRAP_UP:
            stay = item.wrap_up or StatusDuration()
            return replace(item, wrap_up=_with_stay(stay, now, calendar, business=False, entered_at=stay.entered_at))
        case Status.ASSIGNED if item.status is not Status.ROUTED:
            return replace(item, handle=_handle_until(before, now))
        case _:
            return item


def _become(before: WorkItem, item: WorkItem, now: datetime) -> WorkItem:
    since_created = elapsed_ms(item.resource_created_at, now) if item.resource_created_at else None
    match item.status:
        case Status.QUEUED:
            first = item.resource_first_queue_time_ms
            kept = item.last_revision.entered_queue_at if item.last_revision else None
            return replace(
                item,
                last_revision=QueuePass(entered_queue_at=kept),
                resource_first_queue_time_ms=since_created if first is None else first,
            )
        case Status.IVR:
            return replace(item, ivr=replace(item.ivr or StatusDuration(), entered_at=now))
        case Status.ROUTED:
            first = item.resource_first_route_time_ms
            return replace(
                item,
                last_revision=replace(item.last_revision or QueuePass(), routed_at=now),
                resource_first_route_time_ms=since_created if first is None else first,
            )
        case Status.ASSIGNED:
            return _become_assigned(before, item, now, since_created)
        case Status.WRAP_UP:
            return replace(item, wrap_up=replace(item.wrap_up or StatusDuration(), entered_at=now))
        case Status.COMPLETED:
            return replace(item, completed_at=now)
        case _:
            assert_never(item.status)


def _become_assigned(before: WorkItem, item: WorkItem, now: datetime, since_created: int | None) -> WorkItem:
    first = item.resource_first_assign_time_ms
    item = replace(item, resource_first_assign_time_ms=since_created if first is None else first)
    last = item.last_revision or QueuePass()
    if before.status is Status.WRAP_UP:
        # An item that comes back from wrap-up keeps its acceptance time. The handle time up to wrap-up is already
        # counted, so the next count starts at `resumed_at`.
        accepted = last.accepted_at or now
        handle = replace(item.handle or HandleDuration(), resumed_at=now)
        return replace(item, last_revision=replace(last, accepted_at=accepted), handle=handle)
    return replace(item, last_revision=replace(last, accepted_at=now))


def _handle_until(before: WorkItem, now: datetime) -> HandleDuration:
    handle = before.handle or HandleDuration()
    accepted_at = before.last_revision.accepted_at if before.last_revision else None
    since = max((at for at in (accepted_at, handle.resumed_at) if at is not None), default=None)
    return replace(handle, time_ms=(handle.time_ms or 0) + elapsed_ms(since, now))


def _with_stay(
    stay: StatusDuration, now: datetime, calendar: Calendar, *, business: bool, entered_at: datetime | None
) -> StatusDuration:
    return replace(
        stay,
        time_ms=(stay.time_ms or 0) + elapsed_ms(stay.entered_at, now),
        business_time_ms=(stay.business_time_ms or 0) + _business_ms(stay.entered_at, now, calendar)
        if business
        else stay.business_time_ms,
        entered_at=entered_at,
    )


def _business_ms(since: datetime | None, now: datetime, calendar: Calendar) -> int:
    return max(calendar(since, now), 0) if since is not None and since < now else 0
