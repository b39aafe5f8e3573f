"""The independent count of waiting times: from the committed revisions of each work-item, in their order.

It shares nothing with the worker's code. A wait ends with the revision that takes the work-item out of `queued` for
`routed` or `assigned`, also where the same write goes on to wrap-up or completed (then `acceptedAt` is new). It began
at the `enteredQueueAt` of the revision before, in that revision's queue, and ends at the time of the write.

A write of a service outside whose event was lost tells of its wait by a later event or by the stored document, with the
queue in which the work-item was by then. Where every event that could tell was lost, the wait may be missing.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from msgspec import Struct

from tests.faults.day.journal import ItemTimes, Revision

_TAKEN: Final = ("routed", "assigned")
_LATER: Final = ("wrap-up", "completed")


class CountedWait(Struct, frozen=True, kw_only=True):
    """A wait that has ended. `queues`: those that the record may name. `told` False: the record may be missing."""

    item: str
    entered_at: datetime
    ended_at: datetime
    queues: frozenset[str | None]
    told: bool

    @property
    def duration_ms(self) -> int:
        return (self.ended_at - self.entered_at) // timedelta(milliseconds=1)


def counted_waits(item: str, revisions: Sequence[Revision], lost: Collection[tuple[str, int]]) -> Iterator[CountedWait]:
    """The waits of a work-item. `lost`: the revisions whose events were lost and whose writer was a service outside."""
    for number in range(1, len(revisions)):
        before, after = revisions[number - 1].times, revisions[number].times
        assert before is not None
        assert after is not None
        if not _ends_wait(before, after) or before.entered_queue_at is None:
            continue
        tellers = list(_tellers(item, revisions[number:], lost))
        queue = before.queue
        is_told_best = (item, revisions[number].rev) not in lost
        queues = frozenset({queue} if is_told_best else {queue, *tellers})
        yield CountedWait(
            item=item,
            entered_at=before.entered_queue_at,
            ended_at=after.written_at,
            queues=queues,
            told=is_told_best or bool(tellers),
        )


def _ends_wait(before: ItemTimes, after: ItemTimes) -> bool:
    if before.status != "queued" or after.status == "queued":
        return False
    passed_through = after.status in _LATER and after.accepted_at not in (None, before.accepted_at)
    return after.status in _TAKEN or passed_through


def _tellers(item: str, revisions: Sequence[Revision], lost: Collection[tuple[str, int]]) -> Iterator[str | None]:
    """The queues that the later events name, up to the return to a queue, and the stored document at the end."""
    queue = None
    for revision in revisions:
        assert revision.times is not None
        if revision.times.status == "queued":
            # The event of the return says what stood there before.
            if (item, revision.rev) not in lost:
                yield queue
            return
        queue = revision.times.queue
        if (item, revision.rev) not in lost:
            yield queue
    yield queue


def waits_wrong(counted: Iterable[CountedWait], stored: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """How the stored records differ from the count, a line each."""
    # Two waits of a work-item that was put back begin at the same time, and end at different ones.
    records = {(each["workItemId"], each["enteredQueueAt"], each["endedAt"]): each for each in stored}
    for wait in counted:
        record = records.pop((wait.item, wait.entered_at, wait.ended_at), None)
        where = f"the wait of {wait.item} from {wait.entered_at:%H:%M:%S.%f} to {wait.ended_at:%H:%M:%S.%f}"
        if record is None:
            if wait.told:
                yield f"{where} is missing"
            continue
        if record["queue"] not in wait.queues:
            yield f"{where} is of queue {record['queue']}, counted {sorted(map(str, wait.queues))}"
        if record["durationMs"] != wait.duration_ms:
            yield f"{where} took {record['durationMs']} ms, counted {wait.duration_ms}"
    for item, entered_at, ended_at in records:
        yield f"the wait of {item} from {entered_at:%H:%M:%S.%f} to {ended_at:%H:%M:%S.%f} is stored and not counted"
