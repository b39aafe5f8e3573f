"""The stories of the simulation: what the outside services write to a conversation and its work-items, and when."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final

from commands.instant import format_instant
from handlers.documents.document import document_from_snapshot
from handlers.documents.document_mapping import updated_conversation_document
from handlers.ports import Document
from tests.causality.outside import (
    CONVERSATION_WRITES,
    WORK_ITEM_WRITES,
    Fields,
    conversation_writes,
    conversation_written,
    work_item_created,
    work_item_updated,
)
from tests.causality.simulation.services import ConversationRecord, SimulatedServices
from tests.causality.virtual_time import Work

ROUTER_WRITES: Final[Mapping[str, Fields]] = {
    "offer u1": {"routed": {"to": "u1"}},
    "offer u2": {"routed": {"to": "u2"}},
    "u1 accepts": {"accepted": {"by": "u1"}},
    "u2 accepts": {"accepted": {"by": "u2"}},
    "u1 rejects": {"routed": {"rejectedBy": "u1"}},
    "u2 times out": {"routed": {"timedOut": "u2"}},
}
_ITEM_WRITES: Final = {**WORK_ITEM_WRITES, **ROUTER_WRITES}
_KINDS: Final = tuple(CONVERSATION_WRITES)
# A deletion ends a conversation: few of the writes are one.
_KINDS_BUT_DELETION: Final = tuple(kind for kind in CONVERSATION_WRITES if kind != "delete")
_STORM_WRITES: Final = 300


# Single writes


def write_conversation(services: SimulatedServices, case: ConversationRecord, fields: Fields) -> None:
    """Edit the conversation; no write where the edit changes nothing or the conversation is gone."""
    before = services.conversation(case)
    after = None if before is None else conversation_written(before, fields, services.conversation_now())
    if after is not None:
        services.wrote_conversation(case, before, after)


def touch(services: SimulatedServices, case: ConversationRecord) -> None:
    """The customer writes a message: no shared field changes."""
    before = services.conversation(case)
    if before is not None and not before["attributes"].get("deleted"):
        now = services.conversation_now()
        message = {"lastMessageAt": format_instant(now)}
        services.wrote_conversation(case, before, updated_conversation_document(before, message, now=now))


def write_item(services: SimulatedServices, case: ConversationRecord, fields: Fields, knew: int | None = None) -> None:
    """Update the active work-item; no write where there is none or the commands refuse it."""
    before = services.active_item(case)
    if before is None:
        return
    after = work_item_updated(before, fields, services.item_now(), services.sessions())
    if after is not None:
        services.wrote_item(case, before, after, case.last_rev if knew is None else knew)


async def any_conversation_write(services: SimulatedServices, case: ConversationRecord) -> None:
    """One edit of any kind that changes something."""
    before = services.conversation(case)
    kinds = _KINDS if services.random.random() < 0.2 else _KINDS_BUT_DELETION
    choices = [] if before is None else list(conversation_writes(before, kinds, services.conversation_now()))
    if choices:
        services.wrote_conversation(case, before, services.random.choice(choices)[1])


async def any_item_write(services: SimulatedServices, case: ConversationRecord) -> None:
    """Read the conversation, wait, and write the work-item as it is stored by then; make one where there is none."""
    knew = _rev(services, case)
    await services.time.sleep(services.random.random() * services.settings.reading_late_s)
    if services.active_item(case) is None:
        services.create_item(case, knew)
        return
    kinds = list(_ITEM_WRITES)
    services.random.shuffle(kinds)
    before = services.store.work_item(case.item_key)
    for kind in kinds:
        write_item(services, case, _ITEM_WRITES[kind], knew)
        if services.store.work_item(case.item_key) is not before:
            return


def any_write(services: SimulatedServices, case: ConversationRecord) -> Work:
    write = any_conversation_write if services.random.random() < 0.5 else any_item_write
    return write(services, case)


# Stories


async def random_writes(services: SimulatedServices, case: ConversationRecord) -> None:
    """Writes of any kind, at any time of the run: in a burst, or minutes apart."""
    for _ in range(services.random.randint(*services.settings.writes)):
        services.begin(any_write(services, case), after_s=services.random.random() * services.weather.writing_s)


async def lively_chat(services: SimulatedServices, case: ConversationRecord) -> None:
    """A customer writes every 20 s for many minutes; now and then an agent or the router writes, too."""
    await any_item_write(services, case)
    for _ in range(services.random.randint(6, 30)):
        await services.time.sleep(services.random.uniform(15, 25))
        touch(services, case)
        if services.random.random() < 0.2:
            services.begin(any_write(services, case), after_s=services.random.random() * 20)


async def queued(services: SimulatedServices, case: ConversationRecord) -> None:
    """A work-item in a queue, as the queue rules leave it."""
    if services.active_item(case) is None:
        services.create_item(case, _rev(services, case))
    await services.time.sleep(services.random.random())
    write_item(services, case, {"queue": "q1"})


async def take_reply_close(services: SimulatedServices, case: ConversationRecord) -> None:
    """An agent takes a queued conversation, replies and closes it, in quick succession."""
    await queued(services, case)
    await services.time.sleep(services.random.choice((1.0, 60.0)))
    write_conversation(services, case, {"assignedUsers": ["u1"]})
    await services.time.sleep(services.random.random())
    touch(services, case)
    await services.time.sleep(services.random.random())
    write_conversation(services, case, {"status": "done"})


async def next_message(services: SimulatedServices, case: ConversationRecord) -> None:
    """An agent completes the work-item while the customer writes: the message makes the next work-item."""
    await queued(services, case)
    await services.time.sleep(services.random.choice((1.0, 60.0)))
    write_item(services, case, {"accepted": {"by": "u1"}})
    await services.time.sleep(services.random.choice((0.5, 20.0)))
    knew = _rev(services, case)
    write_item(services, case, {"status": "completed"})
    await services.time.sleep(services.random.random() * 0.5)
    if services.active_item(case) is None:
        services.create_item(case, knew)
        await services.time.sleep(services.random.random() * 0.5)
        write_item(services, case, {"queue": "q1"}, knew)


async def ends_in_queue(services: SimulatedServices, case: ConversationRecord) -> None:
    """A chat ends while it waits in its queue; later an agent may take it."""
    await queued(services, case)
    await services.time.sleep(services.random.random() * 5)
    write_conversation(services, case, {"ended": True})
    await services.time.sleep(services.random.choice((1.0, 90.0)))
    match services.random.randrange(3):
        case 0:
            write_conversation(services, case, {"assignedUsers": ["u2"]})
        case 1:
            write_item(services, case, {"accepted": {"by": "u2"}})
        case _:
            pass


async def ivr_of_queued(services: SimulatedServices, case: ConversationRecord) -> None:
    """A conversation that has a queue and an agent gets a work-item in ivr, without a queue."""
    write_conversation(services, case, {"queue": {"id": "q2"}})
    await services.time.sleep(services.random.random())
    write_conversation(services, case, {"assignedUsers": ["u1"]})
    await services.time.sleep(services.random.random() * 5)
    if services.active_item(case) is None:
        services.create_item(case, _rev(services, case))


async def deleted(services: SimulatedServices, case: ConversationRecord) -> None:
    """A conversation is deleted, mostly so that its document is gone before its event comes."""
    for _ in range(services.random.randint(1, 3)):
        await any_write(services, case)
        await services.time.sleep(services.random.random())
    if services.random.random() < 0.7:
        services.delete_hard(case)
    else:
        write_conversation(services, case, {"deleted": True})
    if services.random.random() < 0.3:
        await any_item_write(services, case)


async def storm(services: SimulatedServices, case: ConversationRecord) -> None:
    """More writes in three seconds than the queue can keep in order; one of them assigns an agent."""
    await queued(services, case)
    await services.time.sleep(5)
    assigns = services.random.randrange(_STORM_WRITES)
    for number in range(_STORM_WRITES):
        if number == assigns:
            write_conversation(services, case, {"assignedUsers": ["u2"]})
        else:
            touch(services, case)
        await services.time.sleep(3 / _STORM_WRITES)


STORIES: Final[Mapping[str, tuple[int, Callable[[SimulatedServices, ConversationRecord], Work]]]] = {
    "random": (40, random_writes),
    "chat": (8, lively_chat),
    "take-reply-close": (8, take_reply_close),
    "next-message": (8, next_message),
    "ends-in-queue": (6, ends_in_queue),
    "ivr": (6, ivr_of_queued),
    "deleted": (6, deleted),
    "storm": (1, storm),
}
"""Each story by name, with its weight among the others."""


# How a conversation begins


async def open_conversation(services: SimulatedServices, case: ConversationRecord) -> None:
    """A conversation is made and announced; its story follows."""
    data = _conversation_data(case.key, 1, format_instant(services.conversation_now()))
    services.wrote_conversation(case, None, document_from_snapshot(data, org="org", rev=1))
    await STORIES[case.story][1](services, case)


async def story_of_old_pair(services: SimulatedServices, case: ConversationRecord) -> None:
    """The story of a pair that stood already when the first worker started."""
    await services.time.sleep(services.random.random() * min(services.weather.writing_s, 60))
    await STORIES[case.story][1](services, case)


def put_old_pair(services: SimulatedServices, case: ConversationRecord) -> None:
    """Store a pair of before the deployment. Each document was last written seconds, minutes or hours ago, without an
    event for us; sometimes both sides disagree."""
    random = services.random
    case.existed, case.items = True, 1
    rev = random.randint(2, 20)
    queue, user = random.choice((None, "q1")), random.choice((None, "u1"))
    data = _conversation_data(case.key, rev, _ago(services, services.weather.conversation_clock))
    data["attributes"]["assignedUsers"] = [user] if user else []
    if queue:
        data["relationships"] = {"queue": {"data": {"id": queue, "type": "queue"}}}
    services.store.put_conversation(document_from_snapshot(data, org="org", rev=rev))
    case.last_rev = rev
    item: Document = work_item_created(case.key, 1, 1, key=case.item_key)
    update: dict[str, Any] = {}
    if queue:
        update["queue"] = queue
    if user if random.random() < 0.7 else not user:
        update["assignedTo"] = "u1"
    item = (work_item_updated(item, update) or item) if update else item
    attributes = {**item["attributes"], "updatedAt": _ago(services, services.weather.work_item_clock)}
    services.store.put_work_item({**item, "attributes": attributes})


def _ago(services: SimulatedServices, clock: timedelta) -> str:
    """A time before the deployment, by the clock of the owner."""
    random = services.random
    seconds = random.choice((random.uniform(1, 50), random.uniform(60, 1_200), 7_200.0))
    return format_instant(services.time.now() + clock - timedelta(seconds=seconds))


def _conversation_data(key: str, rev: int, updated_at: str) -> dict[str, Any]:
    attributes = {"rev": rev, "status": "open", "assignedUsers": [], "ended": False, "updatedAt": updated_at}
    return {"id": key, "type": "conversation", "attributes": attributes, "relationships": {}}


def _rev(services: SimulatedServices, case: ConversationRecord) -> int:
    """The conversation's revision as it is stored now; of a conversation that is gone, its last one."""
    document = services.conversation(case)
    return case.last_rev if document is None else int(document["rev"])
