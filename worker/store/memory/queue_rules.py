"""The queue rules in memory."""

from collections.abc import Collection as AnyCollection
from collections.abc import Iterable, Mapping

from handlers.ports import Document
from handlers.routing.queue_rules import OrgQueueRules
from worker.store.org_queue_rules import queue_rules_by_org


class MemoryQueueRules:
    """`handlers.routing.queue_rules.QueueRules` in memory; it is never away. Documents may be added at any time."""

    def __init__(self, rules: Iterable[Document] = (), queues: Iterable[Document] = ()) -> None:
        self.rules = list(rules)
        self.queues = list(queues)

    async def of_orgs(self, orgs: AnyCollection[str]) -> Mapping[str, OrgQueueRules]:
        """The rules of each of the orgs."""
        return queue_rules_by_org(orgs, self.rules, self.queues)
