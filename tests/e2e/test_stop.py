"""SIGTERM under load: the worker ends within its deadline; no message in flight is lost or handled twice."""

import signal
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager

from mongod import Mongod
from tests.e2e.outside import Outside, queues, sessions
from tests.e2e.stage import Stage
from tests.e2e.worker_process import wait_until

SHUTDOWN_SECONDS = 10
MARGIN_S = 2.5
"""For the process to receive the signal and to exit, on two busy cores."""


def test_sigterm_under_load_settles_batches_in_flight_and_hands_the_rest_back(stage: Stage) -> None:
    outside = Outside(7)
    messages = [message for number in range(40) for message in outside.pair(number, 14)]
    stage.database["work_sessions"].insert_many(sessions())
    stage.database["queues"].insert_many(queues())
    # Longer than the test: a message that is not handed back stays invisible, and the queue does not empty.
    long_visibility, gap = {"VisibilityTimeout": "600"}, "900"
    stage.sqs.set_queue_attributes(QueueUrl=stage.variables["SQS_QUEUE_URL"], Attributes=long_visibility)
    stage.publish(messages)

    # One receiver: a call that the stop breaks off takes its messages along, for the visibility timeout.
    first = stage.worker(SHUTDOWN_SECONDS=str(SHUTDOWN_SECONDS), SYNC_GAP_SECONDS=gap, RECEIVERS="1")
    first.wait_ready()
    wait_until(lambda: len(first.audits()) > 60, within_s=30, what=lambda: "the worker is under load")
    status, took_s = first.terminate()
    assert status == 0
    assert took_s < SHUTDOWN_SECONDS + MARGIN_S
    assert stage.depth() > 0, "the stop came after the last message: give the test more messages"

    second = stage.worker(SYNC_GAP_SECONDS=gap)
    stage.wait_drained(within_s=60)
    assert second.terminate()[0] == 0
    assert stage.dead_letters() == []
    times = Counter(
        line["event"]["id"]
        for worker in (first, second)
        for line in worker.audits()
        if line["event"]["client"] == "outside"
    )
    assert set(times) == {message["body"]["id"] for message in messages}
    assert [event for event, number in times.items() if number > 1] == []


def test_sigterm_ends_an_idle_worker_at_once(stage: Stage) -> None:
    worker = stage.worker()
    worker.wait_ready()
    status, took_s = worker.terminate()
    assert status == 0
    assert took_s < 5, "an idle worker waited for its long poll"


def test_a_second_signal_does_not_wait(staged: Callable[[str], AbstractContextManager[Stage]]) -> None:
    """A hanging MongoDB keeps a batch in flight; the first signal alone would wait a minute for it."""
    outside = Outside(5)
    with Mongod() as mongod, staged(mongod.uri) as stage:
        worker = stage.worker(SHUTDOWN_SECONDS="60", STORE_DEADLINE_SECONDS="30")
        worker.wait_ready()
        mongod.suspend()
        stage.publish(list(outside.pair(1, 4)))
        wait_until(lambda: stage.in_flight() > 0, within_s=30, what=lambda: "messages are in flight")
        worker.process.send_signal(signal.SIGTERM)
        wait_until(lambda: worker.says("stopping"), within_s=10, what=lambda: "the worker has logged the first signal")
        worker.process.send_signal(signal.SIGTERM)
        assert worker.process.wait(timeout=5) == 128 + signal.SIGTERM
        mongod.resume()


def test_a_hanging_mongodb_does_not_hold_up_the_stop(staged: Callable[[str], AbstractContextManager[Stage]]) -> None:
    outside = Outside(6)
    with Mongod() as mongod, staged(mongod.uri) as stage:
        worker = stage.worker(SHUTDOWN_SECONDS="6", STORE_DEADLINE_SECONDS="120")
        worker.wait_ready()
        mongod.suspend()
        stage.publish(list(outside.pair(1, 4)))
        wait_until(lambda: stage.in_flight() > 0, within_s=30, what=lambda: "messages are in flight")
        status, took_s = worker.terminate()
        assert status == 0
        # The store's deadline would be two minutes; the exact bound is a test's in virtual time.
        assert took_s < 30
        mongod.resume()
        second = stage.worker()
        stage.wait_drained(within_s=60)
        assert second.terminate()[0] == 0
