"""Updates under way: an update is finished even if its client's time is up.

What is committed is then in the audit and published at once, and not left to the relay. They are
bounded: a client whose time is up gives its room at the gate back and sends again, and a slow store would gather
updates without end.
"""

import asyncio
from functools import partial
from typing import assert_never

from handlers.planning.planners.update import (
    FailedUpdate,
    NoWorkItem,
    RefusedUpdate,
    UpdatedWorkItem,
    UpdateRequest,
    UpdateResult,
)
from handlers.ports import StoreAway
from handlers.work_item_update import WorkItemUpdate
from worker.api.room import Room, RoomTaken
from worker.errors import first_line
from worker.ports.outbox import Announcer
from worker.telemetry.audit_log import log_updated
from worker.telemetry.logs import error_fields
from worker.telemetry.metrics import Telemetry


class TooManyUpdates(Exception):
    """There is no room for one more update. `taken`: why."""

    def __init__(self, taken: RoomTaken) -> None:
        super().__init__(taken.detail)
        self.taken = taken


class Updates:
    """One for the process."""

    def __init__(self, use_case: WorkItemUpdate, *, announcer: Announcer, telemetry: Telemetry, room: Room) -> None:
        self._use_case = use_case
        self._room = room
        self._announcer = announcer
        self._telemetry = telemetry
        self._under_way: set[asyncio.Task[UpdateResult]] = set()

    async def handle(self, request: UpdateRequest, *, org: str | None) -> UpdateResult:
        """The update's result; it is in the audit, and its event is on its way. Raises StoreAway, and TooManyUpdates:
        then nothing of it was begun."""
        taken = self._room.taken(request.client)
        if taken is not None:
            raise TooManyUpdates(taken)
        task = asyncio.create_task(self._handle(request, org))
        self._room.enter(request.client)
        self._under_way.add(task)
        task.add_done_callback(partial(self._ended, request.client))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(partial(self._tell_failure, request.work_item_id))
            raise

    def _ended(self, client: str | None, task: "asyncio.Task[UpdateResult]") -> None:
        self._under_way.discard(task)
        self._room.leave(client)

    async def finish(self) -> None:
        """Wait for the updates under way."""
        if self._under_way:
            await asyncio.wait(self._under_way)

    def _tell_failure(self, work_item_id: str, task: "asyncio.Task[UpdateResult]") -> None:
        """Log an exception of an update that nobody waits for any more."""
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, StoreAway):
            self._telemetry.log.error(
                "an update ended by a fault in our code", workItemId=work_item_id, **error_fields(error)
            )

    async def _handle(self, request: UpdateRequest, org: str | None) -> UpdateResult:
        try:
            result = await self._use_case.handle(request, org=org)
        except StoreAway as away:
            # Without a store there is no audit record: whether the update was written is not known.
            self._telemetry.log.warning(
                "store away, an update may have been written",
                workItemId=request.work_item_id,
                client=request.client,
                reason=first_line(away),
            )
            raise
        match result:
            case UpdatedWorkItem():
                log_updated(result.audit, self._telemetry)
                self._announcer.offer(result.announcements)
            case RefusedUpdate() | FailedUpdate():
                log_updated(result.audit, self._telemetry)
            case NoWorkItem():
                pass
            case _:
                assert_never(result)
        return result
