"""A quiet system on LocalStack: heartbeats alone let the poll decide a pair whose event is lost."""

from typing import Any

from handlers.documents.document import changes_between
from handlers.documents.relationships import relationship
from tests.e2e.outside import Outside, conversation_data, work_item_data
from tests.e2e.stage import Stage
from tests.e2e.worker_process import WorkerProcess, wait_until


def _decided_by_poll(worker: WorkerProcess) -> list[dict[str, Any]]:
    return [line for line in worker.lines() if line.get("trigger") == "gap"]


def test_a_pair_whose_event_is_lost_is_decided_by_the_poll_in_a_quiet_system(stage: Stage) -> None:
    outside = Outside(5)
    conversation, item = conversation_data(1), work_item_data(1)
    accepted = {
        **item,
        "attributes": {**item["attributes"], "status": "assigned", "rev": 3, "outsideRev": 3},
        "relationships": {**item["relationships"], "assignedTo": relationship("assignedTo", "user-1")},
    }
    # The stage's visibility timeout is 10 s.
    worker = stage.worker(SYNC_GAP_SECONDS="11", HEARTBEAT_SECONDS="5")
    worker.wait_ready()
    stage.publish(
        [
            outside.message("kustomer.conversation.create", conversation, None),
            outside.message("kustomer.work-item.create", item, None),
        ]
    )
    stage.wait_drained(within_s=60)
    # The event of the work-item's second revision is lost.
    stage.publish([outside.message("kustomer.work-item.update", accepted, changes_between(item, accepted))])
    wait_until(
        lambda: stage.database["sync_states"].count_documents({"waitingSince": {"$type": "string"}}) == 1,
        within_s=30,
        what=lambda: f"the pair waits: {worker.audits()[-1:]}",
    )
    assert _decided_by_poll(worker) == []
    # A minute until the worker knows that SNS is not silent, then the gap.
    wait_until(
        lambda: bool(_decided_by_poll(worker)),
        within_s=180,
        what=lambda: f"the poll decided nothing: {worker.http('/readyz')[1]}",
    )
    (decided,) = _decided_by_poll(worker)
    assert decided["updatedConversation"]["assignedUsers"] == ["user-1"]
    # On a busy machine the next heartbeat may just be overdue.
    wait_until(
        lambda: worker.http("/readyz")[1]["watermark"]["reason"] is None,
        within_s=60,
        what=lambda: f"there is a watermark again: {worker.http('/readyz')[1]}",
    )
    assert worker.http("/readyz")[0] == 200
    assert stage.database["fleet"].find_one({"_id": "lease/heartbeat"}) is not None
    assert stage.dead_letters() == []
    # Heartbeats leave no audit line.
    assert {line["event"]["name"].partition(".")[0] for line in worker.audits()} == {"kustomer"}
    assert worker.terminate()[0] == 0
