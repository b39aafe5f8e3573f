"""Events of one conversation at any revision, for conversations with many events or a long history.

Every fifth revision snoozes or wakes the conversation, which ends in a sync; the others change no shared field. Events
are templates with placeholders for ids, as in workload.py, and for revisions.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import cache
from typing import Any, Final

import orjson

from commands.instant import format_instant
from tests.bench.loads import wire
from tests.bench.loads.template import AGENT, CONVERSATION, EVENT, template
from tests.bench.loads.workload import Documents, filled, names_of
from worker.store.documents import Collection

FIRST_REV: Final = 2
"""The first revision after the stored one."""
_TURNS_EVERY: Final = 5
# Placeholders of revisions: numbers that occur nowhere else in an event.
_REV: Final = 918_273_646
_REV_BEFORE: Final = 918_273_645


def bodies_of(number: int, revs: Iterable[int], *, now: datetime) -> Iterator[str]:
    """The message bodies of a conversation at these revisions, in their order."""
    names = {**names_of(number), wire.NOW: format_instant(now)}
    for rev in revs:
        own = {EVENT: f"e{rev:07x}{number:016x}", str(_REV): str(rev), str(_REV_BEFORE): str(rev - 1)}
        yield filled(_form(_snoozed(rev), _snoozed(rev - 1)), {**names, **own}).decode()


def documents_of(numbers: Iterable[int], *, now: datetime) -> Documents:
    """The documents of these pairs, as a reconcile at revision 1 leaves them."""
    documents: dict[Collection, list[dict[str, Any]]] = {Collection.QUEUES: wire.queues()}
    for number in numbers:
        names = {**names_of(number), wire.NOW: format_instant(now)}
        for collection, text in template("unshared").documents:
            documents.setdefault(collection, []).append(orjson.loads(filled(text, names)))
    return documents


def _snoozed(rev: int) -> bool:
    return rev // _TURNS_EVERY % 2 == 1


@cache
def _form(snoozed: bool, was_snoozed: bool) -> bytes:
    status, before = ("snoozed" if each else "open" for each in (snoozed, was_snoozed))
    data = wire.conversation(CONVERSATION, rev=_REV, users=[AGENT], queue=wire.QUEUE, status=status)
    attributes = {
        "rev": {"op": "replace", "before": _REV_BEFORE, "after": _REV},
        "preview": {"op": "replace", "before": "And then?", "after": data["attributes"]["preview"]},
        "updatedAt": {"op": "replace", "before": wire.NOW, "after": wire.NOW},
    }
    if status != before:
        attributes["status"] = {"op": "replace", "before": before, "after": status}
    name = "kustomer.conversation.update"
    event = wire.event(EVENT, name, data, {"attributes": attributes, "relationships": {}})
    return wire.wrapped(orjson.dumps(event), name)
