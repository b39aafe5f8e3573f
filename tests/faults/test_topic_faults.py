"""Faults of SNS under load: settlements do not wait for SNS, and every announcement is published in the end."""

import time

from tests.faults.fault_run import FaultRun
from tests.faults.proxied_run import both_transports, finish, wait_hit
from tests.faults.proxies.aws_call import EntryFault
from tests.faults.proxies.aws_fault import (
    SNS_FAILING,
    SNS_FORBIDDING,
    SNS_SLOW_DOWN,
    SNS_THROTTLING,
    SNS_UNAVAILABLE,
    Cut,
    FailEntries,
    Fault,
    Hang,
    LoseAnswer,
)
from tests.faults.proxies.aws_proxy import AwsProxy
from tests.faults.proxies.aws_record import deliveries
from worker.telemetry.metrics import Metric

FAULTS: tuple[Fault, ...] = (
    SNS_FAILING,
    SNS_UNAVAILABLE,
    SNS_THROTTLING,
    SNS_SLOW_DOWN,
    SNS_FORBIDDING,
    FailEntries(share=0.5),
    FailEntries(share=0.5, fault=EntryFault(code="AuthorizationError", sender=True)),
    Cut(),
    LoseAnswer(),
)
HANGS_S = 12.0
SETTLED_MEANWHILE = 3
"""So many messages that announce a write are delivered and settled while SNS hangs, on a busy machine too."""


def test_sns_refuses_and_nothing_waits_for_it(run: FaultRun, proxy: AwsProxy) -> None:
    both_transports(run)
    run.load.wait_published(100, within_s=60)
    began = time.monotonic()
    for fault in FAULTS:
        with proxy.failing(fault, "PublishBatch", "Publish") as active:
            time.sleep(1)
            wait_hit(active)
    hung = time.monotonic()
    with proxy.failing(Hang(), "PublishBatch", "Publish") as active:
        time.sleep(HANGS_S)
        wait_hit(active, 1)
    ended = time.monotonic()
    assert run.stage.database["outbox"].count_documents({}) > 0, "the outbox is empty, so nothing is left for the relay"
    finish(run, proxy)

    settled = [
        (one.message_id, one.at, one.deleted_at)
        for one in deliveries(proxy.calls).values()
        if one.deleted_at is not None
    ]
    lines = [line for worker in run.stage.workers for line in worker.lines()]
    announcing = {line["messageId"] for line in lines if line["msg"] == "message done" and line["reason"] == "APPLIED"}
    held_s = [deleted_at - at for _, at, deleted_at in settled if began < at < ended]
    meanwhile = sum(each in announcing and hung < at and deleted_at < ended for each, at, deleted_at in settled)
    assert len(held_s) > 100
    run.notes["slowest settlement"] = f"{max(held_s):.1f} s"
    run.notes["announcing, settled while SNS hangs"] = str(meanwhile)
    assert meanwhile > SETTLED_MEANWHILE
    assert run.metrics.count(Metric.PUBLISH_LEFT) > 0
    assert run.metrics.count(Metric.RELAYED) > 0
    # A temporary refusal sets no announcement aside.
    assert run.metrics.count(Metric.SET_ASIDE) == 0
