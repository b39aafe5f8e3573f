"""The past of a conversation out of the settings' store, for `routing-sync explain`. Nothing is written."""

from worker.investigate.explain.stored_past import StoredPast, read_past
from worker.mongo.adapters.pair_history import MongoPairHistory
from worker.mongo.client import mongo_client
from worker.mongo.database import check_server
from worker.mongo.store import MongoStore
from worker.runtime.clock import ObjectIds, SystemClock
from worker.settings.verbs.explain import ExplainSettings


async def read_stored_past(settings: ExplainSettings, conversation_id: str) -> StoredPast:
    """The conversation's past. Raises SetupError, StoreAway."""
    database, deadline_s = settings.mongodb_database, settings.store_deadline_seconds
    async with mongo_client(settings.mongodb_uri, deadline_s) as client:
        await check_server(client, deadline_s)
        store = MongoStore(client, database, clock=SystemClock(), ids=ObjectIds(), deadline_s=deadline_s)
        history = MongoPairHistory(client, database, deadline_s=deadline_s)
        return await read_past(conversation_id, store=store, history=history, audit_days=settings.audit_days)
