"""Two workers on one queue, events repeated and shuffled, one worker killed: no event is lost, no write half done."""

from collections import Counter

from tests.e2e.ledger import Ledger, half_written, misplaced
from tests.e2e.outside import Outside, queues, sessions
from tests.e2e.stage import Stage
from tests.e2e.worker_process import WorkerProcess, wait_until

PAIRS = 40
WRITES = 14
SEED = 20261122


def handled(*workers: WorkerProcess) -> int:
    return sum(len(worker.audits()) for worker in workers)


def test_a_kill_under_load_loses_no_event_and_leaves_no_write_half_done(stage: Stage) -> None:
    outside = Outside(SEED)
    messages = [message for number in range(PAIRS) for message in outside.pair(number, WRITES)]
    delivered = messages + outside.chance.sample(messages, len(messages) // 3)
    outside.chance.shuffle(delivered)
    stage.database["work_sessions"].insert_many(sessions())
    stage.database["queues"].insert_many(queues())
    ledger = Ledger(stage.database)
    stage.publish(delivered)

    first, second = stage.worker(), stage.worker()
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
    assert {message["body"]["id"] for message in messages} <= seen
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
