"""No value reaches a query unchecked: every filter holds strings and the worker's own operators only."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest
from pymongo import AsyncMongoClient
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

from handlers.events.event import Event, Malformed
from handlers.events.parser import read_message
from handlers.planning.event_batch import load_request_of
from handlers.ports import LoadRequest
from mongod import Mongod
from sync.state.sync_state import SyncState
from tests.handlers.events.malformed.kind import altered, good
from tests.handlers.wire_events import text
from tests.worker.store.store_bench import Commands, MongoBench
from worker.store.documents import Collection
from worker.store.state_document import state_document

OPERATORS: Final[tuple[Any, ...]] = (
    {"$ne": None}, {"$gt": ""}, {"$where": "sleep(9999)"}, {"$regex": ".*"}, {"a.b": "x"}, {}, ["x"], [], 7, 1.5, True,
)  # fmt: skip
"""Values in the place of an id."""
ID_PATHS: Final = {
    "conversation": (
        "id", "org", "data.id", "data.attributes.assignedUsers.0", "data.relationships.queue.data.id",
    ),
    "work-item": (
        "id", "org", "data.id",
        *(
            f"data.relationships.{name}.data.id"
            for name in ("resource", "queue", "rule", "assignedTo", "acceptedBy", "routedTo", "workSession", "team")
        ),
    ),
}  # fmt: skip
OURS: Final = {"$in", "$or"}


@pytest.mark.parametrize("value", OPERATORS, ids=repr)
@pytest.mark.parametrize(("side", "path"), [(side, path) for side, paths in ID_PATHS.items() for path in paths])
def test_a_value_that_is_no_id_is_a_dead_letter_before_any_query(side: str, path: str, value: Any) -> None:
    assert isinstance(read_message(text(altered(good(side), f"body.{path}", value))), Malformed)


@pytest.mark.parametrize("side", ID_PATHS)
def test_operators_and_dots_in_free_fields_are_data_and_no_part_of_a_query(side: str) -> None:
    """Custom attributes, unknown parts of relationships and extra fields of an event are stored unchanged."""
    whole = good(side)
    odd = {"$where": "sleep(9999)", "a.b": {"$ne": None}, "": 1}
    for path in ("body", "body.data.attributes", "body.data.relationships", "body.data.relationships.queue.data"):
        altered(whole, path, _at(whole, path) | odd)
    read = read_message(text(whole))
    assert isinstance(read, Event), read
    request = load_request_of(read.conversation_id, [read])
    assert not [name for name in _strings(request) if "$" in name or "." in name]


@pytest.mark.parametrize("name", ["$where", "a.b", "", "$set"])
def test_a_name_that_would_be_a_path_of_a_write_is_a_dead_letter(name: str) -> None:
    """Beside `attributes`, a name is part of the path that a write sets."""
    assert isinstance(read_message(text(altered(good(), "body.data", _at(good(), "body.data") | {name: 1}))), Malformed)


def _at(thing: Any, path: str) -> Any:
    for step in path.split("."):
        thing = thing[step]
    return thing


def _strings(request: LoadRequest) -> list[str]:
    return [request.conversation_id, *request.work_item_ids, *request.users, *request.queues]


class Filters(CommandListener):
    """The filters of a client's reads."""

    def __init__(self) -> None:
        self.sent: list[Mapping[str, Any]] = []

    def started(self, event: CommandStartedEvent) -> None:
        if event.command_name == "find":
            self.sent.append(event.command["filter"])

    def succeeded(self, event: CommandSucceededEvent) -> None: ...

    def failed(self, event: CommandFailedEvent) -> None: ...


def _leaves(thing: Any) -> Iterator[Any]:
    """Every plain value in a filter; its names must be fields or the worker's own operators."""
    if isinstance(thing, Mapping):
        for name, value in thing.items():
            assert name in OURS | {"_id", "conversationId", "active", "user"}, f"{name} is none of ours"
            assert value is not True or name == "active"
            yield from _leaves(value)
    elif isinstance(thing, list):
        for value in thing:
            yield from _leaves(value)
    else:
        yield thing


@pytest.mark.parametrize("value", OPERATORS, ids=repr)
async def test_an_id_that_is_not_text_in_a_stored_document_never_reaches_a_query(mongod: Mongod, value: Any) -> None:
    """Other services may store any value, so an id from a document is checked before a query uses it."""
    filters = Filters()
    async with AsyncMongoClient[dict[str, Any]](mongod.uri, event_listeners=[filters]) as client:
        bench = MongoBench(client, "queries", Commands())
        link = {"data": {"type": "any", "id": value}}
        await bench.put(
            conversations=[
                {
                    "_id": "c-1",
                    "rev": 1,
                    "attributes": {"status": "open", "assignedUsers": [value, "u-1"]},
                    "relationships": {"queue": link},
                }
            ],
            work_items=[
                {
                    "_id": "w-1",
                    "rev": 1,
                    "conversationId": "c-1",
                    "active": True,
                    "attributes": {"status": "queued"},
                    "relationships": {"queue": link, "assignedTo": link, "resource": link},
                }
            ],
        )
        state = state_document("c-1", SyncState(version=1, work_item="w-1"))
        state["workItem"]["id"] = value
        await bench.database[Collection.SYNC_STATES].replace_one({"_id": "c-1"}, state, upsert=True)
        filters.sent.clear()
        pairs = await bench.store.load([LoadRequest(conversation_id="c-1", work_item_ids=frozenset({"w-1"}))])
    assert [item["_id"] for item in pairs["c-1"].work_items] == ["w-1"]
    assert filters.sent
    for sent in filters.sent:
        for leaf in _leaves(sent):
            assert isinstance(leaf, str) or leaf is True
