"""The use case: an update of one work-item that a client of the API sent.

It goes through the same commands, store and audit as a sync: work-item, sync state, revision record, session changes
and outbox entry are written in one transaction. After a write conflict the pair is loaded and the update executed anew,
so that no other write is lost and the update is written once. An update that names `rev` is then refused with
`REVISION_CONFLICT` if the work-item has another revision.
"""

from typing import Final, assert_never

from msgspec.structs import replace

from commands.context import UnreadableRecord
from commands.reason import ReasonCode
from commands.update import QueueChoice
from handlers.documents.stored_forms import UnreadableDocument, unreadable
from handlers.options import Options, PlanningContext
from handlers.planning.planners.update import (
    FailedUpdate,
    NoWorkItem,
    UpdateRequest,
    UpdateResult,
    failed_update,
    plan_update,
)
from handlers.ports import (
    Chance,
    Clock,
    CommitResult,
    Document,
    Ids,
    PlanRejected,
    Store,
    StoreAway,
    WorkItems,
)

_NOT_FOUND: Final = NoWorkItem()


class WorkItemUpdate:
    """Handles updates; keeps nothing between them."""

    def __init__(
        self, *, store: Store, work_items: WorkItems, clock: Clock, ids: Ids, chance: Chance, options: Options
    ) -> None:
        self._store = store
        self._work_items = work_items
        self._clock = clock
        self._ids = ids
        self._chance = chance
        self._options = options

    async def handle(self, request: UpdateRequest, *, org: str | None = None) -> UpdateResult:
        """The update's result. `org`: the only org whose work-items the client may change; None: every org.

        Raises StoreAway. Then the update may have been written, as its answer may be what was lost.
        """
        document = await self._work_items.work_item(request.work_item_id, org=org)
        if document is None:
            return _NOT_FOUND
        queue = request.update.queue
        if isinstance(queue, QueueChoice) and queue.key is not None:
            queue_id = await self._work_items.queue_id(queue.key, org=document.get("org"))
            request = replace(request, queue_id=queue_id)
        try:
            conversation_id = _conversation_id(document)
        except UnreadableDocument as fault:
            return self._unreadable(None, request, fault)
        return await self._update(conversation_id, request)

    async def _update(self, conversation_id: str, request: UpdateRequest) -> UpdateResult:
        for attempt in range(self._options.conflict_attempts_max + 1):
            if attempt:
                await self._clock.sleep(self._options.conflict_pause_s(attempt - 1, self._chance))
            load = request.load_request(conversation_id, waiting_times=self._options.waiting_times)
            pairs = await self._store.load([load])
            try:
                planned = plan_update(conversation_id, pairs[conversation_id], request, planning=self._planning())
            except (UnreadableDocument, UnreadableRecord) as fault:
                return self._unreadable(conversation_id, request, fault)
            [committed] = await self._store.commit([planned.plan])
            match committed:
                case CommitResult.COMMITTED:
                    return planned.result
                case CommitResult.CONFLICT:
                    continue
                case CommitResult.AWAY | CommitResult.TIMED_OUT:
                    raise StoreAway("the store went away while the update was written")
                case PlanRejected(reason=reason):
                    return self._failed(conversation_id, request, ReasonCode.PLAN_REJECTED, reason)
                case _:
                    assert_never(committed)
        detail = f"lost {self._options.conflict_attempts_max + 1} times against other writers"
        return self._failed(conversation_id, request, ReasonCode.CONFLICT, detail)

    def _planning(self) -> PlanningContext:
        now = self._clock.now()
        # No field starts to wait here, so SQS's clock is not needed.
        return PlanningContext(now=now, queue_now=now, ids=self._ids, options=self._options)

    def _unreadable(self, conversation_id: str | None, request: UpdateRequest, fault: Exception) -> FailedUpdate:
        return self._failed(conversation_id, request, ReasonCode.STORED_DOCUMENT_UNREADABLE, str(fault))

    def _failed(
        self, conversation_id: str | None, request: UpdateRequest, code: ReasonCode, detail: str
    ) -> FailedUpdate:
        return failed_update(conversation_id, request, code, detail, planning=self._planning())


def _conversation_id(document: Document) -> str:
    conversation_id = document.get("conversationId")
    if isinstance(conversation_id, str):
        return conversation_id
    raise unreadable({"conversationId": None, **document}, ("conversationId",), "a text")
