"""The queue rules of several orgs from stored documents, for both stores."""

from collections.abc import Collection as AnyCollection
from collections.abc import Iterable

from handlers.ports import Document
from handlers.routing.queue_rules import OrgQueueRules, org_queue_rules
from worker.store.documents import queue_of


def queue_rules_by_org(
    orgs: AnyCollection[str], rules: Iterable[Document], queues: Iterable[Document]
) -> dict[str, OrgQueueRules]:
    """The queue rules of each org, from the documents of rules and of queues, which name their org."""
    rules, queues = list(rules), list(queues)
    return {
        org: org_queue_rules(
            [rule for rule in rules if rule.get("org") == org],
            [queue for queue in queues if queue.get("org") == org],
            queue_of,
        )
        for org in orgs
    }
