"""Faults of SQS under load: calls refused, throttled, cut off; failed entries; lost answers; SQS away."""

import time
from collections import Counter

from localstack_server import LocalStack
from tests.faults.fault_run import FaultRun
from tests.faults.proxied_run import both_transports, finish, set_visibility, wait_hit
from tests.faults.proxies.aws_call import EntryFault
from tests.faults.proxies.aws_fault import (
    SQS_FAILING,
    SQS_THROTTLING,
    SQS_UNAVAILABLE,
    AnswerWithError,
    Cut,
    FailEntries,
    Fault,
    Garbage,
    Hang,
    LoseAnswer,
)
from tests.faults.proxies.aws_proxy import AwsProxy
from tests.faults.proxies.aws_record import deliveries
from worker.telemetry.metrics import Metric

ACTIONS = ("ReceiveMessage", "DeleteMessageBatch", "ChangeMessageVisibilityBatch", "SendMessageBatch")
WHOLE: tuple[Fault, ...] = (SQS_FAILING, SQS_UNAVAILABLE, SQS_THROTTLING, Cut(), Garbage())


def test_each_call_to_sqs_fails_for_a_while(run: FaultRun, proxy: AwsProxy) -> None:
    set_visibility(run, 4)
    run.load.delivery.poison_every = 5
    both_transports(run)
    hits: Counter[str] = Counter()
    for fault in WHOLE:
        # Failing deletes keep messages in flight, so that visibility has to be extended, which fails as well.
        for actions in (ACTIONS[:1], ACTIONS[1:]):
            active_faults = [proxy.inject(fault, action, share=0.8) for action in actions]
            time.sleep(1.5 if len(actions) == 1 else 2.5)
            wait_hit(active_faults[0], 1)
            for action, active in zip(actions, active_faults, strict=True):
                proxy.lift(active)
                hits[action] += active.hits
    assert min(hits[action] for action in ACTIONS) > 0, hits
    finish(run, proxy)
    assert run.metrics.count(Metric.QUEUE_AWAY) > 0
    run.notes["calls failed"] = str(hits.total())


def test_batches_fail_in_part_and_answers_are_lost(run: FaultRun, proxy: AwsProxy) -> None:
    both_transports(run)
    half = FailEntries(share=0.6)
    never = FailEntries(share=0.3, fault=EntryFault(code="ReceiptHandleIsInvalid", sender=True))
    for fault, share in (
        (half, 1.0),
        (never, 1.0),
        (LoseAnswer(), 0.5),
        (AnswerWithError(status=500, code="InternalError"), 0.5),
    ):
        with proxy.failing(fault, "DeleteMessageBatch", share=share) as active:
            time.sleep(4)
            wait_hit(active)
    finish(run, proxy)

    deletes = proxy.calls_of("DeleteMessageBatch")
    tries = Counter(entry["ReceiptHandle"] for call in deletes for entry in call.entries)
    failed_tries = {
        entry["ReceiptHandle"]
        for call in deletes
        if isinstance(call.fault, FailEntries) and not call.fault.fault.sender
        for entry in call.entries
        if entry["Id"] in call.failed
    }
    assert failed_tries
    assert all(tries[receipt] > 1 for receipt in failed_tries), "an entry that fails is tried again"
    # The metric counts the messages whose delete failed to the end of all tries.
    unsettled = [one for one in deliveries(proxy.calls).values() if one.tries and one.deleted_at is None]
    assert unsettled
    assert run.metrics.count(Metric.UNSETTLED) == len(unsettled)
    run.notes["unsettled"] = str(len(unsettled))


def test_sqs_and_sns_are_away_hang_and_come_back(run: FaultRun, proxy: AwsProxy, localstack: LocalStack) -> None:
    both_transports(run)
    run.load.wait_published(100, within_s=30)
    with proxy.away():
        time.sleep(4)
    with proxy.failing(Hang()):
        time.sleep(4)
    # Longer than a worker waits for any answer but that of a long poll.
    localstack.suspend()
    try:
        time.sleep(12)
        assert all(worker.process.poll() is None for worker in run.stage.workers)
    finally:
        localstack.resume()
    time.sleep(2)
    finish(run, proxy)
    assert all(line["msg"] != "stopped by a fault in our code" for w in run.stage.workers for line in w.lines())
    assert run.metrics.count(Metric.QUEUE_AWAY) > 0
