"""Each accepted update over HTTP is exactly one revision, and a refused one left nothing."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tests.faults.day.http_clients import SentUpdate
from tests.faults.day.journal import Revision
from tests.faults.expected_ends import values_of


def is_api_write(revision: Revision) -> bool:
    """Whether a client's update made the revision: an outside write by the commands, with no reason but the update."""
    announced = revision.announced
    return announced is not None and not announced.is_sync and announced.actions == ("UPDATE_COMMAND",)


def api_writes_wrong(calls: Sequence[SentUpdate], revisions: Iterable[Revision]) -> Iterator[str]:
    """What of the calls and of the revisions does not fit, a line each.

    Each revision that an update made is claimed by the one call that was answered with it. A call without an answer may
    claim one revision. An answer whose revision was made by another call is that of an update that changed nothing.
    """
    stored = {(revision.key, revision.rev): revision for revision in revisions if revision.side == "work-item"}
    answered: dict[tuple[str, int], list[SentUpdate]] = {}
    open_calls: dict[str, list[SentUpdate]] = {}
    for call in calls:
        if call.after is not None:
            attributes = call.after["attributes"]
            answered.setdefault((call.item, attributes["rev"]), []).append(call)
            yield from _answer_wrong(call, stored.get((call.item, attributes["rev"])))
        elif call.status is None or call.status >= 500:
            open_calls.setdefault(call.item, []).append(call)
    for where, revision in stored.items():
        if not is_api_write(revision):
            continue
        claiming = [call for call in answered.get(where, ()) if _made(call, revision)]
        if claiming:
            continue
        lost = next((call for call in open_calls.get(revision.key, ()) if _made(call, revision)), None)
        if lost is None:
            yield f"{revision.key} has revision {revision.rev} of an update that nobody was told of: {_data(revision)}"
        else:
            open_calls[revision.key].remove(lost)


def _answer_wrong(call: SentUpdate, revision: Revision | None) -> Iterator[str]:
    assert call.after is not None
    rev = call.after["attributes"]["rev"]
    if revision is None:
        yield f"{call.item} was answered with revision {rev}, which was never stored"
    elif values_of({**call.after, "type": "work_item"}) != revision.plain:
        yield f"{call.item} was answered with other values than revision {rev} has"


def _made(call: SentUpdate, revision: Revision) -> bool:
    """Whether the call's update is the one that the revision's event names."""
    sent = {name: value for name, value in (call.update or {}).items() if name != "rev"}
    return sent == _data(revision)


def _data(revision: Revision) -> Mapping[str, Any]:
    """The update that the revision's event names, without the revision that it found."""
    assert revision.announced is not None
    return {name: value for name, value in (revision.announced.update or {}).items() if name != "rev"}


def revisions_wrong(items: Iterable[tuple[str, Sequence[Revision]]]) -> Iterator[str]:
    """Documents whose revisions do not go up by one."""
    for key, revisions in items:
        found = [revision.rev for revision in revisions]
        if found != list(range(1, len(found) + 1)):
            yield f"{key} has the revisions {found}"
