"""Two workers on one queue, events repeated and shuffled, one worker killed: no event is lost, no write half done."""

from collections import Counter
from typing import Any

from pymongo.database import Database

from tests.e2e.ledger import Ledger, half_written, misplaced
from tests.e2e.outside import Outside, queues, sessions
from tests.e2e.stage import Stage
from tests.e2e.worker_process import WorkerProcess, wait_until

PAIRS = 40
WRITES = 14
SEED = 20261122
BATCH_MAX = 10


def handled(*workers: WorkerProcess) -> int:
    return sum(len(worker.audits()) for worker in workers)


def is_observed(database: Database[dict[str, Any]], data: dict[str, Any]) -> bool:
    """Whether the sync state has seen the revision of an event's document, or a later work-item."""
    if data["type"] == "conversation":
        state, side = database["sync_states"].find_one({"_id": data["id"]}), "conversation"
    else:
        of = data["relationships"]["resource"]["data"]["id"]
        state, side = database["sync_states"].find_one({"_id": of}), "workItem"
    if state is None:
        return False
    is_later = side == "workItem" and state["workItem"]["id"] != data["id"]
    return is_later or any(low <= data["attributes"]["rev"] <= high for low, high in state[side]["observed"])


def test_a_kill_under_load_loses_no_event_and_leaves_no_write_half_done(stage: Stage) -> None:
    outside = Outside(SEED)
    messages = [message for number in range(PAIRS) for message in outside.pair(number, WRITES)]
    delivered = messages + outside.chance.sample(messages, len(messages) // 3)
    outside.chance.shuffle(delivered)
    stage.database["work_sessions"].insert_many(sessions())
    stage.database["queues"].insert_many(queues())
    ledger = Ledger(stage.database)
    stage.publish(delivered)

    first, second = stage.worker(BATCH_MAX=str(BATCH_MAX), LANES="1"), stage.worker()
    wait_until(
        lambda: handled(first, second) > len(delivered) // 4,
        within_s=60,
        what=lambda: f"a quarter of {len(delivered)} is handled: {handled(first, second)}",
    )
    first.kill()
    third = stage.worker()
    stage.wait_drained(within_s=120)
    # The third worker may still start when the queue is empty; a SIGTERM before its handler is set would just kill it.
    third.wait_ready()

    assert second.terminate()[0] == 0
    assert third.terminate()[0] == 0
    # Every message was settled, and none became a dead letter.
    assert stage.dead_letters() == []
    seen = {line["event"]["id"] for worker in (first, second, third) for line in worker.audits()}
    # SIGKILL takes those lines with it that the first worker's line writer still held: of one batch at most, and of
    # events that it had committed.
    unseen = [message["body"] for message in messages if message["body"]["id"] not in seen]
    assert len(unseen) <= BATCH_MAX
    assert [body["id"] for body in unseen if not is_observed(stage.database, body["data"])] == []
    # No document is half-written, and every session lists its work-items.
    assert half_written(stage.database) == []
    assert misplaced(stage.database) == {}
    # Every write was announced in its transaction, under one id, and that id reached the other subscriber.
    ledger.read()
    assert len(ledger.announcement_ids()) > PAIRS, "the worker wrote too little for this test: give it more pairs"
    assert ledger.unannounced() == set()
    assert [each for each, times in Counter(ledger.announced_revisions()).items() if times > 1] == []
    announced = set(ledger.announcement_ids())
    published = {message["id"]: message for message in stage.announced(until=announced.issubset)}
    assert set(published) == announced
    assert stage.database["outbox"].count_documents({}) == 0
