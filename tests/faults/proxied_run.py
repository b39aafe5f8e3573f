"""Steps of fault runs whose workers reach SQS and SNS through the fault proxy."""

from tests.e2e.worker_process import wait_until
from tests.faults.fault_run import FaultRun
from tests.faults.proxies.aws_proxy import ActiveFault, AwsProxy
from tests.faults.proxies.aws_record import rightly_redelivered


def both_transports(run: FaultRun, **variables: str) -> None:
    """Starts two workers: one on the signed HTTP transport, one on that of the AWS library."""
    for transport in ("http", "library"):
        run.workers(1, SQS_TRANSPORT=transport, SNS_TRANSPORT=transport, **variables)


def finish(run: FaultRun, proxy: AwsProxy, *, within_s: float = 90) -> None:
    """Ends and audits a run behind the proxy, whose record tells which messages SQS rightly delivered again."""
    run.load.stop()
    run.stage.wait_drained(within_s=within_s)
    run.finish(within_s=within_s, delete_may_have_failed=rightly_redelivered(proxy.calls))


def wait_hit(active: ActiveFault, times: int = 3) -> None:
    """Waits until the fault has hit `times` calls."""
    wait_until(lambda: active.hits >= times, within_s=60, what=lambda: f"{active.fault} hit {active.hits} calls")


def set_visibility(run: FaultRun, seconds: int) -> None:
    """Sets the visibility timeout of the queue. Workers read it at their start."""
    run.stage.sqs.set_queue_attributes(
        QueueUrl=run.stage.variables["SQS_QUEUE_URL"], Attributes={"VisibilityTimeout": str(seconds)}
    )
