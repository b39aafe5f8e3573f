"""While MongoDB or SNS is away, the worker loses no message, makes no dead letter, lives, and is not ready."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from mongod import Mongod
from server_process import free_port
from tests.e2e.outside import Outside, body
from tests.e2e.stage import Stage
from tests.e2e.worker_process import wait_until


def test_mongodb_away_and_back(staged: Callable[[str], AbstractContextManager[Stage]]) -> None:
    outside = Outside(3)
    messages = [message for number in range(10) for message in outside.pair(number, 6)]
    with Mongod() as mongod, staged(mongod.uri) as stage:
        worker = stage.worker(STORE_DEADLINE_SECONDS="2")
        worker.wait_ready()
        mongod.kill()
        stage.publish(messages)
        wait_until(
            lambda: worker.http("/readyz")[0] == 503, within_s=30, what=lambda: "the worker says it is not ready"
        )
        assert worker.http("/healthz")[0] == 200
        assert worker.process.poll() is None
        mongod.start()
        worker.wait_ready()
        stage.wait_drained(within_s=60)
        assert stage.dead_letters() == []
        handled = {line["event"]["id"] for line in worker.audits()}
        assert {message["body"]["id"] for message in messages} <= handled
        assert worker.terminate()[0] == 0


def test_mongodb_away_at_the_start(staged: Callable[[str], AbstractContextManager[Stage]]) -> None:
    with Mongod() as mongod, staged(mongod.uri) as stage:
        mongod.kill()
        worker = stage.worker(STORE_DEADLINE_SECONDS="2")
        wait_until(lambda: worker.http("/healthz")[0] == 200, within_s=90, what=lambda: "the worker lives")
        assert worker.http("/readyz")[0] == 503
        mongod.start()
        worker.wait_ready()
        assert worker.terminate()[0] == 0


def test_what_sns_refused_is_published_by_the_next_worker(stage: Stage) -> None:
    outside = Outside(11)
    messages = [message for number in range(10) for message in outside.pair(number, 10)]
    stage.send([body(message) for message in messages])
    deaf = stage.worker(AWS_ENDPOINT_URL_SNS=f"http://127.0.0.1:{free_port()}")
    wait_until(lambda: stage.depth() == 0, within_s=60, what=lambda: f"{stage.depth()} messages are left")
    waiting = {entry["_id"] for entry in stage.database["outbox"].find()}
    assert waiting, "the worker wrote nothing: give the test more pairs"
    assert stage.announced() == []
    assert deaf.terminate()[0] == 0

    stage.worker()
    stage.wait_drained(within_s=60)
    assert {message["id"] for message in stage.announced(until=waiting.issubset)} >= waiting
