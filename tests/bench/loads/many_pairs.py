"""A store with many pairs, filled fast: a document is encoded once, and copies are its bytes with other ids."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

import bson
import orjson
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient
from pymongo.write_concern import WriteConcern

from commands.instant import format_instant
from tests.bench.loads import wire
from tests.bench.loads.template import template
from tests.bench.loads.workload import filled, names_of
from worker.store.documents import Collection

DOCUMENTS_A_PAIR: Final = len(template("unshared").documents)
"""A conversation, its work-item, their sync state, the sessions of two agents."""
_CHUNK: Final = 2_000
_FAST: Final = WriteConcern(w=1, j=False)


def put_pairs(
    mongo: MongoClient[dict[str, Any]],
    database: str,
    pairs: int,
    *,
    with_sessions: int | None = None,
    done: Callable[[int], None] = lambda _: None,
) -> None:
    """Stores pairs 0, 1, … as a reconcile leaves them, and the queues. Calls `done` with the size of each insert.

    `with_sessions`: only the first so many pairs have their agents' sessions; None: all of them.
    """
    mongo[database][Collection.QUEUES].insert_many(wire.queues())
    now = format_instant(datetime.now(UTC))
    for collection, text in template("unshared").documents:
        # The time and its placeholder differ in length, so it is replaced before BSON notes lengths. Ids do not differ.
        encoded = bson.encode(orjson.loads(filled(text, {wire.NOW: now})))
        into = mongo[database].get_collection(collection, write_concern=_FAST)
        limited = collection is Collection.WORK_SESSIONS and with_sessions is not None
        documents = _documents(encoded, min(pairs, with_sessions or 0) if limited else pairs)
        while chunk := list(islice(documents, _CHUNK)):
            into.insert_many(chunk, ordered=False)
            done(len(chunk))


def _documents(encoded: bytes, pairs: int) -> Iterator[Any]:
    for number in range(pairs):
        yield RawBSONDocument(filled(encoded, names_of(number)))
