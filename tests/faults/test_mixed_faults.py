"""All short faults of SQS and SNS at once, for a minute, on two workers that share a queue."""

import time
from contextlib import ExitStack

from tests.faults.fault_run import FaultRun
from tests.faults.proxied_run import both_transports, finish
from tests.faults.proxies.aws_call import EntryFault
from tests.faults.proxies.aws_fault import (
    SNS_SLOW_DOWN,
    SNS_THROTTLING,
    SQS_FAILING,
    SQS_THROTTLING,
    SQS_UNAVAILABLE,
    AnswerWithError,
    Cut,
    Delay,
    FailEntries,
    Garbage,
    Hang,
    LoseAnswer,
)
from tests.faults.proxies.aws_proxy import AwsProxy

SETTLING = ("DeleteMessageBatch", "ChangeMessageVisibilityBatch", "SendMessageBatch")
ALL = ("ReceiveMessage", *SETTLING, "PublishBatch")
FAULTS_S = 60


def test_a_minute_of_mixed_faults(run: FaultRun, proxy: AwsProxy) -> None:
    both_transports(run)
    with ExitStack() as stack:
        active_faults = [
            stack.enter_context(proxy.failing(fault, *actions, share=share))
            for fault, actions, share in (
                (SQS_FAILING, ("ReceiveMessage", *SETTLING), 0.04),
                (SQS_UNAVAILABLE, ("ReceiveMessage", *SETTLING), 0.04),
                (SQS_THROTTLING, ("ReceiveMessage", *SETTLING), 0.04),
                (SNS_THROTTLING, ("PublishBatch",), 0.05),
                (SNS_SLOW_DOWN, ("PublishBatch",), 0.05),
                (FailEntries(share=0.3), (*SETTLING, "PublishBatch"), 0.1),
                (FailEntries(share=0.3, fault=EntryFault(code="RequestThrottled", sender=True)), SETTLING, 0.05),
                (LoseAnswer(), ALL, 0.03),
                (AnswerWithError(status=500, code="InternalError"), ALL, 0.03),
                (Cut(), ALL, 0.03),
                (Garbage(), ALL, 0.02),
                (Delay(seconds=1), ALL, 0.1),
            )
        ]
        # Half of the receivers get no answer until their read timeout ends.
        stack.enter_context(proxy.failing(Hang(), "ReceiveMessage", times=4))
        time.sleep(FAULTS_S)
    assert all(active.hits > 0 for active in active_faults)
    finish(run, proxy)
    run.notes["calls met"] = f"{sum(active.hits for active in active_faults)} of {len(proxy.calls)}"
