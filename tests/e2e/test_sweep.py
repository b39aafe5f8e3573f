"""What no event brings back, on LocalStack and MongoDB: found by a worker's sweep or by the verb, repaired, told."""

import json
import os
import subprocess
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from commands.instant import format_instant
from handlers.documents.document_mapping import conversation_of, work_item_of
from handlers.documents.relationships import relationship
from sync.contract import FieldHistory, violations
from tests.e2e.api_process import ApiProcess
from tests.e2e.ledger import Ledger, misplaced
from tests.e2e.outside import Data, Outside, conversation_data, queues, sessions, work_item_data
from tests.e2e.stage import Stage
from tests.e2e.worker_process import COMMAND, WorkerProcess, wait_until

FOUND = "drift found by the sweep"
HOUR = timedelta(hours=1)


class LossyOwners:
    """The services that own the records: they write MongoDB, and announce what a test does not lose."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.outside = Outside(13)
        self.conversations = stage.database["conversations"]
        self.items = stage.database["work_items"]

    def agreed(self, numbers: Iterable[int]) -> None:
        """Pairs that are queued, each with all its events; they were written an hour ago."""
        for number in numbers:
            conversation, item = _at(conversation_data(number), HOUR), _at(work_item_data(number), HOUR)
            queue = {"queue": relationship("queue", "queue-1")}
            conversation, item = {**conversation, "relationships": queue}, _in_queue(item, queue)
            self.stage.publish(
                [
                    self.outside.message("kustomer.conversation.create", conversation, None),
                    self.outside.message("kustomer.work-item.create", item, None),
                ]
            )

    def assign(self, number: int, user: str, *, ago: timedelta = HOUR) -> None:
        """The conversation's agent, of which no event comes."""
        at = format_instant(datetime.now(UTC) - ago)
        change = {"attributes.assignedUsers": [user], "attributes.updatedAt": at}
        self.conversations.update_one(
            {"_id": f"conversation-{number}"},
            {"$set": change, "$inc": {"rev": 1, "attributes.rev": 1, "attributes.outsideRev": 1}},
        )

    def assign_by_hand(self, number: int, user: str) -> None:
        """As in the shell: neither a revision nor a time of writing moves."""
        changed = self.conversations.update_one(
            {"_id": f"conversation-{number}"}, {"$set": {"attributes.assignedUsers": [user]}}
        )
        assert changed.modified_count == 1

    def assignee(self, number: int) -> str | None:
        item = self.items.find_one({"_id": f"work-item-{number}"})
        assert item is not None
        return work_item_of(item).assigned_to

    def completed(self, number: int) -> bool:
        return self.items.count_documents({"_id": f"work-item-{number}", "active": False}) == 1

    def apart(self) -> list[str]:
        """The conversations for which an open rule would fire."""
        found = []
        for document in self.items.find():
            item = work_item_of(document)
            stored = self.conversations.find_one({"_id": document["conversationId"]})
            conversation = None if stored is None else conversation_of(stored)
            is_orphan = conversation is None and item.active
            if is_orphan or violations(FieldHistory(), conversation, item):
                found.append(document["conversationId"])
        return found


def _at(data: Data, ago: timedelta) -> Data:
    return {**data, "attributes": {**data["attributes"], "updatedAt": format_instant(datetime.now(UTC) - ago)}}


def _in_queue(item: Data, queue: Mapping[str, Any]) -> Data:
    return {
        **item,
        "attributes": {**item["attributes"], "status": "queued", "queuedCount": 1},
        "relationships": {**item["relationships"], **queue},
    }


def _sweep(stage: Stage, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    """Exit status and objects of `routing-sync sweep --json`."""
    done = subprocess.run(
        [COMMAND, "sweep", "--json", *arguments],
        env={**os.environ, **stage.variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def _found(worker: WorkerProcess) -> dict[str, list[tuple[str, str]]]:
    """By conversation: the drifts of the worker's log, and what became of them."""
    found: dict[str, list[tuple[str, str]]] = {}
    for line in worker.lines():
        if line["msg"] == FOUND:
            found.setdefault(line["conversationId"], []).append((line["drift"], line["end"]))
    return found


def _repairs(worker: WorkerProcess) -> dict[str, str]:
    """By conversation: the trigger of its audit record without an event."""
    lines = (line for line in worker.lines() if line["msg"] == "CONVERSATION_SYNC_AUDIT" and line["event"] is None)
    return {line["conversationId"]: line["trigger"] for line in lines}


def test_the_sweeps_of_a_worker_repair_what_no_event_brings_back(stage: Stage, tmp_path: Path) -> None:
    stage.database["work_sessions"].insert_many(sessions())
    stage.database["queues"].insert_many(queues())
    owners = LossyOwners(stage)
    # The stage's visibility timeout is 10 s.
    stage.variables |= {"SYNC_GAP_SECONDS": "11"}
    worker = stage.worker(
        HEARTBEAT_SECONDS="5", SWEEP_INTERVAL_SECONDS="10", SWEEP_FULL_SECONDS="10", STATUS_SECONDS="1"
    )
    worker.wait_ready()
    owners.agreed(range(6))
    stage.wait_drained(within_s=60)
    wait_until(
        lambda: worker.http("/readyz")[1].get("watermark", {}).get("reason", "none") is None,
        within_s=180,
        what=lambda: f"the worker has a watermark: {worker.http('/readyz')[1]}",
    )
    # A last event is lost, an hour ago and now; a deletion's event never came; a write in the shell.
    owners.assign(0, "user-0")
    owners.assign(1, "user-1", ago=timedelta())
    owners.conversations.delete_one({"_id": "conversation-2"})
    owners.conversations.update_one(
        {"_id": "conversation-3"}, {"$set": {"attributes.deleted": True}, "$inc": {"rev": 1, "attributes.rev": 1}}
    )
    owners.assign_by_hand(4, "user-4")
    repaired = {f"conversation-{number}" for number in range(5)}
    wait_until(
        lambda: _repairs(worker).keys() >= repaired, within_s=180, what=lambda: f"all are repaired: {_found(worker)}"
    )
    assert [owners.assignee(number) for number in (0, 1, 4, 5)] == ["user-0", "user-1", "user-4", None]
    assert [owners.completed(number) for number in range(6)] == [False, False, True, True, False, False]
    assert owners.apart() == []
    assert misplaced(stage.database) == {}
    # A pair that was written just now waits for its event by SQS's clock, and the gap poll repairs it.
    assert _repairs(worker) == {each: "gap" if each == "conversation-1" else "sweep" for each in sorted(repaired)}
    assert _found(worker) == {
        "conversation-0": [("OUT_OF_STEP", "repaired")],
        "conversation-1": [("OUT_OF_STEP", "waits")],
        "conversation-2": [("CLOSED_CONVERSATION", "repaired")],
        "conversation-3": [("CLOSED_CONVERSATION", "repaired")],
        "conversation-4": [("CHANGED_BY_HAND", "repaired")],
    }
    api = ApiProcess.on(stage, tmp_path)
    api.wait_ready()
    wait_until(
        lambda: all(each in api.page("/") for each in repaired), within_s=30, what=lambda: f"told: {api.page('/')}"
    )
    # A heartbeat that SNS delivers after the stop would stay in the queue.
    stage.wait_drained(within_s=60)
    assert (api.terminate()[0], worker.terminate()[0]) == (0, 0)
    assert stage.database["outbox"].count_documents({}) == 0
    # The verb looks at everything once more, and finds nothing.
    status, (summary,) = _sweep(stage, "--all", "--quiet-queue")
    assert (status, summary["summary"]["drift"]) == (0, [])


DOCUMENTS = ("conversations", "work_items")


@pytest.mark.parametrize("restored", [DOCUMENTS, None], ids=["documents alone", "the whole database"])
def test_after_a_restored_backup_a_full_sweep_is_the_whole_repair(stage: Stage, restored: Sequence[str] | None) -> None:
    """The steps of docs/operations.md, *A restored database*."""
    database = stage.database
    database["work_sessions"].insert_many(sessions())
    database["queues"].insert_many(queues())
    ledger = Ledger(database)
    outside = Outside(14)
    worker = stage.worker()
    worker.wait_ready()
    messages = [list(outside.pair(number, writes=12)) for number in range(20)]
    stage.publish([message for pair in messages for message in pair[:8]])
    stage.wait_drained(within_s=60)
    names = [each for each in database.list_collection_names() if not each.startswith("system.")]
    backup = {name: list(database[name].find()) for name in names}
    stage.publish([message for pair in messages for message in pair[8:11]])
    # Pairs that the backup does not have.
    stage.publish([message for number in range(20, 25) for message in outside.pair(number, writes=4)])
    stage.wait_drained(within_s=60)
    assert worker.terminate()[0] == 0
    # Some events are still in the queue while the database is restored.
    stage.publish([message for pair in messages for message in pair[11:]])
    for name in restored or names:
        database[name].delete_many({})
        if backup[name]:
            database[name].insert_many(backup[name])
    if restored is None:
        database["sync_states"].update_many({}, _floors())
    worker = stage.worker()
    worker.wait_ready()
    stage.wait_drained(within_s=60)
    assert worker.terminate()[0] == 0
    status, (*drifts, _) = _sweep(stage, "--all", "--quiet-queue")
    lost = [each["workItemId"] for each in drifts if each["end"] == "told"]
    assert {each["end"] for each in drifts} <= {"repaired", "told"}
    assert all(each["audit"]["trigger"] == "sweep" for each in drifts if each["fields"])
    assert len(drifts) > len(lost)
    # Sessions that did not come from the backup hold work-items that the backup does not have. For these there is no
    # pair to reconcile: an operator removes them, as docs/operations.md says.
    assert (status, bool(lost)) == ((0, False) if restored is None else (1, True))
    assert set(lost) <= {f"work-item-{number}" for number in range(20, 25)}
    for slot in ("workItems", "pausedWorkItems"):
        database["work_sessions"].update_many({}, {"$pull": {slot: {"id": {"$in": lost}}}})
    database["work_sessions"].update_many({"pendingItem": {"$in": lost}}, {"$set": {"pendingItem": None}})
    database["outbox"].delete_many({})
    status, (summary,) = _sweep(stage, "--all", "--quiet-queue")
    assert (status, summary["summary"]["drift"]) == (0, [])
    assert LossyOwners(stage).apart() == []
    assert misplaced(database) == {}
    ledger.read()
    assert [each for each, times in Counter(ledger.announced_revisions()).items() if times > 1] == []


def _floors() -> list[dict[str, Any]]:
    """The step that the page shows."""
    page = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    step: list[dict[str, Any]] = json.loads(page.split("db.sync_states.updateMany({}, ", 1)[1].split(")\n", 1)[0])
    return step
