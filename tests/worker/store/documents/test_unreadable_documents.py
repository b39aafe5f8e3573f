"""Stored documents of a wrong type, as other services write them: one suite for both stores.

Rows 2 and 3 of the public failures: a document is read by its types, never by truth values. The reason names the
document, the field and what stands there.
"""

from collections.abc import Mapping
from typing import Any

import pytest

from commands.instant import format_instant
from handlers.batch_handler import BatchHandler
from handlers.documents.document import document_from_snapshot
from handlers.options import Options
from handlers.outcome import HandledEvent, Retry
from handlers.ports import Document
from tests.handlers.small_ports import START, CountedIds, FixedChance, HandClock
from tests.handlers.wire_events import ORG, Json, changes, conversation, event, read, work_item
from tests.worker.store.store_bench import Bench, everything
from worker.store.documents import Collection


def stored(data: Json) -> dict[str, Any]:
    return dict(document_from_snapshot(data, org=ORG, rev=data["attributes"]["rev"]))


def with_value(document: Document, path: str, value: Any) -> dict[str, Any]:
    """The document with another value at a path of names."""
    name, _, rest = path.partition(".")
    return {**document, name: with_value(document[name], rest, value) if rest else value}


CONVERSATION = stored(conversation(5, queue="q-1", users=("u-1",)))
WORK_ITEM = stored(
    work_item(5, queue="q-1", user="u-1", session="s-1", status="assigned", lastRevision={"queueTime": 5})
)
EVENTS = (
    event(conversation(6, queue="q-1", users=("u-2",)), changes=changes({"assignedUsers": (["u-1"], ["u-2"])})),
    event(work_item(6, status="queued", queue="q-1"), changes=changes({"status": ("assigned", "queued")})),
)
BESIDE = event(conversation(6, key="c-2", users=("u-2",)), changes=changes({"assignedUsers": ([], ["u-2"])}))


async def handled(bench: Bench, *things: Json, **options: Any) -> list[HandledEvent]:
    handler = BatchHandler(
        store=bench.store,
        clock=HandClock(),
        ids=CountedIds(),
        chance=FixedChance(),
        options=Options(**{"state_from_events": False, **options}),
    )
    return await handler.handle([read(thing) for thing in things])


def detail(end: HandledEvent) -> str:
    """The detail of the reason of an event that failed for an unreadable document."""
    [reason] = end.audit.reasons
    assert (end.outcome, reason.code.value) == (Retry(reason=reason.code), "STORED_DOCUMENT_UNREADABLE")
    assert isinstance(reason.meta, Mapping)
    return str(reason.meta["detail"])


class TestRows2And3:
    @pytest.mark.parametrize("thing", EVENTS, ids=["conversation's event", "work-item's event"])
    @pytest.mark.parametrize(
        ("path", "value", "said"),
        [
            ("attributes.deleted", "false", 'attributes.deleted is the text "false", not `bool | null`'),
            ("attributes.ended", "false", 'attributes.ended is the text "false", not `bool | null`'),
            ("attributes.ended", 0, "attributes.ended is the number 0, not `bool | null`"),
            ("attributes.assignedUsers", "u12", 'attributes.assignedUsers is the text "u12", not `array | null`'),
            ("attributes.assignedUsers", [{"id": "u-1"}], "attributes.assignedUsers.0 is an object, not `str`"),
            ("attributes.assignedUsers", ["u-1", ""], 'attributes.assignedUsers.1 is the text "", not `str` of length'),
            ("attributes.status", "archived", 'attributes.status is the text "archived", not one of the known values'),
            ("attributes.updatedAt", "yesterday", 'attributes.updatedAt is the text "yesterday", not a time'),
            ("relationships.queue.data.id", 7, "relationships.queue.data.id is the number 7, not `str`"),
            ("relationships.queue", "q-1", 'relationships.queue is the text "q-1", not `object | null`'),
            ("rev", "3", 'rev is the text "3", not'),
            ("rev", True, "rev is true, not"),
            ("org", 7, "org is the number 7, not `str | null`"),
            ("type", None, "type is null, not"),
        ],
    )
    async def test_a_conversation(self, bench: Bench, path: str, value: Any, said: str, thing: Json) -> None:
        await bench.put(conversations=[with_value(CONVERSATION, path, value)], work_items=[WORK_ITEM])
        before = await everything(bench)
        [end] = await handled(bench, thing)
        assert detail(end).startswith(f"c-1 in the store cannot be read: {said}")
        assert await everything(bench) == before

    @pytest.mark.parametrize("thing", EVENTS, ids=["conversation's event", "work-item's event"])
    @pytest.mark.parametrize(
        ("path", "value", "said"),
        [
            ("attributes.paused", "false", 'attributes.paused is the text "false", not `bool | null`'),
            ("attributes.itemSize", "2", 'attributes.itemSize is the text "2", not `int | float | null`'),
            ("attributes.itemSize", float("nan"), "attributes.itemSize is the number nan, not `float`"),
            ("attributes.queuedCount", 1.5, "attributes.queuedCount is the number 1.5, not `int | null`"),
            ("attributes.lastRevision", [], "attributes.lastRevision is a list, not `object | null`"),
            ("attributes.lastRevision.queueTime", "5", 'attributes.lastRevision.queueTime is the text "5", not `int'),
            ("attributes.ivr", {"enteredAt": "now"}, 'attributes.ivr.enteredAt is the text "now", not a time'),
            ("relationships.assignedTo", {"data": "u-1"}, 'relationships.assignedTo.data is the text "u-1", not `obj'),
            ("relationships.resource", None, "relationships.resource is null, not `object`"),
            ("relationships.lastRevision", {"data": {"id": 1}}, "relationships.lastRevision.data.id is the number 1"),
            ("workItemNumber", "2", 'workItemNumber is the text "2", not `int | null`'),
            ("rev", "5", 'rev is the text "5", not'),
        ],
    )
    async def test_a_work_item(self, bench: Bench, path: str, value: Any, said: str, thing: Json) -> None:
        await bench.put(conversations=[CONVERSATION], work_items=[with_value(WORK_ITEM, path, value)])
        before = await everything(bench)
        [end] = await handled(bench, thing)
        assert detail(end).startswith(f"w-1 in the store cannot be read: {said}")
        # NaN differs from itself.
        assert repr(await everything(bench)) == repr(before)

    async def test_a_work_item_whose_active_is_a_text(self, bench: Bench) -> None:
        """It is no active one for the index. The event that names it finds it."""
        await bench.put(conversations=[CONVERSATION], work_items=[with_value(WORK_ITEM, "active", "false")])
        [end] = await handled(bench, EVENTS[1])
        assert detail(end) == 'w-1 in the store cannot be read: active is the text "false", not true or false'

    async def test_a_missing_field(self, bench: Bench) -> None:
        await bench.put(conversations=[with_value(CONVERSATION, "attributes", {})], work_items=[WORK_ITEM])
        [end] = await handled(bench, EVENTS[0])
        assert detail(end) == "c-1 in the store cannot be read: attributes.status is missing"

    async def test_the_rest_of_the_batch_is_unharmed(self, bench: Bench) -> None:
        items = [WORK_ITEM, stored(work_item(5, key="w-2", of="c-2"))]
        good = stored(conversation(6, key="c-2", users=("u-2",)))
        bad = with_value(CONVERSATION, "attributes.deleted", "false")
        await bench.put(conversations=[bad, good], work_items=items)
        ends = await handled(bench, EVENTS[0], BESIDE)
        assert detail(ends[0])
        assert ends[1].outcome.reason != "STORED_DOCUMENT_UNREADABLE"

    async def test_customers_words_are_not_shown(self, bench: Bench) -> None:
        words = "call me, please"
        await bench.put(conversations=[with_value(CONVERSATION, "attributes.status", words)], work_items=[WORK_ITEM])
        [end] = await handled(bench, EVENTS[0])
        assert detail(end).endswith("attributes.status is a text of 15 characters, not one of the known values")

    async def test_the_gap_poll_says_it_too(self, bench: Bench) -> None:
        """A pair that waits is read by the poll as strictly as by an event."""
        recent = format_instant(START)
        pair = [with_value(each, "attributes.updatedAt", recent) for each in (CONVERSATION, WORK_ITEM)]
        await bench.put(conversations=pair[:1], work_items=pair[1:])
        clock = HandClock()
        handler = BatchHandler(
            store=bench.store, clock=clock, ids=CountedIds(), chance=FixedChance(), options=Options()
        )
        await handler.handle([read(EVENTS[0])])
        await bench.put(conversations=[with_value(CONVERSATION, "attributes.ended", "true")])
        states = await bench.documents(Collection.SYNC_STATES)
        assert [state["waitingSince"] is not None for state in states] == [True]
        [polled] = (await handler.close_gaps(["c-1"], clock.now().replace(year=2100))).pairs
        assert polled.audit.reasons[0].code.value == "STORED_DOCUMENT_UNREADABLE"

    @pytest.mark.parametrize(
        ("path", "value", "said"),
        [
            ("version", "3", 'version is the text "3", not `int`'),
            ("conversation", [], "conversation is a list, not `object | null`"),
            ("conversation.observed", "1-5", 'conversation.observed is the text "1-5", not `array | null`'),
            ("conversation.observed", [[1, "5"]], 'conversation.observed.0.1 is the text "5", not `int`'),
            ("workItem", "w-1", 'workItem is the text "w-1", not `object | null`'),
            ("workItem.id", 7, "workItem.id is the number 7, not `str | null`"),
            ("changed", {"queue": "3"}, 'changed has a value that is not `int`: the text "3"'),
            ("waitingSince", "now", 'waitingSince is the text "now", not a time'),
            ("deletedRev", "5", 'deletedRev is the text "5", not `int | null`'),
        ],
    )
    async def test_a_sync_state(self, bench: Bench, path: str, value: Any, said: str) -> None:
        pair = [with_value(each, "attributes.updatedAt", format_instant(START)) for each in (CONVERSATION, WORK_ITEM)]
        await bench.put(conversations=pair[:1], work_items=pair[1:])
        await handled(bench, event(conversation(5, queue="q-1", users=("u-1",))))
        [state] = await bench.documents(Collection.SYNC_STATES)
        await bench.put(states=[with_value(state, path, value)])
        ends = await handled(bench, EVENTS[0], BESIDE)
        assert detail(ends[0]).startswith(f"c-1 in the store cannot be read: {said}")
        assert ends[1].outcome.reason != "STORED_DOCUMENT_UNREADABLE"
