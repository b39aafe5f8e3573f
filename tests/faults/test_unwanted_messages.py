"""Unwanted messages under load: poison of every kind, and megabytes of events of other services."""

import json
import time
from pathlib import Path
from typing import Any

from tests.e2e.worker_process import WorkerProcess, wait_until
from tests.faults.fault_run import FaultRun
from tests.faults.load.event_delivery import POISON
from tests.faults.proxied_run import finish
from tests.faults.proxies.aws_proxy import AwsProxy
from tests.faults.proxies.aws_record import deliveries
from worker.telemetry.metrics import Metric

LARGE_BYTES = 240_000
LARGE = 60
SMALL = 1_500
GROWN_MB_MAX = 48
"""The large messages of ten receives, and the memory that the allocator keeps."""
MARK = "other-service"


def test_every_second_message_is_poison(run: FaultRun, proxy: AwsProxy) -> None:
    run.load.delivery.poison_every = 1
    run.workers(2)
    kinds = {kind.body for kind in POISON}
    # Kinds are drawn at random, so most kinds occur, many of them several times.
    wait_until(
        lambda: len(run.load.delivery.poisoned) > 0.75 * len(kinds),
        within_s=120,
        what=lambda: f"{len(run.load.delivery.poisoned)} of {len(kinds)} kinds of poison were sent",
    )
    finish(run, proxy)
    figures = run.figures
    assert figures is not None
    assert figures.dead_letters > 0.75 * len(kinds)
    bad, good = run.metrics.count(Metric.DEAD_LETTER), run.metrics.count(Metric.RECEIVED)
    assert bad / good > 0.3
    held_s = sorted(one.deleted_at - one.at for one in deliveries(proxy.calls).values() if one.deleted_at is not None)
    run.notes["in flight, median and most"] = f"{held_s[len(held_s) // 2]:.2f} s, {held_s[-1]:.2f} s"
    assert held_s[len(held_s) // 2] < 2, "poison delays other messages"


def test_row_7_every_second_event_has_half_of_an_emoji_in_a_text(run: FaultRun, proxy: AwsProxy) -> None:
    run.load.delivery.cut_emoji = 2
    run.workers(2)
    run.load.wait_published(300, within_s=120)
    finish(run, proxy)
    # A message may be read again, so the count is at least that of the events.
    cut = run.load.delivery.cut.total()
    assert cut > 100
    run.notes["events with half of an emoji"] = f"{cut}"
    assert run.metrics.count(Metric.MENDED) >= cut
    # The poison between the events is all that was dead-lettered.
    assert run.figures is not None
    assert run.figures.dead_letters == run.load.delivery.poisoned.total()


def test_a_topic_sends_megabytes_of_events_of_other_services(run: FaultRun, proxy: AwsProxy) -> None:
    (worker,) = run.workers(1)
    run.load.wait_published(60, within_s=60)
    _publish_unknown(run, large=20, small=200)
    _wait_handled(run, 220)
    before_mb = _resident_mb(worker)
    _publish_unknown(run, large=LARGE, small=SMALL)
    _wait_handled(run, 220 + LARGE + SMALL)
    grown_mb = _resident_mb(worker) - before_mb
    run.notes["memory"] = f"{before_mb} MB, {grown_mb:+d} MB after {LARGE * LARGE_BYTES // 1_000_000} MB"
    assert grown_mb < GROWN_MB_MAX
    finish(run, proxy)
    # The store holds no trace of them.
    for name in run.stage.database.list_collection_names():
        for document in run.stage.database[name].find():
            assert MARK not in json.dumps(document, default=str), f"{name} {document['_id']}"


def _publish_unknown(run: FaultRun, *, large: int, small: int) -> None:
    stage, topic = run.stage, run.stage.variables["SNS_CONVERSATION_TOPIC_ARN"]
    for number in range(large):
        stage.sns.publish(TopicArn=topic, Message=json.dumps(_unknown(number, "x" * LARGE_BYTES)))
    for start in range(0, small, 10):
        entries = [{"Id": str(each), "Message": json.dumps(_unknown(start + each, "x"))} for each in range(10)]
        assert not stage.sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=entries)["Failed"]


def _unknown(number: int, text: str) -> dict[str, Any]:
    data = {"id": f"{MARK}-{number}", "type": "message", "attributes": {"preview": text, "rev": 1}}
    event = {"id": f"{MARK}-event-{number}", "name": "kustomer.message.create", "org": "org", "data": data}
    return {"id": f"{MARK}-message-{number}", "name": "kustomer.message.create", "body": event, "version": 3}


def _wait_handled(run: FaultRun, count: int) -> None:
    deadline = time.monotonic() + 90
    while run.metrics.count(Metric.UNSUPPORTED) < count:
        assert time.monotonic() < deadline, f"{run.metrics.count(Metric.UNSUPPORTED)} of {count} acknowledged"
        time.sleep(0.1)


def _resident_mb(worker: WorkerProcess) -> int:
    status = Path(f"/proc/{worker.process.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) // 1_024
