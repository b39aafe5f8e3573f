"""The audit of a day: everything that must hold at its end, and the figures."""

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from handlers.events.event import Event
from handlers.events.parser import read_object
from tests.faults.day.actors import was_lost
from tests.faults.day.api_count import api_writes_wrong, is_api_write, revisions_wrong
from tests.faults.day.day_run import DayRun
from tests.faults.day.journal import Revision
from tests.faults.day.lossy_subscriptions import is_lost
from tests.faults.day.pair_count import CountedPair, OutsideFacts, counted_pair_of, pair_wrong
from tests.faults.day.session_count import places_wrong
from tests.faults.day.wait_count import CountedWait, counted_waits, waits_wrong

_SHOWN: Final = 12
_CODE_FAULTS: Final = ("met a fault in our code", "stopped by a fault in our code")


class DayAudit:
    """The audit of a run that has ended."""

    def __init__(self, run: DayRun) -> None:
        self._run = run
        self._database = run.stage.database
        self.pairs = self._pairs()
        self.waits = self._waits()

    def findings(self) -> list[str]:
        """Everything that is wrong, a line each."""
        return [
            *self.sweeps_wrong(),
            *self.pairs_wrong(),
            *self.places_wrong(),
            *self.waits_wrong(),
            *self.updates_wrong(),
            *self.announcements_wrong(),
            *self.processes_wrong(),
        ]

    def sweeps_wrong(self) -> Iterator[str]:
        """A second sweep finds nothing, and no pair waits."""
        swept = self._run.swept
        if swept and (swept[-1].drift or swept[-1].status):
            yield f"the second sweep found {dict(swept[-1].drift)}"
            yield from swept[-1].lines[:_SHOWN]
        waits = self._run.waiting()
        if waits:
            yield f"{waits} pairs wait"

    def pairs_wrong(self) -> Iterator[str]:
        """The contract and the independent count, of every pair."""
        conversations = {document["_id"]: document for document in self._database["conversations"].find()}
        items: dict[str, list[Mapping[str, Any]]] = {}
        for document in self._database["work_items"].find():
            items.setdefault(document["conversationId"], []).append(document)
        for pair in self.pairs.values():
            found = list(pair_wrong(pair, conversations.get(pair.key), items.get(pair.key, ())))
            if found:
                yield "\n      ".join([*found, *pair.lines])

    def places_wrong(self) -> Iterator[str]:
        """Sessions against work-items."""
        yield from places_wrong(self._database["work_sessions"].find(), self._database["work_items"].find())

    def waits_wrong(self) -> Iterator[str]:
        """Stored waits against the count."""
        yield from waits_wrong(self.waits, self._database["waits"].find())

    def updates_wrong(self) -> Iterator[str]:
        """Accepted and refused updates against the revisions."""
        journal = self._run.journal
        yield from api_writes_wrong(self._run.clients.updates, journal.revisions)
        yield from revisions_wrong(journal.of_items())

    def announcements_wrong(self) -> Iterator[str]:
        """Every write of the worker is announced in its transaction, once, and as it is stored."""
        yield from (f"announced otherwise: {each}" for each in self._run.journal.announced_otherwise)
        for pair in self.pairs.values():
            yield from (f"written and not announced: {each}" for each in pair.unannounced)
        left = self._database["outbox"].count_documents({})
        if left:
            yield f"{left} announcements are left"

    def processes_wrong(self) -> Iterator[str]:
        """No dead letter, no fault in the worker's code."""
        yield from (f"dead letter: {letter['Body'][:300]}" for letter in self._run.stage.dead_letters())
        for line in self._run.audit_lines():
            if any(fault in line["msg"] for fault in _CODE_FAULTS):
                yield f"{line['msg']}: {line.get('error')} {line.get('stack')}"

    def figures(self) -> dict[str, Any]:
        """The numbers of the day."""
        run = self._run
        announced = [revision.announced for revision in run.journal.revisions if revision.announced is not None]
        drift: Counter[str] = Counter()
        for line in run.audit_lines():
            if line["msg"] == "drift found by the sweep":
                drift[f"{line['drift']} {line['end']}"] += 1
        statuses = Counter(
            "no answer" if call.status is None else f"{call.status}{f' {call.code}' * bool(call.code)}"
            for call in run.clients.updates
        )
        lost = sum(map(was_lost, run.actors.written.values())) + sum(is_lost(each.message_id) for each in announced)
        return {
            "conversations": len(self.pairs),
            "work-items": sum(1 for _ in run.journal.of_items()),
            "outside writes": len(run.actors.written) + len(run.actors.removed),
            "written by the worker": {
                "syncs": sum(each.is_sync for each in announced),
                "creations": sum("CREATE_WORK_ITEM" in each.actions for each in announced),
                "queued by rules": sum("QUEUE_WORK_ITEM" in each.actions for each in announced),
                "un-assigned": sum("UNASSIGN_CONVERSATION" in each.actions for each in announced),
                "by HTTP": sum(map(is_api_write, run.journal.revisions)),
            },
            "events lost": f"{lost} of {len(run.actors.written) + len(announced)}",
            "kills": dict(run.kills),
            "calls by status": dict(statuses.most_common()),
            "drift in the day": dict(drift.most_common()),
            "drift in the last sweeps": [dict(each.drift) for each in run.swept],
            "waits": f"{self._database['waits'].count_documents({})} stored, {len(self.waits)} counted, "
            f"{sum(not wait.told for wait in self.waits)} of which every event was lost",
        }

    def _pairs(self) -> dict[str, CountedPair]:
        revisions = self._run.journal.by_conversation()
        return {key: counted_pair_of(key, each, self._outside_event) for key, each in revisions.items()}

    def _outside_event(self, revision: Revision) -> OutsideFacts | None:
        actors = self._run.actors
        if revision.key in actors.removed and revision.deleted:
            # The owner removed the document before its creation was stored from the event: the worker marks it.
            return OutsideFacts(changed_fields=frozenset({"status"}), known_rev=None, lost=False)
        wire = actors.written.get((revision.key, revision.rev))
        if wire is None:
            return None
        event = read_object(wire)
        assert isinstance(event, Event), event
        return OutsideFacts(
            changed_fields=event.changed_fields or frozenset(),
            known_rev=event.known_conversation_rev,
            lost=was_lost(wire),
        )

    def _waits(self) -> list[CountedWait]:
        written = self._run.actors.written
        lost = {where for where, wire in written.items() if was_lost(wire)}
        return [
            wait for item, revisions in self._run.journal.of_items() for wait in counted_waits(item, revisions, lost)
        ]


def audited(run: DayRun) -> DayAudit:
    """The audit of the run: prints the figures, and raises AssertionError with what is wrong."""
    audit = DayAudit(run)
    for name, value in audit.figures().items():
        sys.stdout.write(f"      {name}: {value}\n")
    wrong = audit.findings()
    assert not wrong, f"seed {run.script.seed}, {len(wrong)} findings:\n    " + "\n    ".join(wrong[:_SHOWN])
    return audit
