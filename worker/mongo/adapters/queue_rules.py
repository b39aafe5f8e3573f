"""The queue rules on MongoDB: the collections `queue_rules` and `queues`, by org."""

from collections.abc import Collection as AnyCollection
from collections.abc import Mapping, Sequence
from typing import Any, Final

from handlers.routing.queue_rules import OrgQueueRules
from worker.mongo.database import Client, database_of, store_deadline
from worker.mongo.stored_types import STORED_TYPES
from worker.store.documents import Collection
from worker.store.org_queue_rules import queue_rules_by_org

_QUEUE_FIELDS: Final = ("key", "itemSize", "priority", "default")
_QUEUE: Final = ("org", *_QUEUE_FIELDS, *(f"attributes.{name}" for name in _QUEUE_FIELDS))


class MongoQueueRules:
    """`handlers.routing.queue_rules.QueueRules`. Each call takes at most `deadline_s` and raises StoreAway."""

    def __init__(self, client: Client, database: str, *, deadline_s: float) -> None:
        """The client's owner closes it."""
        self._database = database_of(client, database).with_options(codec_options=STORED_TYPES)
        self._deadline_s = deadline_s

    async def of_orgs(self, orgs: AnyCollection[str]) -> Mapping[str, OrgQueueRules]:
        """The rules of each of the orgs."""
        if not orgs:
            return {}
        with store_deadline(self._deadline_s):
            rules = await self._of(Collection.QUEUE_RULES, orgs)
            queues = await self._of(Collection.QUEUES, orgs, _QUEUE)
        return queue_rules_by_org(orgs, rules, queues)

    async def _of(
        self, collection: Collection, orgs: AnyCollection[str], fields: Sequence[str] | None = None
    ) -> list[dict[str, Any]]:
        return await self._database[collection].find({"org": {"$in": sorted(orgs)}}, fields).to_list()
