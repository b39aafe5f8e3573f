"""A system at 3 a.m.: pairs that wait, queues, decisions and workers, some of which are away.

Every text that a customer could have written is `CUSTOMER`."""

from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.structs import replace

from sync.conversation import FIELDS, Field
from sync.state.sync_state import SyncState, ViewedValue, Waiting
from tests.worker.store.plans import announcement, conversation, work_item
from worker.ports.status import DeadLetterCount, DecisionReason, FoundDrift, PartHealth, RecentDecision, WorkerReport
from worker.store.state_document import state_document

NOW = datetime(2024, 5, 6, 3, 0, 0, tzinfo=UTC)
CUSTOMER = "customerwords"

IN_STEP = "5ff4a1b2c3d4e5f601234501"
WAITING = "5ff4a1b2c3d4e5f601234502"
UNHEARD = "5ff4a1b2c3d4e5f601234503"
OUT_OF_STEP = "5ff4a1b2c3d4e5f601234504"
DELETED = "5ff4a1b2c3d4e5f601234505"
UNREADABLE = "5ff4a1b2c3d4e5f601234506"
FAULT = 'attributes.assignedUsers is the text "u-anna", not `array | null`'
QUEUES = ("q-chat", "q-mail", "q-quiet", "q-voice")
DETAIL = "the conversation was never stored"
LONG_ID = "5ff4a1b2" * 25
ODD_ID = "odd/id?<b>&\"' é"


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def _text(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"


def _conversation(key: str, rev: int, **attributes: Any) -> dict[str, Any]:
    words = {"name": CUSTOMER, "preview": CUSTOMER, "tags": [CUSTOMER], "custom": {"noteStr": CUSTOMER}}
    return conversation(key, rev, updatedAt=_text(ago(90)), **words, **attributes)


def _work_item(key: str, conversation_id: str, rev: int, *, entered_s: float | None = None, **attributes: Any) -> Any:
    passed = {} if entered_s is None else {"lastRevision": {"enteredQueueAt": _text(ago(entered_s))}}
    words = {"subject": CUSTOMER, "updatedAt": _text(ago(80))}
    active = attributes.get("status") != "completed"
    item = work_item(key, conversation_id, rev, active=active, **words, **passed, **attributes)
    return {**item, "relationships": {"resource": {"data": {"id": conversation_id, "type": "conversation"}}}}


def in_queue(document: dict[str, Any], queue: str) -> dict[str, Any]:
    link = {"queue": {"data": {"id": queue, "type": "queue"}}}
    return {**document, "relationships": {**document["relationships"], **link}}


def _assigned(document: dict[str, Any], user: str) -> dict[str, Any]:
    link = {"assignedTo": {"data": {"id": user, "type": "user"}}}
    return {**document, "relationships": {**document["relationships"], **link}}


def _state(item: str, conversation_rev: int, item_rev: int, **fields: Any) -> SyncState:
    all_known: dict[Field, int] = dict.fromkeys(FIELDS, 1)
    return replace(
        SyncState(
            version=4,
            conversation_observed=((1, conversation_rev),),
            conversation_rev=conversation_rev,
            work_item=item,
            work_item_number=1,
            work_item_observed=((1, item_rev),),
            work_item_rev=item_rev,
            view={name: ViewedValue(value=None, rev=1) for name in FIELDS},
            changed=all_known,
            known=all_known,
            known_at=all_known,
        ),
        **fields,
    )


def waiting(state: SyncState, seconds: float) -> SyncState:
    waiting = Waiting(since=ago(seconds), conversation_rev=state.conversation_rev, work_item_rev=state.work_item_rev)
    return replace(state, waiting=waiting)


def not_waiting(state: SyncState) -> SyncState:
    return replace(state, waiting=None)


def conversations() -> list[dict[str, Any]]:
    return [
        _conversation(IN_STEP, 3),
        in_queue(_conversation(WAITING, 8, status="open", assignedUsers=["u-anna"]), "q-chat"),
        in_queue(_conversation(UNHEARD, 5, assignedUsers=[]), "q-chat"),
        in_queue(_conversation(OUT_OF_STEP, 4, assignedUsers=["u-bo"]), "q-mail"),
        _conversation(UNREADABLE, 2, assignedUsers="u-anna"),
        in_queue(_conversation(ODD_ID, 3, ended=True), "q-mail"),
    ]


def work_items() -> list[dict[str, Any]]:
    queue = [
        in_queue(_work_item(f"w-chat-{n}", f"c-chat-{n}", 1, entered_s=20 + 61 * n, status="queued"), "q-chat")
        for n in range(4)
    ]
    return [
        _work_item("w-1", IN_STEP, 2, status="ivr"),
        in_queue(_work_item("w-2", WAITING, 4, entered_s=300, status="queued"), "q-chat"),
        _assigned(in_queue(_work_item("w-3", UNHEARD, 6, status="assigned"), "q-chat"), "u-anna"),
        in_queue(_work_item("w-4", OUT_OF_STEP, 3, entered_s=45, status="queued"), "q-mail"),
        _work_item("w-5", DELETED, 9, status="completed"),
        _work_item("w-6", UNREADABLE, 2, status="ivr"),
        in_queue(_work_item("w-7", ODD_ID, 3, entered_s=4_000, status="queued"), "q-mail"),
        *queue,
    ]


def states() -> dict[str, SyncState]:
    every: dict[Field, int] = dict.fromkeys(FIELDS, 1)
    return {
        IN_STEP: _state("w-1", 3, 2),
        WAITING: waiting(
            _state("w-2", 8, 4, conversation_observed=((1, 5), (8, 8)), changed=every, known={**every, "assignee": 5}),
            42,
        ),
        UNHEARD: waiting(_state("w-3", 5, 6, work_item_observed=((1, 4), (6, 6))), 130),
        OUT_OF_STEP: _state("w-4", 4, 3, changed={**every, "assignee": 4}),
        DELETED: _state("w-5", 6, 9, deleted_rev=7, finished_at=ago(7_200)),
        UNREADABLE: waiting(_state("w-6", 2, 2), 600),
        ODD_ID: waiting(_state("w-7", 3, 3, conversation_observed=((1, 1),)), 15),
    }


def state_documents() -> list[dict[str, Any]]:
    return [state_document(key, state) for key, state in states().items()]


def waits() -> list[dict[str, Any]]:
    ended = (("q-chat", "w-91", 7_000, 9_000), ("q-chat", "w-92", 65, 25_400), ("q-voice", "w-93", 50_000, 33_000))
    return [
        {
            "_id": f"{item}/1",
            "org": "o1",
            "queue": queue,
            "workItemId": item,
            "rev": 2,
            "endedAt": ago(age_s),
            "durationMs": duration_ms,
        }
        for queue, item, age_s, duration_ms in ended
    ]


def announcements() -> list[Any]:
    return [announcement(f"m-{n}", WAITING, at=ago(30 + 60 * n)) for n in range(3)]


def decision(at: datetime, key: str, *codes: tuple[str, str, str | None], **fields: Any) -> RecentDecision:
    given: dict[str, Any] = {
        "outcome": "applied",
        "direction": "forward",
        "trigger": "conversation",
        "work_item_id": "w-1",
    }
    reasons = tuple(DecisionReason(action=action, code=code, rule=rule) for action, code, rule in codes)
    return RecentDecision(at=at, conversation_id=key, reasons=reasons, **{**given, **fields})


def drifts() -> tuple[FoundDrift, ...]:
    return (
        FoundDrift(
            at=ago(190),
            drift="OUT_OF_STEP",
            end="repaired",
            settled=True,
            conversation_id=IN_STEP,
            work_item_id="w-1",
            since=ago(86_400),
            fields=("assignee", "queue"),
        ),
        FoundDrift(
            at=ago(185),
            drift="NO_CONVERSATION",
            end="told",
            settled=False,
            conversation_id="5ff4a1b2c3d4e5f601234507",
            work_item_id="w-8",
            detail=DETAIL,
        ),
    )


UPDATED = "kustomer.conversation.update"
NOT_JSON = ("NOT_JSON", "the body is not JSON: unexpected character", "other")
WRONG_STATUS = ("INVALID_FIELD", "data.attributes.status: Input should be 'open', 'snoozed' or 'done'", UPDATED)
GIVEN_UP = ("NO_CODE", "STORED_DOCUMENT_UNREADABLE at each delivery", UPDATED)


def given_up(kind: tuple[str, str, str], count: int, age_s: float) -> DeadLetterCount:
    code, reason, event = kind
    return DeadLetterCount(code=code, reason=reason, event=event, count=count, last=ago(age_s))


def reports() -> list[WorkerReport]:
    good = tuple(PartHealth(part=part) for part in ("queue", "store", "pipelines", "progress"))
    decisions = (
        decision(
            ago(40), WAITING, ("SKIP_SYNC", "AWAITING_EARLIER_EVENT", None),
            outcome="skipped", direction=None, waiting_fields=("assignee",), work_item_id="w-2",
            event="kustomer.conversation.update", event_rev=8,
        ),
        decision(
            ago(12), IN_STEP, ("SYNC_WORK_ITEM", "CONVERSATION_ASSIGNED", "B1"),
            ("SYNC_WORK_ITEM", "CONVERSATION_QUEUE_CHANGED", "B8"),
            work_item_fields=("assignedTo", "queue"), event="kustomer.conversation.update", event_rev=3,
        ),
    )  # fmt: skip
    others = (
        decision(
            ago(25), OUT_OF_STEP, ("SYNC_CONVERSATION", "WORK_ITEM_QUEUED_UNASSIGNED", "A3"),
            direction="reverse", trigger="gap", conversation_fields=("assignedUsers",), work_item_id="w-4",
        ),
        decision(
            ago(5), UNREADABLE, ("FAULT", "STORED_DOCUMENT_UNREADABLE", None),
            outcome="failed", direction=None, work_item_id=None, event="kustomer.conversation.update", event_rev=2,
        ),
    )  # fmt: skip
    return [
        WorkerReport(
            worker="routing-sync-7d9f-abcde:1",
            interval_s=5,
            parts=good,
            watermark=_text(ago(123)),
            decisions=decisions,
            drifts=drifts(),
            dead_letters=(given_up(NOT_JSON, 3, 4_000), given_up(WRONG_STATUS, 40, 70)),
        ),
        WorkerReport(
            worker="routing-sync-7d9f-fghij:1",
            interval_s=5,
            parts=(PartHealth(part="queue", reason="queue away: could not connect"), *good[1:]),
            no_watermark="QUEUE_AWAY",
            decisions=others,
            dead_letters=(given_up(GIVEN_UP, 1, 9), given_up(NOT_JSON, 2, 500)),
        ),
    ]
