"""A store slower than the visibility timeout: visibility is extended, and where that fails no write is lost."""

import time
from collections import Counter

from mongod import Mongod
from tests.e2e.worker_process import wait_until
from tests.faults.fault_run import FaultRun
from tests.faults.proxied_run import finish, set_visibility
from tests.faults.proxies.aws_fault import SQS_FAILING
from tests.faults.proxies.aws_proxy import AwsProxy
from worker.telemetry.metrics import Metric

VISIBILITY_S = 5
PAUSE_S = 9


def _delivered(proxy: AwsProxy) -> Counter[str]:
    return Counter(each for call in proxy.calls_of("ReceiveMessage") for each in call.delivered.values())


def test_visibility_is_kept_under_a_slow_store_and_lapses_without_extensions(
    run: FaultRun, proxy: AwsProxy, mongod: Mongod
) -> None:
    set_visibility(run, VISIBILITY_S)
    # A deadline longer than the pauses: the store counts as slow, not as away.
    run.workers(2, STORE_DEADLINE_SECONDS="30")
    run.load.wait_published(100, within_s=60)
    mongod.suspend()
    try:
        wait_until(lambda: run.stage.in_flight() > 0, within_s=10, what=lambda: "messages are in hand")
        time.sleep(PAUSE_S)
        kept = proxy.calls_of("ChangeMessageVisibilityBatch")
        assert any(call.carried_out for call in kept)
        assert max(_delivered(proxy).values()) == 1, "a message in flight was delivered to the other worker"
    finally:
        mongod.resume()
    run.load.wait_published(run.load.published + 100, within_s=60)
    mongod.suspend()
    try:
        wait_until(lambda: run.stage.in_flight() > 0, within_s=10, what=lambda: "messages are in hand")
        with proxy.failing(SQS_FAILING, "ChangeMessageVisibilityBatch") as active:
            time.sleep(PAUSE_S)
        assert active.hits > 0
        again = sum(times > 1 for times in _delivered(proxy).values())
        assert again > 0, "without extensions no message was delivered to the other worker"
    finally:
        mongod.resume()
    finish(run, proxy)
    run.notes["delivered twice"] = str(again)
    lost = run.metrics.count(Metric.VISIBILITY_LOST)
    assert lost > 0, "the lost visibility is not counted"
    run.notes["visibility lost"] = str(lost)
