"""Waiting times: what the API tells of each queue, and what the demo's own clock saw from outside."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from commands.instant import format_instant
from demo.processes import Api, DemoError
from demo.story import Step, UpdateStep


class StepSpan(Struct, frozen=True):
    """The time of a step: its write happened in between."""

    begun: datetime
    ended: datetime


class ToldWait(Struct, frozen=True, kw_only=True):
    """The latest wait of a queue as the API tells it, in seconds and in milliseconds, and the work-item that waited."""

    queue: str
    seconds: int
    milliseconds: int
    work_item: str


class ToldWaits(Struct, frozen=True, kw_only=True):
    """The latest wait of each queue, and the milliseconds of the one that ended last of all."""

    waits: Sequence[ToldWait]
    last_of_all: int


class OwnClock:
    """When work-items entered and left their queues, by the demo's clock."""

    def __init__(self) -> None:
        self._begun = datetime.now(UTC)
        self._entered: dict[str, StepSpan] = {}
        self._left: dict[str, StepSpan] = {}

    def note(self, step: Step, span: StepSpan) -> None:
        """A step of the story was played in that time."""
        if step.enters is not None:
            earlier = timedelta(seconds=step.enters.earlier_s)
            self._entered[step.enters.queue] = StepSpan(span.begun - earlier, span.ended - earlier)
        if isinstance(step, UpdateStep) and step.leaves is not None:
            self._left[step.leaves] = span

    def bounds_ms(self, queue: str) -> tuple[int, int]:
        """The least and the most milliseconds that a work-item waited in the queue."""
        entered, left = self._entered[queue], self._left[queue]
        # Stored times have whole milliseconds.
        least, most = _ms(left.begun - entered.ended), _ms(left.ended - entered.begun)
        return max(0, math.floor(least) - 1), math.ceil(most) + 1

    def agrees(self, told: ToldWaits, work_item: str) -> bool:
        """Whether the wait of every queue is told, of that work-item, as the clock saw it."""
        told_ms = {wait.queue: wait.milliseconds for wait in told.waits}
        last = max(self._left, key=lambda queue: self._left[queue].ended)
        return (
            told_ms.keys() == self._left.keys()
            and told.last_of_all == told_ms[last]
            and all(self._saw(wait) and wait.work_item == work_item for wait in told.waits)
        )

    def told_by(self, api: Api) -> ToldWaits:
        """What the API tells of the queues that work-items have left; raises `DemoError` where it tells nothing."""
        queues = sorted(self._left)
        metrics = api.get(f"/v1/chat/queues/metrics/{','.join(queues)}").data
        ended = {"from": format_instant(self._begun), "to": format_instant(datetime.now(UTC) + timedelta(minutes=1))}
        chart = api.post(
            "/v1/charts/query/standard/work_items_latest_wait_time",
            {"name": "work_items_latest_wait_time", "range": ended, "query": {"queueId": queues}},
        ).data["results"]["latestWaitTime"]
        try:
            waits = [
                ToldWait(
                    queue=each["id"],
                    seconds=each["attributes"]["latestWaitTimeSeconds"],
                    milliseconds=chart[each["id"]]["data"],
                    work_item=each["relationships"]["workItem"]["data"]["id"],
                )
                for each in metrics
            ]
        except (KeyError, TypeError) as error:
            raise DemoError(f"the API tells no wait of {', '.join(queues)}: {metrics}, {chart}") from error
        return ToldWaits(waits=waits, last_of_all=chart["data"])

    def _saw(self, wait: ToldWait) -> bool:
        least, most = self.bounds_ms(wait.queue)
        return least <= wait.milliseconds <= most and wait.seconds == wait.milliseconds // 1_000


def _ms(time: timedelta) -> float:
    return time / timedelta(milliseconds=1)
