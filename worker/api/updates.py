"""Updates under way: an update is finished even if its client's time is up.

What is committed is then in the audit and published at once, and not left to the relay.
"""

import asyncio
from typing import assert_never

from handlers.planning.update_planner import (
    FailedUpdate,
    NoWorkItem,
    RefusedUpdate,
    UpdatedWorkItem,
    UpdateRequest,
    UpdateResult,
)
from handlers.work_item_update import WorkItemUpdate
from worker.ports import Announcer
from worker.telemetry.audit_log import log_updated
from worker.telemetry.metrics import Telemetry


class Updates:
    """One for the process."""

    def __init__(self, use_case: WorkItemUpdate, *, announcer: Announcer, telemetry: Telemetry) -> None:
        self._use_case = use_case
        self._announcer = announcer
        self._telemetry = telemetry
        self._under_way: set[asyncio.Task[UpdateResult]] = set()

    async def handle(self, request: UpdateRequest, *, org: str | None) -> UpdateResult:
        """The update's result; it is in the audit, and its event is on its way. Raises StoreAway."""
        task = asyncio.create_task(self._handle(request, org))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return await asyncio.shield(task)

    async def finish(self) -> None:
        """Wait for the updates under way."""
        if self._under_way:
            await asyncio.wait(self._under_way)

    async def _handle(self, request: UpdateRequest, org: str | None) -> UpdateResult:
        result = await self._use_case.handle(request, org=org)
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
